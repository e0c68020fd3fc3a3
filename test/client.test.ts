import { getEventListeners } from 'node:events'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import type { ApiRequest, CallContext } from '../lib/frameio/api.ts'
import { apiOf } from '../lib/frameio/client.ts'
import {
  type CallRetry,
  FrameioClient,
  type FrameioClientOptions,
  RealtimeUpload,
  RealtimeUploadError,
  refreshingToken,
} from '../lib/index.ts'
import { LeakyBucket } from '../lib/sandbox/rate-limit.ts'
import {
  endOf,
  QUICK,
  SMALL,
  sandboxFor,
  shown,
  smallUpload,
  targetIn,
  until,
} from './support/sandboxes.ts'
import {
  clientFor,
  closedPort,
  failureOf,
  json,
  SECRET,
  serve,
  serveRaw,
  within,
} from './support/servers.ts'

const ASSET = { id: 'a1', name: 'a.mp4' }
const PART = { number: 1, size: 5 * 2 ** 20, final: false }
const ONE_URL = { upload_urls: ['http://127.0.0.1:9/parts/1'] }
const NEW = { parentId: 'p1', name: 'a.mp4', filetype: 'video/mp4' }

/** Frame.io's two shapes of a failure. */
const shortShape = { error: 'it says no' }
const longShape = { code: 1, errors: [{ title: 'It says', detail: 'no' }], message: 'Sorry' }

/** Silence is waited for, and no more than it must be; what answers may take its time on a busy machine. */
const timeoutFor = (fault: object) => ('hang' in fault ? { apiTimeout: 200 } : {})

/** A client to a server that gives these answers in turn, and the last one for ever. */
const answering = async (
  t: Test,
  answers: readonly (readonly [status: number, body: unknown, headers?: object])[],
  options: Partial<FrameioClientOptions> = {},
) => {
  const server = await serve(t, (res, _seen, count) => {
    const [status, body, headers] = answers[Math.min(count, answers.length) - 1] ?? [500, {}]
    if (typeof body === 'string') res.writeHead(status, { ...headers }).end(body)
    else json(res, status, body, headers)
  })
  return { ...server, client: clientFor(t, server.url, options) }
}

t.test('an asset lives: created, registered, read and deleted, against the sandbox', async t => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  const { parentId } = sandbox
  const asset = await client.createRealtimeAsset({ ...NEW, parentId })
  t.match(asset, { name: 'a.mp4', status: 'created' })
  const final = { number: 2, size: 7, final: true }
  const urls = await client.registerParts(asset.id, [PART, final], {
    assetFilesize: PART.size + 7,
  })
  t.equal(urls.length, 2)
  t.match(sandbox.asset(asset.id), {
    filesize: PART.size + 7,
    parts: [
      { number: 1, size: PART.size, final: false },
      { number: 2, size: 7, final: true },
    ],
  })
  t.match(await client.getAsset(asset.id), { id: asset.id, upload_completed_at: null })
  t.equal(await client.deleteAsset(asset.id), undefined)
  t.equal(sandbox.asset(asset.id), undefined)
  t.match(await failureOf(client.getAsset(asset.id)), {
    code: 'ERR_ASSET_NOT_FOUND',
    assetId: asset.id,
    statusCode: 404,
    message: /Reading asset .* failed: .*; check the id$/,
  })
})

t.test('an asset may get its name with its last part', async t => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  const { parentId } = sandbox
  const filetype = 'video/mp4'
  const { id, name } = await client.createRealtimeAsset({ parentId, extension: '.mp4', filetype })
  t.equal(name, '[new file].mp4')
  const parts = [{ number: 1, size: 7, final: true }]
  await client.registerParts(id, parts, { assetFilesize: 7, assetName: 'b.mp4' })
  t.equal(sandbox.asset(id)?.name, 'b.mp4')
})

