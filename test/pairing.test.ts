import t from 'tap'
import { Agent } from 'undici'
import { CLOCK_DOOR } from '../lib/frameio/pairing-options.ts'
import {
  type PairDeviceOptions,
  type PairingCode,
  pairDevice,
  RealtimeUploadError,
  type Retry,
  type Tokens,
} from '../lib/index.ts'
import type { Fault, Sandbox, SandboxDevice, SandboxOptions } from '../lib/sandbox/index.ts'
import { QUICK, sandboxFor, shown, until } from './support/sandboxes.ts'

/** As fast as the machine: what a device waits for is written down, and cut short. */
const clock = (waits: number[]) => ({
  now: () => performance.now(),
  sleep: async (ms: number, signal: AbortSignal) => {
    waits.push(ms)
    await new Promise(resolve => setTimeout(resolve, 5))
    signal.throwIfAborted()
  },
})

const quick: SandboxOptions = { pairing: { interval: 0.001 } }

const optionsFor = (
  sandbox: Sandbox,
  waits: number[] = [],
  more: Partial<PairDeviceOptions> = {},
): PairDeviceOptions => ({
  clientId: 'b6a7b810-9dad-11d1-80b4-00c04fd430c8',
  clientSecret: sandbox.credentials.clientSecret,
  clientVersion: '1.2.3',
  baseUrl: sandbox.url,
  retry: QUICK,
  onCode: ({ userCode }) => {
    sandbox.devices.enter(userCode, { name: 'Cam A' })
  },
  ...{ [CLOCK_DOOR]: clock(waits) },
  ...more,
})

const callsOf = ({ requests }: Sandbox) => requests.map(({ operation }) => operation)

const isPaired = ({ isPaired }: SandboxDevice) => isPaired

const word = (error: string): Fault['do'] => ({ status: 400, body: { error } })

t.test('a code is shown, a person enters it, and there are tokens and a device', async t => {
  const sandbox = await sandboxFor(t, quick)
  const codes: PairingCode[] = []
  const enter = optionsFor(sandbox).onCode
  const { tokens, device } = await pairDevice(
    optionsFor(sandbox, [], {
      onCode: code => {
        codes.push(code)
        return enter(code)
      },
    }),
  )
  const [paired] = sandbox.devices.paired
  t.strictSame(tokens, {
    accessToken: paired?.accessToken,
    refreshToken: paired?.refreshToken,
    lifetime: 28_800_000,
  })
  t.match(device, { name: 'Cam A', status: 'online', project: { name: 'Sandbox project' } })
  t.match(codes, [{ userCode: /^\d{6}$/, verificationUri: /^https:/ }])
  t.match(codes[0]?.verificationUriComplete, codes[0]?.userCode)
  const { expiresIn = 0 } = codes[0] ?? {}
  t.ok(expiresIn > 60_000 && expiresIn <= 120_000)
  t.strictSame(callsOf(sandbox), ['code', 'poll', 'device'])
  for (const { headers } of sandbox.requests) t.equal(headers['x-client-version'], '1.2.3')
  await until(() => sandbox.stats.openSockets === 0, 'its connections to be closed')
})

t.test('a device asks as often as it is told to, and slower when it is told so', async t => {
  const sandbox = await sandboxFor(t, quick)
  sandbox.faults.add(
    { on: 'poll', nth: 1, times: 2, do: word('authorization_pending') },
    { on: 'poll', nth: 3, do: word('slow_down') },
    { on: 'poll', nth: 4, do: word('authorization_pending') },
    { on: 'poll', nth: 5, do: word('slow_down') },
  )
  const waits: number[] = []
  await pairDevice(optionsFor(sandbox, waits))
  t.strictSame(waits, [1, 1, 1, 5_001, 5_001, 10_001])
})

t.test(
  'in trouble of the network it asks less often, and with the next code as before',
  async t => {
    const sandbox = await sandboxFor(t, quick)
    sandbox.faults.add(
      { on: 'poll', nth: 1, do: { status: 503 } },
      { on: 'poll', nth: 2, do: { reset: 'before' } },
      { on: 'poll', nth: 3, do: { status: 403, body: '<html>Log in to the Wi-Fi</html>' } },
      { on: 'poll', nth: 4, do: { status: 200, body: '<html>Log in to the Wi-Fi</html>' } },
      { on: 'poll', nth: 5, do: word('expired_token') },
    )
    const waits: number[] = []
    await pairDevice(optionsFor(sandbox, waits))
    t.strictSame(waits, [1, 2, 4, 8, 16, 1])
  },
)

