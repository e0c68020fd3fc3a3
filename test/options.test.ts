import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { defaultMemoryLimit } from '../lib/frameio/memory-limit.ts'
import { resolveClientOptions } from '../lib/frameio/options.ts'
import { LIMITS_DOOR } from '../lib/frameio/protocol.ts'
import { FrameioClient, RealtimeUpload, type RealtimeUploadOptions } from '../lib/index.ts'
import { resolveUploadOptions } from '../lib/upload/options.ts'
import { shown } from './support/sandboxes.ts'
import { SECRET } from './support/servers.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const TiB = 2 ** 40

/** Options as a caller without types would give them. */
type Loose = Record<string, unknown>

const NEEDED = { assetId: 'a-1', filetype: 'video/mp4' }

const upload = (options: Loose = {}) =>
  resolveUploadOptions({ ...NEEDED, ...options } as unknown as RealtimeUploadOptions)

const client = (options: Loose = {}) => resolveClientOptions({ token: SECRET, ...options })

/** The message with which these options are refused. */
const refusalOf = (t: Test, resolve: () => unknown): string => {
  try {
    resolve()
  } catch (error) {
    t.match(error, { name: 'RealtimeUploadError', code: 'ERR_INVALID_OPTION' })
    return error instanceof Error ? error.message : ''
  }
  t.fail('it should be refused')
  return ''
}

interface Case {
  readonly option: string
  readonly resolve: (options: Loose) => Loose
  readonly good: readonly unknown[]
  readonly bad: readonly unknown[]
  readonly rule: string
}

const duration = { good: [1, 0.5, 1e12, Infinity], bad: [0, -1, NaN, '5', null] }

const CASES: readonly Case[] = [
  {
    option: 'assetId',
    resolve: options => ({ ...upload(options) }),
    good: ['a', 'A_b-9', '2f1c9d6e-7f1c-4a8e-9d4b-1a2b3c4d5e6f', 'x'.repeat(128)],
    bad: [
      '',
      '.',
      '..',
      '../b',
      'a/b',
      'a%2Fb',
      'a?b',
      'a#b',
      'a b',
      'a\nb',
      'é',
      'x'.repeat(129),
      7,
    ],
    rule: "must be an id of Frame.io's",
  },
  {
    option: 'filetype',
    resolve: options => ({ ...upload(options) }),
    good: ['video/mp4', 'application/x-mpegURL', 'image/svg+xml', 'video/mp4; codecs="avc1"'],
    bad: [
      '',
      'video',
      'video/',
      '/mp4',
      'video/mp4\r\nx: y',
      'video/mp4\u0000',
      'vidéo/mp4',
      'a b/c',
    ],
    rule: 'must be a media type such as video/mp4',
  },
  {
    option: 'assetName',
    resolve: options => ({ ...upload(options) }),
    good: ['a.mp4', 'A 001 é.mov', '.mp4', undefined],
    bad: ['', 'name', 'name.', 'a\n.mp4', 7, null],
    rule: 'must be a name with an extension',
  },
  {
    option: 'partSize',
    resolve: options => ({ ...upload(options) }),
    good: [5 * MiB, 5 * MiB + 1, 5 * GiB],
    bad: [5 * MiB - 1, 5 * GiB + 1, 0, -1, NaN, Infinity, 5.5 * MiB + 0.5, '5242880'],
    rule: 'must be an integer from 5242880 to 5368709120 (bytes)',
  },
  {
    option: 'concurrency',
    resolve: options => ({ ...upload(options) }),
    good: [1, 1_000],
    bad: [0, 1_001, 1.5, '4', NaN],
    rule: 'must be an integer from 1 to 1000',
  },
  {
    option: 'maxSize',
    resolve: options => ({ ...upload(options) }),
    good: [1, 5 * TiB],
    bad: [0, 5 * TiB + 1, 1.5, Infinity, '1'],
    rule: 'must be an integer from 1 to 5497558138880 (bytes)',
  },
  {
    option: 'stallTimeout',
    resolve: options => ({ ...upload(options) }),
    good: duration.good,
    bad: [0, -1, NaN, '5'],
    rule: 'must be a positive number of ms',
  },
  {
    option: 'signal',
    resolve: options => ({ ...upload(options) }),
    good: [new AbortController().signal, undefined],
    bad: [{}, 'signal', new AbortController(), null],
    rule: 'must be an AbortSignal',
  },
  {
    option: 'apiTimeout',
    resolve: options => ({ ...client(options) }),
    ...duration,
    rule: 'must be a positive number of ms',
  },
  {
    option: 'memoryLimit',
    resolve: options => ({ ...client(options) }),
    good: [1, 2 ** 40],
    bad: [0, -1, 1.5, Infinity, '1', NaN],
    rule: 'must be an integer from 1 to 9007199254740991 (bytes)',
  },
  {
    option: 'concurrency',
    resolve: options => ({ ...client(options) }),
    good: [1, 1_000],
    bad: [0, 1_001, 1.5, '4'],
    rule: 'must be an integer from 1 to 1000',
  },
]