t.test('what is sent: path, token, JSON, and no version header on the platform', async t => {
  const { client, requests } = await answering(t, [
    [200, ONE_URL],
    [200, ASSET],
  ])
  await client.registerParts('a1', [PART])
  await client.createRealtimeAsset({ ...NEW, extension: '.mp4' })
  t.match(requests[0], {
    method: 'POST',
    url: '/v2/assets/a1/realtime_upload/parts',
    headers: { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' },
  })
  t.notOk(requests[0]?.headers['x-client-version'])
  t.strictSame(JSON.parse(String(requests[0]?.body)), {
    parts: [{ number: 1, size: PART.size, is_final: false }],
  })
  t.equal(requests[1]?.url, '/v2/assets/p1/children')
  t.strictSame(JSON.parse(String(requests[1]?.body)), {
    type: 'file',
    name: 'a.mp4',
    extension: '.mp4',
    filetype: 'video/mp4',
    is_realtime_upload: true,
  })
})

t.test('a device has its own paths, and its version on every call', async t => {
  const device = { clientVersion: '1.2.3' }
  const answers = [
    [200, ASSET],
    [200, ONE_URL],
    [200, ASSET],
  ] as const
  const { client, requests } = await answering(t, answers, { device })
  const options = { name: 'a.mp4', filetype: 'video/mp4', offset: 0, channel: 2 }
  await client.createRealtimeAsset(options)
  await client.registerParts('a1', [PART])
  await client.getAsset('a1')
  t.strictSame(
    requests.map(({ url }) => url),
    ['/v2/devices/assets', '/v2/devices/assets/a1/realtime_upload/parts', '/v2/assets/a1'],
  )
  for (const { headers } of requests) t.equal(headers['x-client-version'], '1.2.3')
  t.strictSame(JSON.parse(String(requests[0]?.body)), { ...options, is_realtime_upload: true })
})

t.test('a signal ends the creation of an asset, also while it waits for another try', async t => {
  const sandbox = await sandboxFor(t)
  const stop = new AbortController()
  const retry = { giveUpAfter: Infinity, minDelay: 3_600_000, maxDelay: 3_600_000 }
  const onRetry = () => stop.abort('enough')
  const client = clientFor(t, sandbox.url, { token: sandbox.token, retry, onRetry })
  sandbox.faults.add({ on: 'create', do: { status: 429 } })
  const { parentId } = sandbox
  const wanted = { parentId, name: 'a.mp4', filetype: 'video/mp4', signal: stop.signal }
  await t.rejects(client.createRealtimeAsset(wanted), { name: 'AbortError', cause: 'enough' })
  const before = sandbox.requests.length
  await t.rejects(client.createRealtimeAsset(wanted), { name: 'AbortError' })
  t.equal(sandbox.requests.length, before, 'nothing is asked once it has aborted')
  t.equal((await client.createRealtimeAsset({ ...wanted, signal: undefined })).name, 'a.mp4')
})

t.test('a device works against the sandbox', async t => {
  const sandbox = await sandboxFor(t)
  const client = clientFor(t, sandbox.url, { token: sandbox.token, device: {} })
  const { id } = await client.createRealtimeAsset({
    extension: '.mov',
    filetype: 'video/quicktime',
  })
  t.equal((await client.registerParts(id, [PART])).length, 1)
  t.equal(sandbox.asset(id)?.offset, 0, 'always sent: 0 for what is being recorded')
  const old = await client.createRealtimeAsset({ name: 'a.mov', filetype: 'a/b', offset: 3_600 })
  t.equal(sandbox.asset(old.id)?.offset, 3_600)
  // What waits for another try grows older meanwhile.
  sandbox.faults.add({ on: 'create', do: { status: 429 } })
  let age = 7
  const late = { name: 'a.mov', filetype: 'a/b', offset: () => age++ }
  const waited = await client.createRealtimeAsset(late)
  t.equal(sandbox.asset(waited.id)?.offset, age - 1, 'as it was at the last try')
  t.ok(age > 9, 'and not at the first')
})

t.test('a base URL may have a path, with or without a slash at its end', async t => {
  for (const prefix of ['/proxy/frameio', '/proxy/frameio/', '']) {
    const { url, requests } = await serve(t, res => json(res, 200, ASSET))
    await clientFor(t, url + prefix).getAsset('a1')
    t.equal(requests[0]?.url, `${prefix.replace(/\/$/, '')}/v2/assets/a1`)
  }
})

t.test("the token goes to the base URL's host, however many slashes its path has", async t => {
  const elsewhere = await serve(t, res => json(res, 200, ASSET))
  const { host } = new URL(elsewhere.url)
  for (const path of ['//', `//${host}`, `//${host}/`]) {
    const { url, requests } = await serve(t, res => json(res, 200, ASSET))
    await clientFor(t, url + path)
      .getAsset('a1')
      .catch(() => 'it may be refused as well')
    t.equal(requests.length, 1, `a base URL with the path ${path}`)
  }
  t.equal(elsewhere.requests.length, 0, 'nothing went to another host')
})

/** A value as a caller without types may give it. */
const loose = (value: unknown) => value as never

t.test('no door lets a raw error out, whatever it is given', async t => {
  const all = { ...ASSET, ...ONE_URL, upload_completed_at: '2026-01-01' }
  const { client, url } = await answering(t, [[200, all]])
  const values = [
    ...[undefined, null, true, 0, -1, NaN, 1n, '', 'x', '../x', Symbol('odd'), () => SECRET],
    ...[[], [null], [undefined], [[]], [SECRET], {}, { a: 1 }, Object.create(null), new Map()],
    ...[new Date(NaN), /x/, { constructor: { name: Symbol('odd') } }, { [SECRET]: 1 }],
  ]
  const doors: ((value: never) => unknown)[] = [
    value => new FrameioClient(value),
    value => refreshingToken(value),
    value => client.createRealtimeAsset(value),
    value => client.registerParts(value, [PART]),
    value => client.registerParts('a1', value),
    value => client.registerParts('a1', [value]),
    value => client.registerParts('a1', [PART], value),
    value => client.getAsset(value),
    value => client.deleteAsset(value),
    value => client.waitUntilUploaded(value),
    value => client.waitUntilUploaded('a1', value),
  ]
  const fields: [door: (options: never) => unknown, good: object][] = [
    [options => new FrameioClient(options), { ...CLIENT, baseUrl: url }],
    [options => refreshingToken(options), REFRESHING],
    [options => client.createRealtimeAsset(options), { ...CREATE, ...NEW }],
    [options => client.registerParts('a1', [options]), PART],
    [
      options => client.registerParts('a1', [PART], options),
      { assetFilesize: 5, assetName: 'a.b' },
    ],
    [options => client.waitUntilUploaded('a1', options), { timeout: 60_000, signal: undefined }],
  ]
  const tried = doors.map(door => values.map(value => [() => door(loose(value)), value] as const))
  for (const [door, good] of fields) {
    for (const field of Object.keys(good)) {
      const spoilt = (value: unknown) => () => door(loose({ ...good, [field]: value }))
      tried.push(values.map(value => [spoilt(value), value] as const))
    }
  }
  let refusals = 0
  for (const [call, value] of tried.flat()) {
    const error = await failureOf((async () => call())()).catch(() => 'none')
    if (error === 'none') continue
    refusals++
    t.match(error, { code: 'ERR_INVALID_OPTION' }, `${String(call)} with ${typeof value}`)
  }
  t.ok(refusals > 500, `${refusals} were refused`)
})

/** All options of each kind, as they may be. */
const CLIENT = {
  token: SECRET,
  baseUrl: 'https://api.frame.io',
  device: { clientVersion: '1.0.0' },
  dispatcher: undefined,
  retry: {},
  apiTimeout: 5_000,
  memoryLimit: 1,
  concurrency: 1,
  onRetry: () => {},
}
const REFRESHING = {
  clientId: 'c',
  clientSecret: 's',
  refreshToken: 'r',
  save: () => {},
  baseUrl: 'https://api.frame.io',
  dispatcher: undefined,
}
const CREATE = { extension: undefined, offset: undefined, channel: undefined }

t.test('what is wrong with arguments is told before anything is sent', async t => {
  const { client, requests } = await answering(t, [[200, ASSET]])
  const device = clientFor(t, 'http://127.0.0.1:9', { device: {} })
  const filetype = 'video/mp4'
  const no = [] as unknown as [never]
  const recording = (options: object) =>
    device.createRealtimeAsset(loose({ name: 'a.mp4', filetype, ...options }))
  const register = (...parts: unknown[]) =>
    client.registerParts('a1', loose(parts), { assetFilesize: 5 })
  const total = (options: unknown) => client.registerParts('a1', [PART], loose(options))
  const table: [message: RegExp, call: () => Promise<unknown>][] = [
    [/^assetId must be an id/, () => client.getAsset('../x')],
    [/^assetId must be an id/, () => client.deleteAsset('')],
    [/^assetId must be an id/, () => client.registerParts('a/b', [PART])],
    [/^assetId must be an id/, () => client.waitUntilUploaded('a?b')],
    [/^parts must be a list of at least one/, () => client.registerParts('a1', [])],
    [
      /^assetFilesize must be given with the final part/,
      () => client.registerParts('a1', [{ ...PART, final: true }]),
    ],
    [/^parentId must be an id/, () => client.createRealtimeAsset({ name: 'a.mp4', filetype })],
    [
      /^name or extension must be given/,
      () => client.createRealtimeAsset({ parentId: 'p', filetype }),
    ],
    [/^name must be a name with/, () => client.createRealtimeAsset({ ...NEW, name: 'a' })],
    [
      /^extension must be a name with/,
      () => client.createRealtimeAsset({ ...NEW, extension: 'mp4' }),
    ],
    [
      /^filetype must be a media type/,
      () => client.createRealtimeAsset({ ...NEW, filetype: 'mp4' }),
    ],
    [/^offset and channel must be absent/, () => client.createRealtimeAsset({ ...NEW, offset: 0 })],
    [
      /^offset and channel must be absent/,
      () => client.createRealtimeAsset({ ...NEW, channel: 1 }),
    ],
    [/^parentId must be absent with `device`/, () => device.createRealtimeAsset(NEW)],
    [/^timeout must be a positive/, () => client.waitUntilUploaded('a1', { timeout: 0 })],
    [/^timeout must be a positive/, () => client.waitUntilUploaded('a1', { timeout: NaN })],
    [/^options must be an object; received undefined$/, () => client.createRealtimeAsset(...no)],
    [/^options must be an object; received a list$/, () => client.createRealtimeAsset(loose([]))],
    [
      /^filename is not an option/,
      () => client.createRealtimeAsset(loose({ ...NEW, filename: 'a' })),
    ],
    [/^offset must be a number of seconds/, () => recording({ offset: -1 })],
    [/^offset must be a number of seconds/, () => recording({ offset: '5' })],
    [/^channel must be an integer/, () => recording({ channel: 0.5 })],
    [/^parts must be a list/, () => client.registerParts('a1', ...no)],
    [/^parts\[0\] must be an object; received null$/, () => register(null)],
    [/^parts\[0\] must be an object; received undefined$/, () => register(...Array(1))],
    [
      /^parts\[0\]\.number must be an integer from 1 to 10000; received undefined$/,
      () => register({}),
    ],
    [/^parts\[1\]\.number must/, () => register(PART, { ...PART, number: 10_001 })],
    [/^parts\[0\]\.number must/, () => register({ ...PART, number: 0.5 })],
    [/^parts\[0\]\.size must/, () => register({ ...PART, size: 0.5 })],
    [/^parts\[0\]\.size must/, () => register({ ...PART, size: 0, final: true })],
    [/^parts\[0\]\.size must/, () => register({ ...PART, size: 6 * 2 ** 30 })],
    [/^parts\[0\]\.final must be true or false/, () => register({ ...PART, final: 'yes' })],
    [/^parts\[0\]\.final must/, () => register({ number: 1, size: 5, isFinal: true })],
    [/^parts must be a list that names each number once/, () => register(PART, PART)],
    [
      /^parts must be a list with one final part at most/,
      () => register({ ...PART, final: true }, { ...PART, number: 2, final: true }),
    ],
    [
      /^assetfilesize is not an option; did you mean assetFilesize\?/,
      () => total({ assetfilesize: 5 }),
    ],
    [/^assetFilesize must be an integer/, () => total({ assetFilesize: 0 })],
    [/^assetFilesize must be an integer/, () => total({ assetFilesize: 6 * 2 ** 40 })],
    [/^assetName must be a name with/, () => total({ assetName: 'a' })],
    [/^options must be an object; received null$/, () => total(null)],
    [
      /^options must be an object; received null$/,
      () => client.waitUntilUploaded('a1', loose(null)),
    ],
    [/^signal must be an AbortSignal/, () => client.waitUntilUploaded('a1', loose({ signal: {} }))],
    [/^Timeout is not an option/, () => client.waitUntilUploaded('a1', loose({ Timeout: 5 }))],
  ]
  for (const [message, call] of table) {
    t.match(await failureOf(call()), { code: 'ERR_INVALID_OPTION', message })
  }
  t.equal(requests.length, 0)
})

t.test('a refusal ends in its own error, at once, with what Frame.io says', async t => {
  const table: [status: number, code: string][] = [
    [400, 'ERR_REQUEST_REJECTED'],
    [402, 'ERR_PLAN_LIMIT'],
    [403, 'ERR_FORBIDDEN'],
    [404, 'ERR_ASSET_NOT_FOUND'],
    [409, 'ERR_REQUEST_REJECTED'],
    [422, 'ERR_REQUEST_REJECTED'],
    [501, 'ERR_SERVER'],
  ]
  for (const [status, code] of table) {
    for (const [body, said] of [
      [shortShape, 'it says no'],
      [longShape, 'Sorry; It says: no'],
    ] as const) {
      const { client, requests } = await answering(t, [[status, body]])
      t.match(await failureOf(client.registerParts('a1', [PART])), {
        name: 'RealtimeUploadError',
        code,
        statusCode: status,
        assetId: 'a1',
        partNumber: 1,
        attempts: 1,
        message: new RegExp(`^Registering part 1 of asset a1 failed: .* ${status} \\(${said}\\)`),
      })
      t.equal(requests.length, 1)
    }
  }
})

t.test('a 404 says what to do about the call that got it', async t => {
  const { client, url } = await answering(t, [[404, shortShape]])
  const device = clientFor(t, url, { device: {} })
  const { parentId: _, ...unplaced } = NEW
  for (const [call, advice] of [
    [
      () => client.createRealtimeAsset(NEW),
      /; check parentId, the id of a folder or project root$/,
    ],
    [
      () => device.createRealtimeAsset(unplaced),
      /; the device may have been removed .* pair it ag/,
    ],
    [() => device.getDevice(), /; the device may have been removed .*: then pair it again$/],
    [() => client.registerParts('a1', [PART]), /; check the id, and pass `device` exactly if/],
    [() => client.getAsset('a1'), /; check the id$/],
    [() => client.deleteAsset('a1'), /; check the id$/],
  ] as const) {
    t.match(await failureOf(call()), { code: 'ERR_ASSET_NOT_FOUND', message: advice })
  }
})

t.test('a registration of several parts names them all', async t => {
  const { client } = await answering(t, [[400, shortShape]])
  const error = await failureOf(client.registerParts('a1', [PART, { ...PART, number: 2 }]))
  t.match(error, { message: /^Registering part 1, 2 of asset a1 failed/ })
  t.notOk('partNumber' in (error as object))
})

t.test('a 403 or 404 that is not in the words of Frame.io goes away', async t => {
  for (const status of [403, 404]) {
    for (const body of ['<html>Log in to the Wi-Fi</html>', '', { message: 'not its shape' }]) {
      const { client } = await answering(t, [
        [status, body],
        [200, ASSET],
      ])
      t.match(await client.getAsset('a1'), ASSET)
      const never = await answering(t, [[status, body]])
      const error = await failureOf(never.client.getAsset('a1'))
      t.match(error, { code: 'ERR_BAD_RESPONSE', statusCode: status, message: /captive portal/ })
      t.ok(never.requests.length >= 3)
    }
  }
})

t.test('an answer without sense is asked for again, then an error', async t => {
  for (const body of ['<html>Log in</html>', '', '{"id": "a1", "na']) {
    const { client } = await answering(t, [
      [200, body],
      [200, ASSET],
    ])
    t.match(await client.getAsset('a1'), ASSET)
    const never = await answering(t, [[200, body]])
    t.match(await failureOf(never.client.getAsset('a1')), {
      code: 'ERR_BAD_RESPONSE',
      statusCode: 200,
      message: /its body is no JSON/,
    })
  }
  const wrong = await answering(t, [[200, { id: 'a1' }]])
  t.match(await failureOf(wrong.client.getAsset('a1')), {
    code: 'ERR_BAD_RESPONSE',
    assetId: 'a1',
    attempts: 1,
    message: /^Reading asset a1 failed: .*must have an id and a name/,
  })
  const few = await answering(t, [[200, { upload_urls: [] }]])
  t.match(await failureOf(few.client.registerParts('a1', [PART])), { code: 'ERR_BAD_RESPONSE' })
})

t.test('an answer of any size is read with a bound', async t => {
  const { client } = await answering(t, [[200, `{"id":"a1","name":"${'x'.repeat(17 * 2 ** 20)}"}`]])
  const error = await within(20_000, failureOf(client.getAsset('a1')))
  t.match(error, { code: 'ERR_BAD_RESPONSE' })
})

t.test('server errors and a lost answer are met with another try', async t => {
  for (const status of [408, 500, 502, 503, 504]) {
    const { client, requests } = await answering(t, [
      [status, 'busy'],
      [status, longShape],
      [200, ASSET],
    ])
    t.match(await client.getAsset('a1'), ASSET)
    t.equal(requests.length, 3)
  }
  const sandbox = await sandboxFor(t, {
    faults: [
      { on: 'register', do: { loseAnswer: true } },
      { on: 'register', nth: 2, do: { reset: 'answer' } },
    ],
  })
  const { asset } = targetIn(sandbox)
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  t.equal((await client.registerParts(asset.id, [PART])).length, 1)
  t.equal(asset.parts[0]?.registrations, 3, 'the same number and size again')
})

t.test('whoever wants to know is told of each other try of a call', async t => {
  const told: CallRetry[] = []
  const onRetry = (retry: CallRetry) => void told.push(retry)
  const calls = {
    getAsset: client => client.getAsset('a1'),
    deleteAsset: client => client.deleteAsset('a1'),
    waitUntilUploaded: client => client.waitUntilUploaded('a1'),
    registerParts: client => client.registerParts('a1', [PART]),
    createRealtimeAsset: client => client.createRealtimeAsset(NEW),
    getDevice: client => client.getDevice(),
  } satisfies Record<CallRetry['call'], (client: FrameioClient) => Promise<unknown>>
  for (const [call, make] of Object.entries(calls)) {
    const answer = { ...ASSET, ...ONE_URL, upload_completed_at: '2026-01-01' }
    const retry = { giveUpAfter: 60_000, minDelay: 1, maxDelay: 5 }
    const answers = [[429, longShape] as const, [200, answer] as const]
    const device = call === 'getDevice' ? {} : undefined
    const { client } = await answering(t, answers, { onRetry, retry, device })
    await make(client)
    const [one] = told.splice(0)
    const assetId = ['createRealtimeAsset', 'getDevice'].includes(call) ? undefined : 'a1'
    t.match(one, { call, assetId, attempt: 1, error: { code: 'ERR_RATE_LIMITED' } })
    t.ok(one && one.delay > 0 && one.giveUpIn > 50_000 && one.giveUpIn <= 60_000)
  }
  const { client } = await answering(t, [[503, longShape]], {
    onRetry: () => {
      throw new Error('enough of it')
    },
  })
  t.match(await failureOf(client.getAsset('a1')), { message: 'enough of it' })
})

t.test('a device learns who it is, and the platform has none', async t => {
  const sandbox = await sandboxFor(t)
  const { accessToken: token } = sandbox.devices.pair({ name: 'Cam A' })
  const client = clientFor(t, sandbox.url, { token, device: { clientVersion: '1.2.3' } })
  t.match(await client.getDevice(), { name: 'Cam A', project: { name: 'Sandbox project' } })
  t.match(sandbox.requests.at(-1), {
    operation: 'device',
    headers: { 'x-client-version': '1.2.3' },
  })
  const platform = clientFor(t, sandbox.url, { token })
  t.match(await failureOf(platform.getDevice()), {
    code: 'ERR_INVALID_OPTION',
    option: 'device',
    message: /^device must be given to the client/,
  })
  t.equal(sandbox.requests.length, 1)
})

t.test('past the budget the last failure is the error, with its attempts', async t => {
  const { client, requests } = await answering(t, [[503, shortShape]])
  const error = await failureOf(client.getAsset('a1'))
  t.match(error, { code: 'ERR_SERVER', statusCode: 503, attempts: requests.length })
  t.ok(requests.length >= 3)

  const { url } = await closedPort(t, res => res.end())
  t.match(await failureOf(clientFor(t, url).getAsset('a1')), {
    code: 'ERR_NETWORK',
    assetId: 'a1',
    cause: { code: 'ECONNREFUSED' },
  })
})

t.test('an API that does not answer is a timeout', async t => {
  const { url, connections } = await serveRaw(t, () => {})
  const error = await failureOf(clientFor(t, url, { apiTimeout: 40 }).getAsset('a1'))
  t.match(error, { code: 'ERR_TIMEOUT', message: /no answer within/ })
  t.ok(connections() >= 3)
})

t.test('a redirect is not followed: the token stays home', async t => {
  const elsewhere = await serve(t, res => json(res, 200, ASSET))
  const { client } = await answering(t, [[302, '', { location: `${elsewhere.url}/v2/assets/a1` }]])
  t.match(await failureOf(client.getAsset('a1')), { code: 'ERR_BAD_RESPONSE', statusCode: 302 })
  t.equal(elsewhere.requests.length, 0)
})

t.test('a string that is refused is fatal at once', async t => {
  const { client, requests } = await answering(t, [[401, shortShape]])
  t.match(await failureOf(client.getAsset('a1')), {
    code: 'ERR_UNAUTHORIZED',
    statusCode: 401,
    attempts: 1,
    message: /a function that fetches a fresh one/,
  })
  t.equal(requests.length, 1)
})

/** A server that accepts only this token, and a token function that counts up. */
const guarded = async (t: Test, accepted: (token: string) => boolean) => {
  let calls = 0
  const server = await serve(t, (res, { headers }) => {
    const token = headers.authorization?.replace('Bearer ', '') ?? ''
    if (accepted(token)) json(res, 200, ASSET)
    else json(res, 401, { error: 'invalid_client' })
  })
  const token = async () => `${SECRET}-${++calls}`
  return { ...server, client: clientFor(t, server.url, { token }), calls: () => calls }
}

t.test('a token that is refused is asked for again once, for all calls', async t => {
  const { client, calls, requests } = await guarded(t, token => !token.endsWith('-1'))
  const ids = ['a', 'b', 'c', 'd', 'e', 'f']
  const assets = await Promise.all(ids.map(id => client.getAsset(id)))
  t.equal(assets.length, 6)
  t.equal(calls(), 2, 'the function is called twice in all')
  await client.getAsset('g')
  t.equal(calls(), 2)
  t.ok(requests.length <= 13)
})

t.test('a second token that is refused is fatal', async t => {
  const { client, calls, requests } = await guarded(t, () => false)
  const error = await failureOf(client.getAsset('a1'))
  t.match(error, { code: 'ERR_UNAUTHORIZED', statusCode: 401, attempts: 2 })
  t.equal(calls(), 2)
  t.equal(requests.length, 2)
})

t.test('a token that dies again later is asked for again', async t => {
  let alive = 1
  const { client, calls } = await guarded(t, token => token.endsWith(`-${alive}`))
  for (alive of [1, 2, 3]) t.match(await client.getAsset('a1'), ASSET)
  t.equal(calls(), 3)
})

t.test('a refusal that follows other trouble does not count as the second', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) => {
    if (count === 2) json(res, 503, shortShape)
    else if (count < 4) json(res, 401, shortShape)
    else json(res, 200, ASSET)
  })
  let calls = 0
  const client = clientFor(t, url, { token: () => `${SECRET}${++calls}` })
  t.match(await client.getAsset('a1'), ASSET)
  t.equal(requests.length, 4)
})