for (const over of ['expired_token', 'invalid_grant']) {
  t.test(`${over}: a new code comes by itself`, async t => {
    const sandbox = await sandboxFor(t, quick)
    sandbox.faults.add({ on: 'poll', times: 2, do: word(over) })
    const codes: string[] = []
    const { device } = await pairDevice(
      optionsFor(sandbox, [], {
        onCode: ({ userCode }) => {
          codes.push(userCode)
          sandbox.devices.enter(userCode)
        },
      }),
    )
    t.equal(new Set(codes).size, 3)
    t.ok(device)
  })
}

t.test('a code that expires unheard is replaced as well, on our own clock', async t => {
  const sandbox = await sandboxFor(t, { pairing: { interval: 0.001, expiresIn: 0.5 } })
  let codes = 0
  const { device } = await pairDevice(
    optionsFor(sandbox, [], {
      onCode: ({ userCode }) => {
        codes += 1
        if (codes === 1) sandbox.faults.add({ on: 'poll', times: Infinity, do: { status: 503 } })
        else sandbox.faults.clear()
        if (codes > 1) sandbox.devices.enter(userCode)
      },
    }),
  )
  t.ok(codes > 1)
  t.ok(device)
})

t.test('a wall clock that jumps changes nothing', async t => {
  const sandbox = await sandboxFor(t, quick)
  const { now } = Date
  t.teardown(() => {
    Date.now = now
  })
  let jump = 1
  Date.now = () => {
    jump *= -7
    return now() + jump * 86_400_000
  }
  sandbox.faults.add({ on: 'poll', times: 5, do: word('authorization_pending') })
  const waits: number[] = []
  await pairDevice(optionsFor(sandbox, waits))
  t.strictSame(waits, Array(6).fill(1))
})

/** What is said at a step, and how the pairing ends. */
const ends: [on: 'code' | 'poll' | 'device', answer: Fault['do'], code: string, message: RegExp][] =
  [
    ['code', word('invalid_client'), 'ERR_UNAUTHORIZED', /Asking for a code.*check clientId and/],
    ['code', word('invalid_request'), 'ERR_REQUEST_REJECTED', /invalid_request.*unique to the dev/],
    ['code', { status: 401, body: { error: 'no' } }, 'ERR_UNAUTHORIZED', /answered 401 \(no\)/],
    ['code', { status: 503 }, 'ERR_SERVER', /answered 503/],
    ['code', { status: 401, body: '<html>Wi-Fi</html>' }, 'ERR_BAD_RESPONSE', /answered 401/],
    ['code', { status: 200, body: { user_code: '123456' } }, 'ERR_BAD_RESPONSE', /makes no sense/],
    ['code', { reset: 'after' }, 'ERR_NETWORK', /Asking for a code failed/],
    [
      'code',
      { status: 200, body: { device_code: 'd', user_code: '\u001b[2J' } },
      'ERR_BAD_RESPONSE',
      /user_code/,
    ],
    ['poll', word('invalid_client'), 'ERR_UNAUTHORIZED', /Pairing failed.*check clientId/],
    ['poll', word('invalid_request'), 'ERR_REQUEST_REJECTED', /invalid_request/],
    ['poll', word('access_denied'), 'ERR_FORBIDDEN', /the person declined/],
    ['poll', word('whatever'), 'ERR_REQUEST_REJECTED', /answered 400 \(whatever\)/],
    ['poll', { status: 200, body: { access_token: 'a' } }, 'ERR_BAD_RESPONSE', /refresh_token/],
    ['device', { status: 401, body: { error: 'no' } }, 'ERR_UNAUTHORIZED', /Reading the device/],
  ]

for (const [on, answer, code, message] of ends) {
  t.test(`${on} answered with ${JSON.stringify(answer)} ends it: ${code}`, async t => {
    const sandbox = await sandboxFor(t, quick)
    sandbox.faults.add({ on, times: Infinity, do: answer })
    const error = await pairDevice(optionsFor(sandbox)).then(
      () => undefined,
      (error: Error) => error,
    )
    t.match(error, { name: 'RealtimeUploadError', code, message })
    t.notMatch(shown(error), /sandbox-(secret|device)/, 'it tells no secret')
    await until(() => sandbox.stats.openSockets === 0, 'its connections to be closed')
  })
}