for (const { option, resolve, good, bad, rule } of CASES) {
  t.test(`${option}: what is good is kept, what is bad is named with its rule`, async t => {
    for (const value of good) t.equal(resolve({ [option]: value })[option], value)
    for (const value of bad) {
      const message = refusalOf(t, () => resolve({ [option]: value }))
      t.ok(message.startsWith(`${option} ${rule}`), message)
      const shownValue = typeof value === 'string' ? "'" : String(value).slice(0, 7)
      const received = message.split('; received ')[1] ?? ''
      t.ok(
        typeof value === 'object' || received.startsWith(shownValue),
        `names what it got: ${message}`,
      )
    }
  })
}

t.test('a filetype fits into a header', async t => {
  for (const filetype of ['video/mp4\u2003; a=b', 'video/mp4\u00a0;', 'video/mp4; a=é']) {
    refusalOf(t, () => upload({ filetype }))
  }
})

t.test('what is left out gets its default', async t => {
  t.match(upload(), {
    assetId: 'a-1',
    filetype: 'video/mp4',
    client: undefined,
    assetName: undefined,
    partSize: 5 * MiB,
    concurrency: 4,
    maxSize: 5 * TiB,
    stallTimeout: 30_000,
    signal: undefined,
  })
  const defaults = client()
  t.match(defaults, {
    token: SECRET,
    device: undefined,
    dispatcher: undefined,
    retry: { giveUpAfter: 600_000, minDelay: 500, maxDelay: 30_000 },
    apiTimeout: 30_000,
    memoryLimit: 256 * MiB,
    concurrency: 64,
  })
  t.equal(defaults.baseUrl.href, 'https://api.frame.io/')
  const undefinedGiven = client({
    apiTimeout: undefined,
    retry: { minDelay: undefined },
    device: undefined,
  })
  t.strictSame(undefinedGiven, defaults, 'undefined is the same as left out')
})

t.test('what is needed must be there', async t => {
  t.match(
    refusalOf(t, () => upload({ assetId: undefined })),
    /^assetId must be .*received undefined/,
  )
  t.match(
    refusalOf(t, () => upload({ filetype: undefined })),
    /^filetype must be .*undefined/,
  )
  t.match(
    refusalOf(t, () => resolveClientOptions({})),
    /^token must be .*received undefined/,
  )
  for (const options of [undefined, null, 7]) {
    const loose = options as unknown as RealtimeUploadOptions
    t.match(
      refusalOf(t, () => resolveUploadOptions(loose)),
      /^options must be an object/,
    )
    t.match(
      refusalOf(t, () => resolveClientOptions(loose)),
      /^options must be an object/,
    )
  }
})

t.test('a misspelt option is refused, with what was probably meant', async t => {
  const table: [resolve: () => unknown, message: string][] = [
    [() => upload({ partsize: 1 }), 'partsize is not an option; did you mean partSize?'],
    [() => upload({ baseURL: 1 }), 'baseURL is not an option; did you mean baseUrl?'],
    [() => client({ Token: SECRET }), 'Token is not an option; did you mean token?'],
    [() => client({ retry: { mindelay: 1 } }), 'did you mean retry.minDelay?'],
    [() => client({ device: { clientversion: '1' } }), 'did you mean device.clientVersion?'],
    [() => client({ retry: { tries: 5 } }), 'there are giveUpAfter, minDelay, maxDelay'],
    [() => upload({ lanes: 5 }), 'lanes is not an option; there are assetId, filetype'],
    [() => client({ partSize: 5 * MiB }), 'partSize is not an option; there are token, baseUrl'],
  ]
  for (const [resolve, message] of table) t.ok(refusalOf(t, resolve).includes(message), message)
})