t.test('a token function that fails costs nothing but time', async t => {
  for (const fail of [
    () => Promise.reject(new Error('down')),
    () => raise(new Error('down')),
    () => Promise.reject(),
    () => Promise.reject(new RealtimeUploadError('ERR_NETWORK', 'from another client')),
  ]) {
    let calls = 0
    const { client } = await answering(t, [[200, ASSET]], {
      token: () => (++calls <= 5 ? fail() : SECRET),
      retry: { ...QUICK, giveUpAfter: 60_000 },
    })
    t.match(await client.getAsset('a1'), ASSET)
    t.equal(calls, 6)
  }
})

const raise = (error: Error): never => {
  throw error
}

t.test('a token function that fails for ever ends in ERR_UNAUTHORIZED', async t => {
  const { client, requests } = await answering(t, [[200, ASSET]], {
    token: () => Promise.reject(new Error('the vault is shut')),
  })
  t.match(await failureOf(client.getAsset('a1')), {
    code: 'ERR_UNAUTHORIZED',
    assetId: 'a1',
    message: 'Reading asset a1 failed: the token function failed',
    cause: { message: 'the vault is shut' },
  })
  t.equal(requests.length, 0)
})

t.test('a token function that hangs is called again', async t => {
  let calls = 0
  const { client } = await answering(t, [[200, ASSET]], {
    token: () => (++calls === 1 ? new Promise<string>(() => {}) : SECRET),
    apiTimeout: 40,
  })
  t.match(await within(10_000, client.getAsset('a1')), ASSET)
  t.equal(calls, 2)
  const never = await answering(t, [[200, ASSET]], {
    token: () => new Promise<string>(() => {}),
    apiTimeout: 10,
  })
  t.match(await within(10_000, failureOf(never.client.getAsset('a1'))), {
    code: 'ERR_UNAUTHORIZED',
    message: /the token function did not answer within apiTimeout \(10 ms\)/,
  })
})