t.test('a secret that comes back in a refusal is not shown', async t => {
  const sandbox = await sandboxFor(t, quick)
  const { clientSecret } = sandbox.credentials
  sandbox.faults.add({ on: 'code', do: word(`who is ${clientSecret}?`) })
  const error = await pairDevice(optionsFor(sandbox)).catch(error => error)
  t.match(error, { message: /who is \[redacted\]\?/ })
  t.notOk(shown(error).includes(clientSecret))
})

t.test('where the device cannot be asked any more, the tokens are not lost', async t => {
  const json = (status: number, error: string): Fault['do'] => ({ status, body: { error } })
  for (const answer of [
    { status: 503 },
    { status: 403 },
    json(400, 'no'),
    json(402, 'usage exceeded'),
    json(404, 'no such device'),
    json(409, 'Channel Paused'),
    { status: 200, body: { nonsense: 1 } },
  ]) {
    const sandbox = await sandboxFor(t, quick)
    sandbox.faults.add({ on: 'device', times: Infinity, do: answer })
    const { tokens, device } = await pairDevice(optionsFor(sandbox))
    t.equal(device, undefined)
    t.equal(tokens.accessToken, sandbox.devices.paired[0]?.accessToken)
    t.strictSame(sandbox.devices.paired.map(isPaired), [true], shown(answer))
  }
})

t.test('they are saved soon, however long the device is asked for', async t => {
  const sandbox = await sandboxFor(t, quick)
  sandbox.faults.add({ on: 'device', times: Infinity, do: { status: 503 } })
  const saved: Tokens[] = []
  const options = optionsFor(sandbox, [], {
    retry: { ...QUICK, giveUpAfter: Infinity },
    save: tokens => void saved.push(tokens),
  })
  t.match(await pairDevice(options), { device: undefined })
  t.equal(saved[0]?.accessToken, sandbox.devices.paired[0]?.accessToken)
})

t.test('a screen is told when a code is over, and each time only of that code', async t => {
  const sandbox = await sandboxFor(t, quick)
  sandbox.faults.add({ on: 'poll', do: word('expired_token') })
  sandbox.faults.add({ on: 'device', do: { delay: 50 } })
  const codes: PairingCode[] = []
  const onCode: PairDeviceOptions['onCode'] = code => {
    codes.push(code)
    t.strictSame(
      codes.map(({ signal }) => signal.aborted),
      codes.map((_, at) => at < codes.length - 1),
    )
    sandbox.devices.enter(code.userCode)
  }
  const pairing = pairDevice(optionsFor(sandbox, [], { onCode }))
  await until(() => codes[1]?.signal.aborted === true, 'the end of the second')
  t.notOk(
    sandbox.requests.find(({ operation }) => operation === 'device')?.endedAt,
    'as soon as it was entered, whatever is asked afterwards',
  )
  await pairing
  t.equal(codes.length, 2)
})

t.test('each other try is told of', async t => {
  const sandbox = await sandboxFor(t, quick)
  sandbox.faults.add(
    { on: 'code', do: { status: 503 } },
    { on: 'poll', times: 2, do: { reset: 'before' } },
    { on: 'device', do: { status: 502 } },
  )
  const told: Retry[] = []
  const onRetry = (retry: Retry) => void told.push(retry)
  await pairDevice(optionsFor(sandbox, [], { onRetry, retry: { ...QUICK, giveUpAfter: 9_000 } }))
  t.match(told, [
    { attempt: 1, error: { code: 'ERR_SERVER', message: /Asking for a code/ } },
    { attempt: 1, delay: 2, error: { code: 'ERR_NETWORK', message: /Pairing failed/ } },
    { attempt: 2, delay: 4, error: { code: 'ERR_NETWORK' } },
    { attempt: 1, error: { code: 'ERR_SERVER', message: /Reading the device/ } },
  ])
  const left = told.map(({ giveUpIn }) => giveUpIn)
  t.ok(left[1] && left[1] > 60_000 && left[1] < 121_000, 'until there is another code')
  t.ok(left[0] && left[0] <= 9_000)
})

t.test('what onCode throws is what the pairing fails with', async t => {
  const sandbox = await sandboxFor(t, quick)
  const broken = new Error('no screen')
  const onCode = () => Promise.reject(broken)
  t.equal(await pairDevice(optionsFor(sandbox, [], { onCode })).catch(error => error), broken)
})

