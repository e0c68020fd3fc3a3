/**
 * The fault matrix as data: each fault, where it can strike, and how the upload must end. The test
 * runs it cell by cell, and write-faults.ts writes it to test/scenarios/FAULTS.md.
 *
 * A cell is one way of one fault × the stage it strikes × the position in the exchange × how often.
 * Left out, by rule:
 * - a fault of the connection strikes before the headers; there is no later position for it;
 * - an answer by status, or one carried out and then lost, stands at one position each. The sandbox
 *   answers a PUT before its body as well, and a registration after it, for its body names the parts;
 * - a fatal fault ends the upload where it strikes first, so six times is no other case than once;
 * - a fault of the token strikes no part: it strikes once, six times, or for ever.
 */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls'
import { Agent, type buildConnector, Client, type Dispatcher } from 'undici'
import type { ErrorCode, RealtimeUploadOptions } from '../../lib/index.ts'
import type { Fault, FaultAction, SandboxRequest } from '../../lib/sandbox/index.ts'
import { SELF_SIGNED } from './self-signed.ts'

export type Stage = 'register' | 'put'

export const POSITIONS = [
  'before the headers',
  'before the body',
  'mid-body',
  'after the body',
  'during the answer',
] as const
export type Position = (typeof POSITIONS)[number]

/** Parts of the upload in each cell. */
export const PARTS = 6

/** How often a fault strikes, as the fields of a sandbox's fault that say so. */
export const REPETITIONS = {
  once: {},
  'six times on one part': { part: 2, times: 6 },
  'first try of every part': { perPart: true },
  'once, on the final part': { part: PARTS },
  'for ever': { times: Infinity },
} as const satisfies Record<string, Partial<Fault>>
export type Repetition = keyof typeof REPETITIONS

/** How a fault is brought about. */
export type Strike =
  /** By the sandbox, in answer to a request. */
  | { readonly sandbox: FaultAction }
  /** On the way to it: the request gets a connection of its own, and this becomes of it. */
  | { readonly wire: Mishap }
  /** By the token function, at as many calls as the repetition says. */
  | { readonly token: () => string | Promise<string> }

/** What becomes of a connection. */
export type Mishap =
  /** It never stands: refused by a closed port, or as the error code says. */
  | { readonly connect: string }
  /** The TLS handshake fails, against a real server of this kind. */
  | { readonly tls: 'self-signed' | 'another name' | 'no TLS' | 'no certificate' | 'reset' }
  /** Whoever accepted it stops at this position. Nothing is carried out. */
  | { readonly peer: 'reset' | 'close' | 'hang' | 'garbage'; readonly at: Position }

/** One way in which a fault shows. */
export interface Way {
  readonly name: string
  readonly stage: Stage
  readonly position: Position
  readonly strike: Strike
}

/** The end of an upload: survived, or an error after so many attempts, or with the budget spent. */
export type End = 'survives' | { readonly code: ErrorCode; readonly attempts: number | 'budget' }

export interface Row {
  readonly fault: string
  readonly ways: readonly Way[]
  /** The end by repetition; what is not here is no cell. */
  readonly ends: Partial<Readonly<Record<Repetition, End>>>
  /** The code of the error that each retry is told with. */
  readonly told: ErrorCode | undefined
  readonly options: Partial<RealtimeUploadOptions>
  /** Does nothing happen, so that only a time-out can tell? */
  readonly silent: boolean
}

export interface Cell {
  readonly row: Row
  readonly way: Way
  readonly repetition: Repetition
  readonly end: End
}

export const cellsOf = (row: Row): Cell[] =>
  row.ways.flatMap(way =>
    Object.entries(row.ends).map(([repetition, end]) => ({
      row,
      way,
      repetition: repetition as Repetition,
      end,
    })),
  )

/**
 * The cells of a row that `npm test` has time for: all repetitions of the first way at each stage, and
 * one of each other way, in turn. `npm run test:long` runs every cell.
 */