t.test(
  'rubbish from a token function is refused without being shown, and asked for anew',
  async t => {
    for (const rubbish of [undefined, 7, '', `${SECRET}\n`, { token: SECRET }]) {
      let calls = 0
      const token = () => (++calls === 1 ? (rubbish as string) : SECRET)
      const { client, requests } = await answering(t, [[200, ASSET]], { token })
      const error = await failureOf(client.getAsset('a1'))
      t.match(error, { code: 'ERR_INVALID_OPTION', message: /^token must be a non-empty string/ })
      t.notMatch(shown(error), SECRET)
      t.equal(requests.length, 0)
      const next = await client.getAsset('a1').catch((error: Error) => error)
      t.match(next, ASSET, 'the next call asks the function again')
    }
  },
)

t.test('a 429 holds all calls of a client, and then they go through', async t => {
  const arrived: { path: string; at: number }[] = []
  const { url } = await serve(t, (res, seen, count) => {
    arrived.push({ path: seen.url, at: performance.now() })
    if (count === 1) json(res, 429, longShape)
    else json(res, 200, ASSET)
  })
  const client = clientFor(t, url, { retry: { ...QUICK, maxDelay: 150 } })
  const first = client.getAsset('first')
  while (arrived.length === 0) await new Promise(resolve => setTimeout(resolve, 1))
  await new Promise(resolve => setTimeout(resolve, 50))
  const others = [client.getAsset('second'), client.getAsset('third')]
  t.match(await Promise.all([first, ...others]), [ASSET, ASSET, ASSET])
  const [refused, ...later] = arrived.map(({ at }) => at)
  for (const at of later) t.ok(at - (refused ?? at) >= 145, 'they waited at the gate together')
})