t.test('it can be cancelled at each step, and nothing is in flight then', async t => {
  const steps: [name: string, fault: Fault | undefined, onCode?: PairDeviceOptions['onCode']][] = [
    ['asking for a code', { on: 'code', do: { hang: 'answer' } }],
    ['between two tries of it', { on: 'code', times: Infinity, do: { status: 503 } }],
    ['showing it', undefined, () => new Promise(() => {})],
    ['waiting to ask', undefined, () => {}],
    ['asking whether it was entered', { on: 'poll', do: { hang: 'answer' } }],
    ['asking who the device is', { on: 'device', do: { hang: 'answer' } }],
  ]
  for (const [name, fault, onCode] of steps) {
    const sandbox = await sandboxFor(t, name === 'waiting to ask' ? {} : quick)
    if (fault) sandbox.faults.add(fault)
    const stop = new AbortController()
    let isShown = false
    const options = optionsFor(sandbox, [], {
      signal: stop.signal,
      retry: { minDelay: 3_000_000, maxDelay: 3_000_000 },
      onCode: code => {
        isShown = true
        return (onCode ?? optionsFor(sandbox).onCode)(code)
      },
    })
    const { [CLOCK_DOOR]: _, ...real } = options as PairDeviceOptions & { [CLOCK_DOOR]: unknown }
    const pairing = pairDevice(real)
    await until(() => (fault ? sandbox.faults.fired.length > 0 : isShown), name)
    stop.abort('enough')
    await t.rejects(pairing, { name: 'AbortError', cause: 'enough', message: /pairing/ }, name)
    await until(() => sandbox.stats.openSockets === 0, `no connection after ${name}`)
    const left = sandbox.devices.paired.filter(({ accessToken }) => accessToken !== '')
    t.notOk(left.some(isPaired), `nobody is paired after ${name}`)
  }
  const before = pairDevice({ ...optionsFor(await sandboxFor(t)), signal: AbortSignal.abort() })
  await t.rejects(before, { name: 'AbortError' }, 'before it began')
})

t.test(
  'tokens that came and are not kept are revoked, and what it failed with is told',
  async t => {
    const broken = new Error('no room')
    const alike = new RealtimeUploadError('ERR_SERVER', 'no room')
    const stop = new AbortController()
    const cases: [name: string, more: Partial<PairDeviceOptions>, says: object, fault?: Fault][] = [
      [
        'who it is, refused',
        {},
        { code: 'ERR_UNAUTHORIZED', message: /^Reading the device failed: (?!.*stays)/ },
        { on: 'device', times: Infinity, do: { status: 401, body: { error: 'no' } } },
      ],
      [
        'onRetry throws',
        {
          onRetry: () => {
            throw broken
          },
        },
        broken,
        { on: 'device', do: { status: 503 } },
      ],
      [
        'onRetry throws what Frame.io may have answered',
        {
          onRetry: () => {
            throw alike
          },
        },
        alike,
        { on: 'device', do: { status: 503 } },
      ],
      ['they cannot be saved', { save: () => Promise.reject(broken) }, broken],
      [
        'aborted while they wait to be saved',
        {
          signal: stop.signal,
          save: async (_, signal) => {
            stop.abort('enough')
            signal.throwIfAborted()
          },
        },
        { name: 'AbortError', cause: 'enough', message: 'The pairing was aborted' },
      ],
    ]
    for (const [name, more, says, fault] of cases) {
      const sandbox = await sandboxFor(t, quick)
      if (fault) sandbox.faults.add(fault)
      const error = await pairDevice(optionsFor(sandbox, [], more)).catch(error => error)
      t.match(error, says, name)
      if (says instanceof Error) t.equal(error, says, name)
      t.equal(callsOf(sandbox).at(-1), 'revoke', name)
      t.strictSame(sandbox.devices.paired.map(isPaired), [false], name)
      await until(() => sandbox.stats.openSockets === 0, `no connection after: ${name}`)
    }
  },
)

t.test(
  'tokens in an answer that was under way when it was aborted are revoked as well',
  async t => {
    const sandbox = await sandboxFor(t, quick)
    const stop = new AbortController()
    const agent = new Agent()
    t.teardown(() => agent.close())
    const dispatcher = agent.compose(dispatch => (options, handler) => {
      const isSent = dispatch(options, handler)
      if (options.path === '/v2/auth/token') stop.abort('enough')
      return isSent
    })
    const pairing = pairDevice(optionsFor(sandbox, [], { signal: stop.signal, dispatcher }))
    await t.rejects(pairing, { name: 'AbortError', cause: 'enough' })
    t.strictSame(callsOf(sandbox), ['code', 'poll', 'revoke'])
    t.strictSame(sandbox.devices.paired.map(isPaired), [false])
  },
)