export const sampleOf = (row: Row): Cell[] => {
  const repetitions = Object.keys(row.ends)
  const whole = new Set(BOTH.map(stage => row.ways.find(way => way.stage === stage)))
  return cellsOf(row).filter(({ way, repetition }) => {
    const turn = row.ways.indexOf(way) % repetitions.length
    return whole.has(way) || repetition === repetitions[turn]
  })
}

// ── Ends ─────────────────────────────────────────────────────────────────────────────────────────

type Ending = Pick<Row, 'ends' | 'told'>

const survives = {
  once: 'survives',
  'six times on one part': 'survives',
  'first try of every part': 'survives',
  'once, on the final part': 'survives',
} as const

/** Survived, however often, until it lasts as long as the budget. */
const transient = (code: ErrorCode): Ending => ({
  ends: { ...survives, 'for ever': { code, attempts: 'budget' } },
  told: code,
})

/** Ends the upload at once. */
const fatal = (code: ErrorCode): Ending => ({
  ends: {
    once: { code, attempts: 1 },
    'once, on the final part': { code, attempts: 1 },
    'for ever': { code, attempts: 1 },
  },
  told: undefined,
})

/** Survived where it passes, and fatal after so many times in a row. */
const fatalAfter = (attempts: number, code: ErrorCode): Ending => ({
  ends: {
    ...survives,
    'six times on one part': { code, attempts },
    'for ever': { code, attempts },
  },
  told: code,
})

/** No fault at all in the end: never tried again. */
const harmless: Ending = { ends: { ...survives, 'for ever': 'survives' }, told: undefined }

/** Strikes no part. */
const ofNoPart = ({ ends, told }: Ending): Ending => ({
  ends: {
    once: ends.once ?? 'survives',
    ...(ends['six times on one part'] && {
      'six times on one part': ends['six times on one part'],
    }),
    ...(ends['for ever'] && { 'for ever': ends['for ever'] }),
  },
  told,
})

// ── Ways ─────────────────────────────────────────────────────────────────────────────────────────

const BOTH = ['register', 'put'] as const

const row = (
  fault: string,
  ways: readonly Way[],
  ending: Ending,
  options: Partial<RealtimeUploadOptions> = {},
): Row => ({ fault, ways, ...ending, options, silent: false })

/** The connection never stands. */
const onConnect = (...mishaps: readonly Mishap[]): Way[] =>
  mishaps.flatMap(wire =>
    BOTH.map(stage => ({
      name: 'connect' in wire ? wire.connect : 'tls' in wire ? wire.tls : wire.peer,
      stage,
      position: 'before the headers' as const,
      strike: { wire },
    })),
  )

/** Whoever accepted the connection does this, at every position. */
const byPeer = (peer: 'reset' | 'close' | 'hang' | 'garbage'): Way[] =>
  BOTH.flatMap(stage =>
    POSITIONS.map(at => ({
      name: peer,
      stage,
      position: at,
      strike: { wire: { peer, at } },
    })),
  )

/** The sandbox does this at a stage. */
const bySandbox = (
  stage: Stage,
  position: Position,
  actions: Readonly<Record<string, FaultAction>>,
): Way[] =>
  Object.entries(actions).map(([name, sandbox]) => ({ name, stage, position, strike: { sandbox } }))

interface Reply {
  readonly status: number
  readonly body?: string | object
  readonly headers?: Record<string, string>
}

/** An answer: to a registration after its body, to a PUT after its body and before it. */
const answers = (stage: Stage, replies: Readonly<Record<string, Reply>>): Way[] =>
  Object.entries(replies).flatMap(([name, reply]) => [
    ...bySandbox(stage, 'after the body', { [name]: reply }),
    ...(stage === 'put'
      ? bySandbox(stage, 'before the body', { [name]: { ...reply, at: 'headers' } })
      : []),
  ])

/** Answers to a PUT, after its body only: each is judged by what it says, whenever it comes. */
const storageSays = (replies: Readonly<Record<string, Reply>>): Way[] =>
  Object.entries(replies).flatMap(([name, reply]) =>
    bySandbox('put', 'after the body', { [name]: reply }),
  )

const HTML = '<!doctype html><html><body><h1>Welcome to the hotel</h1></body></html>'
const JSON_BODY = '{"code":500,"message":"Sorry","errors":[{"title":"Sorry","detail":"Try later"}]}'