t.test('where nothing is said of the rate limit, few calls find it out for all', async t => {
  const bucket = new LeakyBucket({ limit: 5, window: 500 })
  let refused = 0
  const { url } = await serve(t, res => {
    if (bucket.take()) return json(res, 200, ASSET)
    refused++
    return json(res, 429, longShape)
  })
  const client = clientFor(t, url, { retry: { ...QUICK, maxDelay: 400 } })
  await Promise.all(Array.from({ length: 30 }, (_, i) => client.getAsset(`a${i}`)))
  t.ok(refused <= 40, `${refused} refusals`)
})

t.test('a 429 for ever ends in ERR_RATE_LIMITED', async t => {
  const sandbox = await sandboxFor(t, { rateLimit: { limit: 1, window: 1e9 } })
  const client = clientFor(t, sandbox.url, {
    token: sandbox.token,
    retry: { ...QUICK, giveUpAfter: 0 },
  })
  const { asset } = targetIn(sandbox)
  await client.getAsset(asset.id)
  const error = await failureOf(client.getAsset(asset.id))
  t.match(error, { code: 'ERR_RATE_LIMITED', statusCode: 429, attempts: 3 })
})

t.test('creating an asset is tried again where it was surely not carried out', async t => {
  const limited = await answering(t, [
    [429, longShape],
    [200, ASSET],
  ])
  t.match(await limited.client.createRealtimeAsset(NEW), ASSET)
  t.equal(limited.requests.length, 2)

  const { client, calls, requests } = await guarded(t, token => !token.endsWith('-1'))
  t.match(await client.createRealtimeAsset(NEW), ASSET)
  t.equal(calls(), 2)
  t.equal(requests.length, 2)

  const port = await closedPort(t, res => json(res, 200, ASSET))
  const patient = clientFor(t, port.url, { retry: { ...QUICK, giveUpAfter: 60_000 } })
  const creating = patient.createRealtimeAsset(NEW)
  await new Promise(resolve => setTimeout(resolve, 30))
  await port.open()
  t.match(await within(20_000, creating), ASSET, 'after a refused connection')
})