t.test('once they are saved it is paired, whatever the signal does', async t => {
  const sandbox = await sandboxFor(t, quick)
  const stop = new AbortController()
  const saved: Tokens[] = []
  const save = async (tokens: Tokens) => {
    stop.abort()
    saved.push(tokens)
  }
  const options = optionsFor(sandbox, [], { signal: stop.signal, save })
  t.match(await pairDevice(options), { tokens: saved[0], device: { name: 'Cam A' } })
  t.strictSame(callsOf(sandbox), ['code', 'poll', 'device'])
  t.strictSame(sandbox.devices.paired.map(isPaired), [true])
})

t.test(
  'where revoking fails, it is said what to do, soon, and nothing is lost silently',
  async t => {
    const left =
      /The device stays paired at Frame\.io, .*; remove it in the project's C2C Connections$/
    const no: Fault['do'] = { status: 401, body: { error: 'no' } }
    for (const [answer, says, broken] of [
      [
        word('invalid_client'),
        /: Frame\.io answered 400 \(invalid_client\); .*; remove/,
        undefined,
      ],
      [{ hang: 'answer' }, /: no answer within 5 s; remove/, new Error('no room')],
    ] as [Fault['do'], RegExp, Error | undefined][]) {
      const sandbox = await sandboxFor(t, quick)
      sandbox.faults.add({ on: 'revoke', times: Infinity, do: answer })
      if (!broken) sandbox.faults.add({ on: 'device', times: Infinity, do: no })
      const save = () => Promise.reject(broken)
      const error = await pairDevice(optionsFor(sandbox, [], { save })).catch(error => error)
      t.match(error, { name: 'RealtimeUploadError', message: left })
      t.match(error.message, says)
      t.match(error.message, broken ? /^no room\. The device/ : /^Reading the device failed: .*401/)
      t.equal(error.code, broken ? 'ERR_TIMEOUT' : 'ERR_UNAUTHORIZED')
      t.equal(error.cause.message, broken?.message ?? error.cause.message)
      t.notMatch(shown(error), /sandbox-(secret|device)/, 'it tells no secret')
    }
    const sandbox = await sandboxFor(t, quick)
    sandbox.faults.add({ on: 'revoke', times: Infinity, do: word('invalid_client') })
    const stop = new AbortController()
    const save = async (_: Tokens, signal: AbortSignal) => {
      stop.abort('enough')
      signal.throwIfAborted()
    }
    const options = optionsFor(sandbox, [], { signal: stop.signal, save })
    const error = await pairDevice(options).catch(error => error)
    t.match(error, { name: 'AbortError', message: left, cause: { code: 'ERR_UNAUTHORIZED' } })
    t.match(error.message, /^The pairing was aborted\. /)
  },
)

t.test('bad options are refused by name, and secrets are not shown', async t => {
  const good = { clientId: 'c', clientSecret: 's', onCode: () => {} }
  const bad: [options: object, message: RegExp][] = [
    [{ clientId: '' }, /^clientId must be a non-empty string; received ''$/],
    [{ clientSecret: undefined }, /^clientSecret must be a non-empty string; received undefined$/],
    [{ clientSecret: { hush: 1 } }, /^clientSecret must be(?!.*hush).*received object$/],
    [{ clientVersion: '1' }, /^clientVersion must be a semantic version/],
    [{ baseUrl: 'http://api.frame.io' }, /^baseUrl must be an https URL/],
    [{ dispatcher: 5 }, /^dispatcher must be an undici Dispatcher/],
    [{ signal: 5 }, /^signal must be an AbortSignal/],
    [{ onCode: 5 }, /^onCode must be a function/],
    [{ onRetry: 5 }, /^onRetry must be a function/],
    [{ save: 5 }, /^save must be a function/],
    [{ retry: { giveUpAfter: -1 } }, /^retry\.giveUpAfter must be/],
    [{ oncode: 5 }, /^oncode is not an option; did you mean onCode\?/],
  ]
  for (const [options, message] of bad) {
    const all = { ...good, ...options } as PairDeviceOptions
    await t.rejects(pairDevice(all), { code: 'ERR_INVALID_OPTION', message })
  }
})