t.test('retry: each figure has its bounds, and the others keep their default', async t => {
  const ok = { giveUpAfter: Infinity, minDelay: 0, maxDelay: 3_600_000 }
  t.strictSame(client({ retry: ok }).retry, ok)
  t.strictSame(client({ retry: { minDelay: 9, maxDelay: 9 } }).retry, {
    giveUpAfter: 600_000,
    minDelay: 9,
    maxDelay: 9,
  })
  t.equal(client({ retry: { giveUpAfter: 0 } }).retry.giveUpAfter, 0)
  const bad: [retry: unknown, message: RegExp][] = [
    [{ giveUpAfter: -1 }, /^retry\.giveUpAfter must be .*ms, 0 or more, or Infinity; received -1$/],
    [{ giveUpAfter: NaN }, /^retry\.giveUpAfter/],
    [{ giveUpAfter: '1' }, /^retry\.giveUpAfter/],
    [{ minDelay: -1 }, /^retry\.minDelay must be a number of ms from 0 to one hour; received -1$/],
    [{ minDelay: 3_600_001 }, /^retry\.minDelay/],
    [{ maxDelay: 499 }, /^retry\.maxDelay must be .* from retry\.minDelay \(500\) .*received 499$/],
    [{ maxDelay: 3_600_001 }, /^retry\.maxDelay/],
    [7, /^retry must be an object; received 7$/],
  ]
  for (const [retry, message] of bad)
    t.match(
      refusalOf(t, () => client({ retry })),
      message,
    )
})

t.test('device: a version, 0.0.0 unless it is given', async t => {
  t.strictSame(client({ device: {} }).device, { clientVersion: '0.0.0' })
  for (const clientVersion of ['1.2.3', '10.0.0-rc.1', '1.0.0+build.5']) {
    t.strictSame(client({ device: { clientVersion } }).device, { clientVersion })
  }
  for (const clientVersion of ['1', '1.2', 'v1.2.3', '1.2.3\r\nx: y', '', 7]) {
    const message = refusalOf(t, () => client({ device: { clientVersion } }))
    t.match(message, /^device\.clientVersion must be a semantic version/)
  }
  t.match(
    refusalOf(t, () => client({ device: 'c2c' })),
    /^device must be an object/,
  )
})

t.test('dispatcher: something that dispatches', async t => {
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.close())
  t.equal(client({ dispatcher }).dispatcher, dispatcher)
  for (const bad of [{}, 'agent', 7]) {
    t.match(
      refusalOf(t, () => client({ dispatcher: bad })),
      /^dispatcher must be an undici/,
    )
  }
})

t.test('baseUrl: https, or http on a loopback host', async t => {
  const good = [
    'https://api.frame.io',
    'https://proxy.example/frameio/',
    'http://localhost:8080',
    'http://127.0.0.1:1',
    'http://127.9.9.9',
    'http://[::1]:8080',
    new URL('https://api.frame.io'),
  ]
  for (const baseUrl of good) t.equal(client({ baseUrl }).baseUrl.href, new URL(baseUrl).href)
  const bad = [
    'http://api.frame.io',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'http://10.0.0.1',
    'http://0.0.0.0',
    'ftp://api.frame.io',
    'api.frame.io',
    '',
    'https://api.frame.io/?a=b',
    'https://api.frame.io/#a',
    7,
    null,
    {},
  ]
  for (const baseUrl of bad) {
    t.match(
      refusalOf(t, () => client({ baseUrl })),
      /^baseUrl must be an https URL .*; received /,
    )
  }
})

t.test('a password in baseUrl is refused and not shown', async t => {
  for (const baseUrl of [
    'https://user:passw0rd@h.example',
    new URL('https://:passw0rd@h.example'),
  ]) {
    const message = refusalOf(t, () => client({ baseUrl }))
    t.match(message, /^baseUrl must be .*received 'https:\/\/h\.example\/'/)
    t.notMatch(message, /passw0rd/)
  }
})

t.test('a resolved baseUrl does not change with the one that was given', async t => {
  const given = new URL('https://api.frame.io')
  const { baseUrl } = client({ baseUrl: given })
  given.host = 'evil.example'
  t.equal(baseUrl.host, 'api.frame.io')
})

t.test('a token must fit into a header, and is never shown', async t => {
  for (const token of [SECRET, 'a', '~!@#$%^&*()', () => 'later'])
    t.equal(client({ token }).token, token)
  for (const token of [`${SECRET}\n`, `${SECRET} x`, `${SECRET}é`, `${SECRET}\u0000`, '']) {
    t.match(
      refusalOf(t, () => client({ token })),
      /^token must be .*\(hidden\)$/,
    )
    try {
      client({ token })
    } catch (error) {
      t.notMatch(shown(error), SECRET)
    }
  }
  for (const token of [7, null, { secret: SECRET }, [SECRET]]) {
    const message = refusalOf(t, () => client({ token }))
    t.match(message, /^token must be .*received (number|object)$/)
  }
})