const xml = (code: string, message = 'Said by S3') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`

/** Every kind of body that may come with a status. */
const withBodies = (...statuses: readonly number[]): Way[] =>
  statuses.flatMap(status =>
    BOTH.flatMap(stage =>
      answers(stage, {
        [`${status}`]: { status },
        [`${status} HTML`]: { status, body: HTML },
        [`${status} empty`]: { status, body: '' },
        [`${status} JSON`]: { status, body: JSON_BODY },
        [`${status} XML`]: { status, body: xml('Busy', '') },
        [`${status} cut JSON`]: { status, body: JSON_BODY.slice(0, 30) },
        [`${status} cut XML`]: { status, body: xml('Busy').slice(0, 60) },
      }),
    ),
  )

/** Promises more than it sends, and closes. */
const short = (status: number, body: string): Reply => ({
  status,
  body,
  headers: { 'content-length': String(body.length + 500), connection: 'close' },
})

const genuine = (status: number): Record<string, Reply> => ({
  [`${status} in the new shape`]: {
    status,
    body: { code: status, message: 'No', errors: [{ title: 'No', detail: 'No', status }] },
  },
  [`${status} in the old shape`]: { status, body: { error: 'no' } },
})

const refused = (status: number, ...codes: readonly string[]): Record<string, Reply> =>
  Object.fromEntries(codes.map(code => [`${status} ${code}`, { status, body: xml(code) }]))

const each = <T>(values: readonly T[], reply: (value: T) => Reply): Record<string, Reply> =>
  Object.fromEntries(values.map(value => [String(value), reply(value)]))

const tokenFails = (name: string, token: () => string | Promise<string>): Way => ({
  name,
  stage: 'register',
  position: 'before the headers',
  strike: { token },
})

/** Time-outs so short that silence is noticed soon, on the side that is silent alone. */
export const HASTY = { register: { apiTimeout: 40 }, put: { stallTimeout: 3 } } as const

const silent = (row: Row): Row => ({ ...row, silent: true })

// ── The matrix ───────────────────────────────────────────────────────────────────────────────────

export const MATRIX: readonly Row[] = [
  row('connection refused', onConnect({ connect: 'ECONNREFUSED' }), transient('ERR_NETWORK')),
  row(
    'name not resolved (`ENOTFOUND`, `EAI_AGAIN`)',
    onConnect({ connect: 'ENOTFOUND' }, { connect: 'EAI_AGAIN' }),
    transient('ERR_NETWORK'),
  ),
  row(
    'no route (`ENETUNREACH`, `EHOSTUNREACH`, `ENETDOWN`), connecting timed out',
    onConnect(
      ...['ENETUNREACH', 'EHOSTUNREACH', 'ENETDOWN', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT'].map(
        code => ({ connect: code }),
      ),
    ),
    transient('ERR_NETWORK'),
  ),
  row(
    'TLS handshake fails (self-signed, another name, no certificate, no TLS, reset)',
    onConnect(
      { tls: 'self-signed' },
      { tls: 'another name' },
      { tls: 'no certificate' },
      { tls: 'no TLS' },
      { tls: 'reset' },
    ),
    transient('ERR_NETWORK'),
  ),
  row('connection reset, nothing carried out', byPeer('reset'), transient('ERR_NETWORK')),
  row('connection closed, nothing carried out', byPeer('close'), transient('ERR_NETWORK')),
  row('something that is not HTTP', byPeer('garbage'), transient('ERR_NETWORK')),
  silent(row('silence, nothing carried out', byPeer('hang'), transient('ERR_TIMEOUT'))),
  row(
    'carried out, and the answer lost, cut or short',
    BOTH.flatMap(stage => [
      ...bySandbox(stage, 'after the body', { 'answer lost': { loseAnswer: true } }),
      ...bySandbox(stage, 'during the answer', { 'answer cut': { reset: 'answer' } }),
    ]),
    transient('ERR_NETWORK'),
  ),
  silent(
    row(
      'carried out, and silence in mid-answer',
      BOTH.flatMap(stage =>
        bySandbox(stage, 'during the answer', { silence: { hang: 'answering' } }),
      ),
      transient('ERR_TIMEOUT'),
    ),
  ),
  row(
    'an answer of any status that is shorter than it says',
    [200, 403, 500].flatMap(status =>
      BOTH.flatMap(stage =>
        bySandbox(stage, 'during the answer', {
          [`${status} short`]: short(status, '{"upload_urls": ["http'),
        }),
      ),
    ),
    transient('ERR_NETWORK'),
  ),
  row(
    'a slow answer',
    BOTH.flatMap(stage => bySandbox(stage, 'after the body', { 'after 25 ms': { delay: 25 } })),
    harmless,
  ),
  row(
    '500, 502, 503, 504 with HTML, JSON, XML, an empty or a cut body',
    withBodies(500, 502, 503, 504),
    transient('ERR_SERVER'),
  ),
  row('408, with each of these bodies', withBodies(408), transient('ERR_TIMEOUT')),
  row('429, with each of these bodies', withBodies(429), transient('ERR_RATE_LIMITED')),
  row(
    '429 with `Retry-After`',
    BOTH.flatMap(stage =>
      answers(stage, {
        seconds: { status: 429, headers: { 'retry-after': '3600' } },
        date: { status: 429, headers: { 'retry-after': new Date(4e12).toUTCString() } },
        nonsense: { status: 429, headers: { 'retry-after': 'soon' } },
      }),
    ),
    transient('ERR_RATE_LIMITED'),
  ),
  row(
    "S3's 503 `SlowDown`",
    answers('put', refused(503, 'SlowDown', 'ServiceUnavailable')),
    transient('ERR_SERVER'),
  ),
  row(
    "S3's 400 `RequestTimeout`",
    answers('put', {
      ...refused(400, 'RequestTimeout'),
      'without a message': { status: 400, body: xml('RequestTimeout', '') },
    }),
    transient('ERR_TIMEOUT'),
  ),
  row(
    'a 200 of the API with HTML, an empty or a cut body',
    answers('register', {
      HTML: { status: 200, body: HTML },
      empty: { status: 200, body: '' },
      cut: { status: 200, body: '{"upload_urls":["http://127.0.0.1/a' },
      'bytes of no text': { status: 200, body: '\u0000\uffff\u0001' },
    }),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    "a 4xx of the API without Frame.io's JSON",
    answers(
      'register',
      Object.assign(
        {},
        ...[400, 402, 403, 404, 405, 407, 410, 413, 415, 418, 422].map(status => ({
          [`${status} HTML`]: { status, body: HTML },
          [`${status} empty`]: { status, body: '' },
          [`${status} cut`]: { status, body: JSON_BODY.slice(0, 30) },
          [`${status} other JSON`]: { status, body: { proxy: 'squid' } },
        })),
      ),
    ),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    'a 200 to a PUT that is not S3’s: HTML, and no ETag',
    storageSays({ HTML: { status: 200, body: HTML }, empty: { status: 200, body: '' } }),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    'a presigned URL that expired: by message, by code, 400 `ExpiredToken`',
    [
      ...bySandbox('put', 'before the body', { 'as S3 says it': { expire: true } }),
      ...answers('put', {
        'by message': { status: 403, body: xml('AccessDenied', 'Request has expired') },
        'by code': { status: 403, body: xml('ExpiredRequest', '') },
        '403 ExpiredToken': { status: 403, body: xml('ExpiredToken', '') },
        '400 ExpiredToken': { status: 400, body: xml('ExpiredToken', '') },
        '400 TokenRefreshRequired': { status: 400, body: xml('TokenRefreshRequired', '') },
      }),
    ],
    transient('ERR_URL_EXPIRED'),
  ),
  row(
    'a 403 of S3 that may mean expiry: `AccessDenied`, `InvalidAccessKeyId`',
    answers('put', {
      ...refused(403, 'InvalidAccessKeyId'),
      AccessDenied: { status: 403, body: xml('AccessDenied', 'Access Denied') },
      'AccessDenied without a message': { status: 403, body: xml('AccessDenied', '') },
    }),
    fatalAfter(2, 'ERR_STORAGE_REJECTED'),
  ),
  row(
    'S3 received other bytes than were hashed (`BadDigest`)',
    storageSays(refused(400, 'BadDigest')),
    fatalAfter(3, 'ERR_CORRUPTED'),
    { integrity: 'md5' },
  ),
  row(
    'a 401, and a token function',
    answers('register', { JSON: { status: 401 }, HTML: { status: 401, body: HTML } }),
    fatalAfter(2, 'ERR_UNAUTHORIZED'),
  ),
  row(
    'a token function that throws or rejects',
    [
      tokenFails('throws', () => {
        throw new Error('no network yet')
      }),
      tokenFails('rejects', async () => Promise.reject(new Error('no network yet'))),
      tokenFails('rejects with no error', async () => Promise.reject(undefined)),
    ],
    ofNoPart(transient('ERR_UNAUTHORIZED')),
  ),
  silent(
    row(
      'a token function that never answers',
      [tokenFails('silence', () => new Promise<string>(() => {}))],
      ofNoPart(transient('ERR_UNAUTHORIZED')),
    ),
  ),
  row(
    'a token function that returns no token',
    [tokenFails('empty', () => ''), tokenFails('two lines', () => 'two\r\nlines')],
    ofNoPart({ ...fatal('ERR_INVALID_OPTION'), told: undefined }),
  ),
  row(
    '400, 409, 422 of the API',
    answers('register', { ...genuine(400), ...genuine(409), ...genuine(422) }),
    fatal('ERR_REQUEST_REJECTED'),
  ),
  row(
    '405, 410, 413, 415, 418 of the API, in its own words',
    answers(
      'register',
      Object.assign({}, ...[405, 410, 413, 415, 418].map(status => genuine(status))),
    ),
    fatal('ERR_REQUEST_REJECTED'),
  ),
  row('a genuine 402 of the API', answers('register', genuine(402)), fatal('ERR_PLAN_LIMIT')),
  row('a genuine 403 of the API', answers('register', genuine(403)), fatal('ERR_FORBIDDEN')),
  row('a genuine 404 of the API', answers('register', genuine(404)), fatal('ERR_ASSET_NOT_FOUND')),
  row(
    'JSON of the API that makes no sense: no, too few, too many or bad URLs',
    answers('register', {
      object: { status: 200, body: {} },
      null: { status: 200, body: 'null' },
      list: { status: 200, body: [] },
      number: { status: 200, body: '7' },
      'no list': { status: 200, body: { upload_urls: 'http://127.0.0.1/' } },
      'too few': { status: 200, body: { upload_urls: [] } },
      'too many': { status: 200, body: { upload_urls: Array(99).fill('http://127.0.0.1/') } },
      'no URL': { status: 200, body: { upload_urls: Array(1).fill('no URL') } },
      file: { status: 200, body: { upload_urls: Array(1).fill('file:///etc/passwd') } },
    }),
    fatal('ERR_BAD_RESPONSE'),
  ),
  row(
    '501, 505',
    BOTH.flatMap(stage =>
      answers(
        stage,
        each([501, 505], status => ({ status })),
      ),
    ),
    fatal('ERR_SERVER'),
  ),
  row(
    'a redirect',
    BOTH.flatMap(stage =>
      answers(
        stage,
        each([301, 302, 303, 307, 308], status => ({
          status,
          body: '',
          headers: { location: 'http://127.0.0.1:9/' },
        })),
      ),
    ),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    'a 2xx to a PUT that is no 200',
    storageSays(each([201, 202, 204, 206], status => ({ status, body: '' }))),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    'a refusal of S3: `SignatureDoesNotMatch`, `InvalidDigest`, `EntityTooLarge`, …',
    answers('put', {
      ...refused(400, 'InvalidDigest', 'EntityTooLarge', 'EntityTooSmall', 'InvalidRequest'),
      ...refused(403, 'SignatureDoesNotMatch', 'RequestTimeTooSkewed'),
      ...refused(404, 'NoSuchBucket', 'NoSuchUpload'),
      ...refused(405, 'MethodNotAllowed'),
      ...refused(411, 'MissingContentLength'),
      ...refused(412, 'PreconditionFailed'),
    }),
    fatal('ERR_STORAGE_REJECTED'),
  ),
  row(
    'a 4xx to a PUT without a code of S3',
    storageSays({
      ...each([400, 401, 403, 404, 407, 409, 413], status => ({ status, body: HTML })),
      '403 empty': { status: 403, body: '' },
      '404 empty': { status: 404, body: '' },
    }),
    transient('ERR_BAD_RESPONSE'),
  ),
  row(
    'a code of S3 that is not final: `IncompleteBody`, `OperationAborted`, one nobody knows',
    answers('put', {
      ...refused(400, 'IncompleteBody', 'ACodeOfTheNextDecade', 'constructor'),
      ...refused(409, 'OperationAborted', 'ConditionalRequestConflict'),
    }),
    transient('ERR_STORAGE_REJECTED'),
  ),
  row(
    '425, 507, 509, 511, 520 to 530',
    BOTH.flatMap(stage =>
      answers(
        stage,
        each([425, 507, 509, 511, 520, 522, 524, 530], status => ({ status })),
      ),
    ),
    transient('ERR_SERVER'),
  ),
  row(
    'a machine that is short of something, or forbids (`EMFILE`, `ENOBUFS`, `ENOMEM`, `EPERM`, …)',
    onConnect(
      ...['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAI_FAIL', 'ESERVFAIL', 'EPERM', 'EACCES'].map(
        code => ({ connect: code }),
      ),
    ),
    transient('ERR_NETWORK'),
  ),
  row(
    'an error that nobody knows',
    onConnect({ connect: 'E_NEVER_HEARD_OF' }),
    transient('ERR_NETWORK'),
  ),
  row(
    'our own misuse, which no other try betters',
    onConnect({ connect: 'UND_ERR_INVALID_ARG' }, { connect: 'UND_ERR_DESTROYED' }),
    fatal('ERR_NETWORK'),
  ),
]

// ── Mishaps ──────────────────────────────────────────────────────────────────────────────────────

/** What a request is, as far as faults are chosen by it. */
export type Subject = Pick<SandboxRequest, 'operation' | 'partNumbers' | 'assetId'>

/** A dispatcher that gives requests a connection of their own to which a mishap happens. */
export const mishapDispatcher = (due: (request: SandboxRequest) => Mishap | undefined) => {
  const agent = new Agent()
  const servers = new Map<string, Promise<Server>>()
  const sockets = new Set<Socket>()

  /** The port of the peer that does this. One server does for all connections. */
  const portOf = async (name: string, make: () => Server) => {
    let server = servers.get(name)
    if (!server) {
      const made = make()
      made.on('connection', socket => {
        sockets.add(socket)
        socket.on('error', () => {}).once('close', () => sockets.delete(socket))
      })
      server = once(made.listen(0, '127.0.0.1'), 'listening').then(() => made)
      servers.set(name, server)
    }
    return ((await server).address() as AddressInfo).port
  }
  const connector =
    (mishap: Mishap): buildConnector.connector =>
    (_options, callback) => {
      connectTo(mishap, portOf).then(
        socket => {
          socket.once('error', error => callback(error, null))
          socket.once('secureConnect' in socket ? 'secureConnect' : 'connect', () => {
            socket.removeAllListeners('error')
            callback(null, socket)
          })
        },
        error => callback(error, null),
      )
    }

  const dispatcher = agent.compose(dispatch => (options, handler) => {
    const mishap = due(requestOf(options))
    if (!mishap) return dispatch(options, handler)
    const client = new Client(String(options.origin), { connect: connector(mishap) })
    const going = client.dispatch(options, handler)
    client.close().catch(() => {}) // Once the request is over; its error goes to the handler.
    return going
  })
  return {
    dispatcher,
    /** Connections open now to those to whom mishaps happen. */
    openSockets: () => sockets.size,
    /** Waits for the requests that are still in flight, and fails if there are any for long. */
    close: async () => {
      await agent.close()
      for (const server of servers.values()) (await server).close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const OPERATIONS = [
  [/realtime_upload\/parts$/, 'register'],
  [/\/files\/local_upload$/, 'create'],
] as const

/** The request as the sandbox would note it. */
const requestOf = ({ method, path, body }: Dispatcher.DispatchOptions): SandboxRequest => {
  const [, assetId, number] = /^\/parts\/([\w-]+)\/(\d+)/.exec(path) ?? []
  const isPut = method === 'PUT'
  const { parts = [] }: { parts?: { number: number }[] } =
    typeof body === 'string' ? JSON.parse(body) : {}
  return {
    side: isPut ? 'storage' : 'api',
    operation: isPut ? 'put' : (OPERATIONS.find(([call]) => call.test(path))?.[1] ?? 'other'),
    method,
    path,
    headers: {},
    assetId: assetId ?? /assets\/([\w-]+)/.exec(path)?.[1],
    partNumbers: isPut ? [Number(number)] : parts.map(part => part.number),
    headLast: false,
    status: undefined,
    bytes: 0,
    startedAt: 0,
    endedAt: undefined,
  }
}

type PortOf = (name: string, make: () => Server) => Promise<number>

const connectTo = async (mishap: Mishap, portOf: PortOf): Promise<Socket> => {
  const host = '127.0.0.1'
  if ('peer' in mishap) {
    return connect(await portOf(`${mishap.peer} ${mishap.at}`, () => peer(mishap)), host)
  }
  if ('connect' in mishap) return connectInVain(mishap.connect)
  const tls = { rejectUnauthorized: true, servername: 'captive.portal', host }
  const portal = () => createTlsServer(SELF_SIGNED)
  switch (mishap.tls) {
    case 'self-signed':
      return tlsConnect({ ...tls, port: await portOf('portal', portal) })
    case 'another name': {
      const port = await portOf('portal', portal)
      return tlsConnect({ ...tls, port, ca: SELF_SIGNED.cert, servername: 'api.frame.io' })
    }
    case 'no certificate':
      return tlsConnect({ ...tls, port: await portOf('bare', () => createTlsServer()) })
    case 'no TLS': {
      const garbage = { peer: 'garbage', at: 'before the headers' } as const
      return tlsConnect({ ...tls, port: await portOf('garbage', () => peer(garbage)) })
    }
    case 'reset': {
      const reset = { peer: 'reset', at: 'before the headers' } as const
      return tlsConnect({ ...tls, port: await portOf('reset', () => peer(reset)) })
    }
  }
}

/** The real thing where a machine without a network can have it; else the error Node would give. */
const connectInVain = (code: string): Socket => {
  if (code === 'ECONNREFUSED') return connect(9, '127.0.0.1')
  const syscall = /^E(NOTFOUND|AI_)/.test(code) ? 'getaddrinfo' : 'connect'
  const error = Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
  if (syscall === 'connect') return connect({ host: '127.0.0.1', port: 9 }).destroy(error)
  return connect({
    host: 'no-such-host.invalid',
    port: 80,
    lookup: (_host, _options, callback) => callback(error, []),
  })
}

/** ms between the first half of an answer and its end: found at once, a reset passes for an end. */
const HALF_TIME = 5

/** A server that reads up to a position, and then does what it is told. */
const peer = ({ peer: what, at }: Extract<Mishap, { peer: string }>): Server =>
  createServer(socket => {
    const strike = () => {
      if (what === 'reset') socket.resetAndDestroy()
      if (what === 'close') socket.end()
      if (what === 'garbage') socket.end('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n')
      socket.resume() // Else it could not be seen that the client leaves.
    }
    let text = ''
    const onData = (chunk: Buffer) => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
      const body = text.length - head - 4
      const wanted = { 'before the body': 0, 'mid-body': length / 2 }[at as string] ?? length
      if (head < 0 || body < wanted) return
      socket.off('data', onData)
      if (at !== 'during the answer') return strike()
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Len')
      setTimeout(strike, HALF_TIME)
    }
    if (at === 'before the headers') strike()
    else socket.on('data', onData)
  })

export const CELLS: readonly Cell[] = MATRIX.flatMap(cellsOf)