t.test('creating an asset is not repeated where it may have been carried out', async t => {
  const sandbox = await sandboxFor(t)
  const { parentId, token } = sandbox
  const faults = [
    { loseAnswer: true },
    { reset: 'answer' },
    { reset: 'after' },
    { hang: 'answer' },
    { hang: 'answering' },
    { status: 500 },
    { status: 503 },
    { status: 403, body: '<html>' },
    { status: 200, body: '<html>' },
  ] as const
  const codes = ['NETWORK', 'NETWORK', 'NETWORK', 'TIMEOUT', 'TIMEOUT', 'SERVER', 'SERVER']
  for (const [i, fault] of faults.entries()) {
    sandbox.faults.clear()
    sandbox.faults.add({ on: 'create', do: fault })
    const client = clientFor(t, sandbox.url, { token, ...timeoutFor(fault) })
    const before = sandbox.requests.length
    const error = await within(60_000, failureOf(client.createRealtimeAsset({ ...NEW, parentId })))
    t.match(error, {
      code: `ERR_${codes[i] ?? 'BAD_RESPONSE'}`,
      attempts: 1,
      message: /may have been carried out all the same, so it was not tried again$/,
    })
    t.equal(sandbox.requests.length - before, 1, JSON.stringify(fault))
  }
})

t.test('creating an asset that is refused says why', async t => {
  const { client } = await answering(t, [[409, { errors: [{ title: 'Channel Paused' }] }]])
  const error = await failureOf(client.createRealtimeAsset(NEW))
  const message = /answered 409 \(Channel Paused\); .*resume it in the project's C2C Connections/
  t.match(error, { code: 'ERR_CHANNEL_PAUSED', statusCode: 409, attempts: 1, message })
  t.notMatch(error, { message: /carried out/ })
})

t.test('a device that is paused, and a plan that is full, are said as what they are', async t => {
  const sandbox = await sandboxFor(t)
  const device = sandbox.devices.pair()
  const client = clientFor(t, sandbox.url, { token: device.accessToken, device: {} })
  const create = () => client.createRealtimeAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  device.pause()
  t.match(await failureOf(create()), { code: 'ERR_CHANNEL_PAUSED', statusCode: 409, attempts: 1 })
  device.resume()
  sandbox.faults.add({ on: 'create', do: { status: 402 } })
  const message = /answered 402 .*; the account's plan allows no more: delete/
  t.match(await failureOf(create()), { code: 'ERR_PLAN_LIMIT', attempts: 1, message })
  t.match(await create(), { name: 'a.mp4' })
})

t.test('a deletion needs no answer to make sense of', async t => {
  for (const answer of [
    [204, ''],
    [200, 'gone'],
  ] as const) {
    const { client, requests } = await answering(t, [answer])
    await client.deleteAsset('a1')
    t.match(requests[0], { method: 'DELETE', url: '/v2/assets/a1' })
  }
})

t.test('an asset that a lost first try has deleted is deleted', async t => {
  const patient = { retry: { ...QUICK, giveUpAfter: 60_000 } }
  const faults = [
    { loseAnswer: true },
    { reset: 'answer' },
    { hang: 'answer' },
    { hang: 'answering' },
  ] as const
  for (const fault of faults) {
    const sandbox = await sandboxFor(t, { faults: [{ on: 'delete', do: fault }] })
    const client = clientFor(t, sandbox.url, {
      ...patient,
      ...timeoutFor(fault),
      token: sandbox.token,
    })
    const { asset } = targetIn(sandbox)
    t.equal(await client.deleteAsset(asset.id), undefined, JSON.stringify(fault))
    t.equal(sandbox.asset(asset.id), undefined)
    t.equal(sandbox.requests.length, 2)
  }
  const { client } = await answering(
    t,
    [
      [503, shortShape],
      [429, longShape],
      [404, shortShape],
    ],
    patient,
  )
  t.equal(await client.deleteAsset('a1'), undefined, 'nobody knows what a 5xx has done')
})