t.test('a token that is passed in the wrong place is not shown', async t => {
  const loose = (value: unknown) => value as RealtimeUploadOptions & { token: string }
  const places: Record<string, () => unknown> = {
    'instead of the options of a client': () => new FrameioClient(loose(SECRET)),
    'instead of the options of an upload': () => new RealtimeUpload(loose(SECRET)),
    'in an object given as the client': () =>
      new RealtimeUpload(loose({ ...NEEDED, client: { token: SECRET } })),
  }
  for (const [place, construct] of Object.entries(places)) {
    t.notMatch(refusalOf(t, construct), SECRET, place)
  }
})

t.test('what is received is cut short', async t => {
  const message = refusalOf(t, () => upload({ assetId: '/'.repeat(10_000) }))
  t.ok(message.length < 300, `${message.length} characters`)
})

t.test('options of an upload override those of its client, the others stay', async t => {
  const base = client({
    baseUrl: 'https://proxy.example',
    device: { clientVersion: '1.0.0' },
    retry: { giveUpAfter: 5, minDelay: 1, maxDelay: 2 },
    apiTimeout: 7,
    memoryLimit: 8,
    concurrency: 9,
  })
  t.strictSame(resolveClientOptions({}, base), base)
  t.match(
    resolveClientOptions({ token: 'other', retry: { giveUpAfter: 6 }, apiTimeout: 70 }, base),
    {
      token: 'other',
      baseUrl: new URL('https://proxy.example'),
      device: { clientVersion: '1.0.0' },
      retry: { giveUpAfter: 6, minDelay: 1, maxDelay: 2 },
      apiTimeout: 70,
      memoryLimit: 8,
      concurrency: 9,
    },
  )
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.close())
  const other = resolveClientOptions({ dispatcher, device: { clientVersion: '2.0.0' } }, base)
  t.equal(other.dispatcher, dispatcher)
  t.strictSame(other.device, { clientVersion: '2.0.0' })
  t.match(
    refusalOf(t, () => resolveClientOptions({ apiTimeout: 0 }, base)),
    /^apiTimeout must/,
  )
})

t.test("an upload hands on what is the connection's", async t => {
  const retry = { minDelay: 5 }
  const { connection } = upload({ token: 'tok', retry, apiTimeout: 5 })
  t.match(connection, { token: 'tok', retry, apiTimeout: 5, baseUrl: undefined })
  t.notOk('partSize' in connection)
})

t.test('limits that are lowered through the door bound the options', async t => {
  const door = { [LIMITS_DOOR]: { minPartSize: 10, maxPartSize: 20, maxFilesize: 30 } }
  const options = { ...NEEDED, ...door }
  t.match(resolveUploadOptions(options), { partSize: 10, maxSize: 30, limits: { maxPartSize: 20 } })
  t.match(
    refusalOf(t, () => resolveUploadOptions({ ...options, partSize: 21 })),
    /^partSize must be an integer from 10 to 20/,
  )
})

t.test('the constructors refuse at once', async t => {
  t.throws(() => new FrameioClient({ token: '' }), { code: 'ERR_INVALID_OPTION' })
  t.throws(() => new RealtimeUpload({ ...NEEDED }), {
    code: 'ERR_INVALID_OPTION',
    message: /^token/,
  })
  const wrong = { ...NEEDED, client: 'c', token: SECRET } as unknown as RealtimeUploadOptions
  t.throws(() => new RealtimeUpload(wrong), {
    code: 'ERR_INVALID_OPTION',
    message: /^client must be a FrameioClient; received 'c'/,
  })
})

t.test('the default memory is a quarter of what a container allows, and two parts at least', t => {
  const table: [constrained: number, limit: number][] = [
    [0, 256 * MiB],
    [18_446_744_073_709_552_000, 256 * MiB],
    [4 * GiB, 256 * MiB],
    [200 * MiB, 50 * MiB],
    [16 * MiB, 10 * MiB],
  ]
  for (const [constrained, limit] of table) {
    t.equal(defaultMemoryLimit(constrained), limit, `${constrained} bytes`)
  }
  t.end()
})

t.test('where OpenSSL has no MD5, integrity is refused at once', t => {
  const { createHash } = crypto
  t.teardown(() => {
    crypto.createHash = createHash
    syncBuiltinESMExports()
  })
  crypto.createHash = (algorithm, ...rest) => {
    if (algorithm === 'md5') throw new Error('digital envelope routines::unsupported')
    return createHash(algorithm, ...rest)
  }
  syncBuiltinESMExports()
  t.match(
    refusalOf(t, () => upload({ integrity: 'md5' })),
    /^integrity must be left out where OpenSSL has no MD5.*received 'md5'$/,
  )
  t.equal(upload().integrity, undefined)
  t.end()
})