t.test('an asset that was not there before is not found', async t => {
  const before: (readonly [number, unknown])[] = [
    [429, longShape],
    [401, shortShape],
    [403, '<html>Log in to the Wi-Fi</html>'],
  ]
  for (const answers of [[], ...before.map(answer => [answer])]) {
    const { client, requests } = await answering(t, [...answers, [404, shortShape]], {
      token: () => SECRET,
    })
    t.match(await failureOf(client.deleteAsset('a1')), { code: 'ERR_ASSET_NOT_FOUND' })
    t.equal(requests.length, answers.length + 1)
  }
  const port = await closedPort(t, res => json(res, 404, shortShape))
  const client = clientFor(t, port.url, { retry: { ...QUICK, giveUpAfter: 60_000 } })
  const deleting = failureOf(client.deleteAsset('a1'))
  await new Promise(resolve => setTimeout(resolve, 30))
  await port.open()
  t.match(await within(20_000, deleting), { code: 'ERR_ASSET_NOT_FOUND' })
})

t.test('waitUntilUploaded looks until upload_completed_at is set', async t => {
  const uploaded = { ...ASSET, uploaded_at: '2026', upload_completed_at: '2026-01-01' }
  const { client, requests } = await answering(t, [
    [200, { ...ASSET, uploaded_at: '2026', upload_completed_at: null }],
    [200, uploaded],
  ])
  const { signal } = new AbortController()
  t.match(await client.waitUntilUploaded('a1', { signal }), uploaded)
  t.equal(requests.length, 2)
  t.equal(getEventListeners(signal, 'abort').length, 0, 'nothing is left on the signal')
})

t.test('waitUntilUploaded fails when Frame.io says that the upload failed', async t => {
  const { client } = await answering(t, [[200, { ...ASSET, upload_failed_at: '2026-01-01' }]])
  t.match(await failureOf(client.waitUntilUploaded('a1')), {
    code: 'ERR_UPLOAD_FAILED',
    assetId: 'a1',
  })
})

t.test('waitUntilUploaded gives up after its timeout', async t => {
  const { client, requests } = await answering(t, [[200, ASSET]])
  t.match(await within(10_000, failureOf(client.waitUntilUploaded('a1', { timeout: 30 }))), {
    code: 'ERR_TIMEOUT',
    assetId: 'a1',
    message: /within 30 ms/,
  })
  // On a busy machine the time may be over before the first look.
  t.ok(requests.length <= 1)
})

t.test('waitUntilUploaded gives up after its timeout also while a call hangs or fails', async t => {
  const patient = { apiTimeout: 60_000, retry: { ...QUICK, giveUpAfter: Infinity } }
  const silent = await serveRaw(t, () => {})
  const broken = await answering(t, [[503, shortShape]])
  for (const url of [silent.url, broken.url]) {
    const wait = clientFor(t, url, patient).waitUntilUploaded('a1', { timeout: 50 })
    t.match(await within(3_000, failureOf(wait)).catch(hang => hang), { code: 'ERR_TIMEOUT' })
  }
})

t.test('waitUntilUploaded ends with its signal, and leaves no listener on it', async t => {
  const { client } = await answering(t, [[200, ASSET]])
  const ending = new AbortController()
  const reason = new Error('enough')
  const waits = [1, 2].map(() => client.waitUntilUploaded('a1', { signal: ending.signal }))
  setTimeout(() => ending.abort(reason), 50)
  for (const wait of waits) {
    const error = await within(10_000, failureOf(wait))
    t.match(error, { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
  }
  const before = client.waitUntilUploaded('a1', { signal: ending.signal })
  t.match(await failureOf(before), { name: 'AbortError', cause: reason })
})

t.test('close ends what runs, and what comes after', async t => {
  const silent = await serveRaw(t, () => {})
  const { url } = await serve(t, res => json(res, 200, ASSET))
  for (const run of [
    (client: FrameioClient) => client.getAsset('a1'),
    (client: FrameioClient) => client.waitUntilUploaded('a1'),
  ]) {
    for (const base of [silent.url, url]) {
      const client = clientFor(t, base)
      const running = run(client)
      const settled = failureOf(running).catch(() => undefined)
      await client.close()
      if (base === silent.url)
        t.match(await within(5_000, settled), { message: /client was closed/i })
      t.match(await within(5_000, failureOf(run(client))), { message: /client was closed/i })
      await client.close()
    }
  }
})

t.test('close leaves no socket open', async t => {
  const sandbox = await sandboxFor(t)
  const { asset } = targetIn(sandbox)
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  await client.getAsset(asset.id)
  t.equal(sandbox.stats.openSockets, 1)
  await client.close()
  await until(() => sandbox.stats.openSockets === 0, 'the socket to be closed')
})

t.test('an https base URL never leads to an http upload URL', async t => {
  const { url } = await serve(t, res => json(res, 200, ONE_URL))
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  // No TLS here: what is meant for the https base goes to the server by hand.
  const dispatcher = agent.compose(
    dispatch => (options, handler) => dispatch({ ...options, origin: url }, handler),
  )
  const client = clientFor(t, 'https://api.example', { dispatcher })
  t.match(await failureOf(client.registerParts('a1', [PART])), {
    code: 'ERR_BAD_RESPONSE',
    message: /upload_urls must be https URLs/,
  })
})

/** A call as an upload makes it. */
const READ: ApiRequest<unknown> = {
  method: 'GET',
  path: '/v2/assets/a1',
  read: body => body,
  idempotent: true,
  what: 'Reading failed',
  details: {},
}

/** The wait before a second attempt of a call, in ms; the call ends with it. */
const firstWait = async (client: FrameioClient): Promise<number> => {
  const ending = new AbortController()
  let wait = Number.NaN
  const context: CallContext = {
    ...apiOf(client).alone,
    signal: ending.signal,
    onRetry: ({ delay }) => {
      wait = delay
      ending.abort(new Error('no further'))
    },
  }
  await failureOf(apiOf(client).call(READ, context))
  return wait
}

const SLOW = { giveUpAfter: 600_000, minDelay: 1, maxDelay: 60_000 }

t.test('a call waits as long as Retry-After asks', async t => {
  for (const status of [429, 503]) {
    const { client } = await answering(t, [[status, longShape, { 'retry-after': '40' }]], {
      retry: SLOW,
    })
    const wait = await firstWait(client)
    t.ok(wait > 39_000 && wait <= 40_001, `${status}: ${wait} ms`)
  }
})

t.test('after a call that went through, the next 429 waits for a second again', async t => {
  const { client } = await answering(
    t,
    [
      [429, longShape],
      [200, ASSET],
      [429, longShape],
    ],
    { retry: SLOW },
  )
  await client.getAsset('a1')
  const wait = await firstWait(client)
  t.ok(wait >= 900 && wait < 1_400, `${wait} ms`)
})

t.test(
  'uploads share the token and the gate of their client, unless theirs is another',
  async t => {
    let calls = 0
    const refusing = { 'retry-after': '60' }
    const { client, requests } = await answering(
      t,
      [
        [200, ASSET],
        [429, longShape, refusing],
        [200, ASSET],
      ],
      { retry: SLOW, token: () => `${SECRET}-${++calls}` },
    )
    const elsewhere = await serve(t, res => json(res, 200, ASSET))
    const shared = apiOf(client, { apiTimeout: 5_000 })
    await client.getAsset('a1')
    await firstWait(client)
    t.equal(requests.length, 2)
    const held = shared.call(READ, shared.alone).catch((error: Error) => error)
    for (const others of [{ token: 'another' }, { token: 'third', baseUrl: elsewhere.url }]) {
      const own = apiOf(client, others)
      t.match(await within(10_000, own.call(READ, own.alone)), ASSET)
    }
    t.equal(calls, 1, 'the token was fetched once for all that share it')
    t.equal(requests.length, 3, 'who shares the gate still waits')
    t.equal(elsewhere.requests[0]?.headers.authorization, 'Bearer third')
    t.equal(requests[2]?.headers.authorization, 'Bearer another')
    await client.close()
    t.match(await held, { code: 'ERR_CLIENT_CLOSED' })
  },
)

t.test("a client's token goes nowhere else, whatever is given on an upload", async t => {
  const elsewhere = await serve(t, res => json(res, 200, ONE_URL))
  const { client, url } = await answering(t, [[200, ONE_URL]])
  const upload = (options: object) =>
    new RealtimeUpload({ assetId: 'a1', filetype: 'video/mp4', client, ...options })
  t.throws(() => upload({ baseUrl: elsewhere.url }), {
    code: 'ERR_INVALID_OPTION',
    option: 'baseUrl',
    message: /^baseUrl must be of the client's own origin \(.*\) where no token is given beside it/,
  })
  for (const options of [{ baseUrl: elsewhere.url, token: 'another' }, { baseUrl: `${url}/v` }]) {
    upload(options).destroy()
  }
  t.equal(elsewhere.requests.length, 0)
})

t.test('a dispatcher that was given is used, and not closed', async t => {
  const { url, requests } = await serve(t, res => json(res, 200, ASSET))
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  const client = clientFor(t, url, { dispatcher })
  await client.getAsset('a1')
  await client.close()
  t.notOk(dispatcher.destroyed)
  t.notOk(dispatcher.closed)
  await clientFor(t, url, { dispatcher }).getAsset('a1')
  t.equal(requests.length, 2)
})

t.test('what is given on an upload overrides its client, for that upload alone', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = clientFor(t, sandbox.url)
  const own = smallUpload(sandbox, { client, token: sandbox.token })
  const clients = smallUpload(sandbox, { client })
  own.upload.end('some bytes')
  clients.upload.end('some bytes')
  t.equal(await endOf(own.upload), undefined)
  await own.asset.whenUploaded()
  t.match(await endOf(clients.upload), { code: 'ERR_UNAUTHORIZED' })
})

t.test('no error shows the token, whatever the server or the network makes of it', async t => {
  const echo = { errors: [{ detail: `your token ${SECRET} is bad, Bearer ${SECRET}` }] }
  for (const status of [400, 401, 403, 404, 409, 429, 500, 501, 302]) {
    const { client } = await answering(t, [[status, echo]], { retry: { ...QUICK, giveUpAfter: 0 } })
    t.notMatch(shown(await failureOf(client.getAsset('a1'))), SECRET, `${status}`)
    t.notMatch(shown(await failureOf(client.createRealtimeAsset(NEW))), SECRET, `${status}`)
  }
  const { url } = await closedPort(t, res => res.end())
  t.notMatch(shown(await failureOf(clientFor(t, url).getAsset('a1'))), SECRET)
  const broken = await serveRaw(t, socket => socket.once('data', data => socket.end(data)))
  t.notMatch(shown(await failureOf(clientFor(t, broken.url).getAsset('a1'))), SECRET)
  const hanging = await serveRaw(t, () => {})
  const impatient = clientFor(t, hanging.url, { apiTimeout: 20 })
  t.notMatch(shown(await failureOf(impatient.getAsset('a1'))), SECRET)
  const failing = await answering(t, [[200, ASSET]], {
    token: () => Promise.reject(Object.assign(new Error('no'), { refreshToken: SECRET })),
  })
  t.notMatch(shown(await failureOf(failing.client.getAsset('a1'))), SECRET)
})

t.test('an answer of 200 kB holds nobody up, and does not become the message', async t => {
  const start = performance.now()
  for (const part of ['http://', 'Bearer ', 'x', 'so much to say ']) {
    const said = part.repeat(200_000 / part.length)
    for (const body of [
      { error: said },
      { message: said, errors: [{ title: said, detail: said }] },
    ]) {
      for (const status of [400, 401, 500]) {
        const { client } = await answering(t, [[status, body]], {
          retry: { ...QUICK, giveUpAfter: 0 },
        })
        const error = (await failureOf(client.getAsset('a1'))) as RealtimeUploadError
        t.equal(error.statusCode, status)
        t.ok(error.message.length < 800, `${status}: ${error.message.length} characters`)
      }
    }
  }
  // With a pattern that looks again and again each of them took 8 s.
  t.ok(performance.now() - start < 30_000, 'it does not hang')
})

t.test('a token function that says much is quoted shortly', async t => {
  const { client } = await answering(t, [[200, ASSET]], {
    token: () => Promise.reject(new Error('no vault here; '.repeat(20_000))),
  })
  const error = await failureOf(client.getAsset('a1'))
  t.ok(shown(error).length < 10_000, `${shown(error).length} characters`)
})

t.test('a page of a portal is no word that an asset was deleted', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) => {
    if (count === 1) res.writeHead(200, { 'content-type': 'text/html' }).end('<html>hotel</html>')
    else res.writeHead(count === 2 ? 500 : 204).end()
  })
  await clientFor(t, url).deleteAsset('a1')
  t.equal(requests.length, 3)
})
