import t from 'tap'
import { RealtimeUploadError } from '../lib/errors.ts'
import {
  backoff,
  Failure,
  type Gate,
  Pulse,
  type Retry,
  type RetryContext,
  readRetryAfter,
  sleep,
  withRetries,
} from '../lib/net/retry.ts'
import type { Ruling } from '../lib/net/rulings.ts'
import { QUICK } from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'

t.test('Retry-After: seconds, a date, or nonsense', async t => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  const table: [header: unknown, ms: number | undefined][] = [
    ['0', 0],
    ['7', 7_000],
    [' 120 ', 120_000],
    ['Thu, 01 Jan 2026 00:00:09 GMT', 9_000],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 0],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
    [['1', '2'], undefined],
    [5, undefined],
  ]
  for (const [header, ms] of table) t.equal(readRetryAfter(header, now), ms, `${header}`)
  const inAMinute = new Date(Date.now() + 60_000).toUTCString()
  t.ok(Number(readRetryAfter(inAMinute)) > 50_000, 'a date counts from now')
})

t.test('a delay lies between minDelay and a ceiling that doubles up to maxDelay', async t => {
  const retry = { giveUpAfter: 0, minDelay: 500, maxDelay: 30_000 }
  const ceilings = [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
  for (const [i, ceiling] of ceilings.entries()) {
    t.equal(backoff(i + 1, retry, 0), 500)
    t.equal(backoff(i + 1, retry, 1), ceiling)
    t.equal(backoff(i + 1, retry, 0.5), (500 + ceiling) / 2)
  }
  const delays = Array.from({ length: 200 }, () => backoff(3, retry))
  t.ok(delays.every(delay => delay >= 500 && delay <= 4_000))
  t.ok(new Set(delays).size > 100, 'they differ, so that many uploads do not come back as one')
})

t.test('a delay is a number of ms, however often it failed and whatever minDelay is', async t => {
  for (const minDelay of [0, 1, 500]) {
    for (const attempt of [1, 50, 1_023, 1_024, 5_000]) {
      const delay = backoff(attempt, { giveUpAfter: Infinity, minDelay, maxDelay: 1_000 })
      t.ok(
        delay >= minDelay && delay <= 1_000,
        `minDelay ${minDelay}, attempt ${attempt}: ${delay}`,
      )
    }
  }
})

const contextFor = (options: Partial<RetryContext> = {}) => {
  const waits: Retry[] = []
  const ending = new AbortController()
  const context: RetryContext = {
    retry: QUICK,
    signal: ending.signal,
    pulse: new Pulse(),
    onRetry: retry => waits.push(retry),
    ...options,
  }
  return { waits, ending, context }
}

const RETRY: Ruling = { verdict: 'retry', code: 'ERR_NETWORK' }
const LIMITED: Ruling = { verdict: 'retry', code: 'ERR_RATE_LIMITED' }
const FATAL: Ruling = { verdict: 'fatal', code: 'ERR_FORBIDDEN' }

/** Attempts that fail by these rulings in turn, then succeed. */
const failing = (...rulings: Ruling[]) => {
  const seen: number[] = []
  const attempt = async (number: number) => {
    seen.push(number)
    const ruling = rulings[number - 1]
    if (ruling) throw new Failure(ruling, `failure ${number}`)
    return 'done'
  }
  return { seen, attempt }
}

t.test('success at once tells nobody', async t => {
  const { context, waits } = contextFor()
  t.equal(await withRetries(async number => number, context), 1)
  t.strictSame(waits, [])
})

t.test('transient faults are tried again until one succeeds', async t => {
  const { context, waits } = contextFor()
  const { seen, attempt } = failing(RETRY, RETRY, RETRY)
  t.equal(await withRetries(attempt, context), 'done')
  t.strictSame(seen, [1, 2, 3, 4])
  t.match(waits, [
    { attempt: 1, error: { code: 'ERR_NETWORK', message: 'failure 1', attempts: 1 } },
    { attempt: 2, error: { attempts: 2 } },
    { attempt: 3, error: { attempts: 3 } },
  ])
  for (const { delay } of waits) t.ok(delay >= QUICK.minDelay && delay <= QUICK.maxDelay)
})

t.test('a fatal fault ends it at once, with its details', async t => {
  const { context, waits } = contextFor()
  const cause = Object.assign(new Error('underneath'), { code: 'EPIPE' })
  const error = await failureOf(
    withRetries(async () => {
      throw new Failure(FATAL, 'no way', { assetId: 'a', partNumber: 3, statusCode: 403, cause })
    }, context),
  )
  t.ok(error instanceof RealtimeUploadError)
  t.match(error, {
    code: 'ERR_FORBIDDEN',
    message: 'no way',
    assetId: 'a',
    partNumber: 3,
    statusCode: 403,
    attempts: 1,
    cause: { message: 'underneath', code: 'EPIPE' },
  })
  t.strictSame(waits, [])
})

t.test('what was not judged is thrown as it is', async t => {
  const { context, waits } = contextFor()
  const bug = new TypeError('a bug')
  t.equal(await failureOf(withRetries(() => Promise.reject(bug), context)), bug)
  t.strictSame(waits, [])
})

t.test('at least three attempts are made, however small the budget', async t => {
  const { context, waits } = contextFor({ retry: { ...QUICK, giveUpAfter: 0 } })
  const { seen, attempt } = failing(...Array<Ruling>(9).fill(RETRY))
  const error = await failureOf(withRetries(attempt, context))
  t.strictSame(seen, [1, 2, 3])
  t.match(error, { code: 'ERR_NETWORK', message: 'failure 3', attempts: 3 })
  t.equal(waits.length, 2)
})

t.test('the budget ends it, and the last wait is cut to what is left', async t => {
  const { context, waits } = contextFor({ retry: { giveUpAfter: 60, minDelay: 25, maxDelay: 25 } })
  const { attempt } = failing(...Array<Ruling>(99).fill(RETRY))
  const error = await failureOf(withRetries(attempt, context))
  t.match(error, { code: 'ERR_NETWORK' })
  const total = waits.reduce((sum, { delay }) => sum + delay, 0)
  t.ok(total < 65, `${total} ms were asked for in all`) // A timer may be a millisecond early.
})

t.test('whoever is told hears what is left of the budget, which a beat renews', async t => {
  const pulse = new Pulse()
  const left: number[] = []
  const { context } = contextFor({
    retry: { giveUpAfter: 60_000, minDelay: 20, maxDelay: 20 },
    pulse,
    onRetry: ({ giveUpIn }) => void left.push(giveUpIn),
  })
  const { attempt } = failing(RETRY, RETRY, RETRY)
  const beating = async (number: number) => {
    if (number === 3) pulse.beat()
    return attempt(number)
  }
  t.equal(await withRetries(beating, context), 'done')
  const [first = 0, second = 0, third = 0] = left
  t.ok(first <= 60_000 && first > second, `${first}, then ${second}`)
  t.ok(third > second && third <= 60_000, `${third} after a beat`)
})

t.test('an excused failure never ends it, nor does it use the budget up', async t => {
  const { context, waits } = contextFor({ retry: { giveUpAfter: 40, minDelay: 0, maxDelay: 0 } })
  const attempt = async (number: number) => {
    if (number < 6) {
      await sleep(20, context.signal)
      throw new Failure(RETRY, 'cut', {}, { isExcused: true })
    }
    if (number === 6) throw new Failure(RETRY, 'an ordinary fault')
    return 'done'
  }
  t.equal(await withRetries(attempt, context), 'done', '100 ms of cuts, then the first failure')
  t.equal(waits.length, 6)
})

t.test('a budget without end does not end it', async t => {
  const retry = { giveUpAfter: Infinity, minDelay: 0, maxDelay: 0 }
  const { context } = contextFor({ retry })
  const { attempt, seen } = failing(...Array<Ruling>(50).fill(RETRY))
  t.equal(await withRetries(attempt, context), 'done')
  t.equal(seen.length, 51)
})

t.test('whatever moves on the upload renews the budget', async t => {
  const pulse = new Pulse()
  const retry = { giveUpAfter: 50, minDelay: 10, maxDelay: 10 }
  const { context } = contextFor({ pulse, retry })
  let attempts = 0
  const error = await failureOf(
    withRetries(async number => {
      attempts = number
      if (number <= 20) pulse.beat() // 200 ms of waits in all: four budgets.
      throw new Failure(RETRY, 'it fails')
    }, context),
  )
  t.ok(attempts > 20, `${attempts} attempts`)
  t.match(error, { attempts })
})

t.test('a pulse from before the first failure gives no more than the budget', async t => {
  const pulse = new Pulse()
  pulse.beat()
  const { context } = contextFor({ pulse, retry: { giveUpAfter: 0, minDelay: 1, maxDelay: 1 } })
  t.match(await failureOf(withRetries(failing(RETRY, RETRY, RETRY).attempt, context)), {
    attempts: 3,
  })
})

/** A gate whose waits take this long, and that remembers how it was closed. */
const gateOf = (wait: number) => {
  const closed: (number | undefined)[] = []
  const gate: Gate = {
    async pass(signal) {
      const start = performance.now()
      if (closed.length > 0) await sleep(wait, signal)
      return performance.now() - start
    },
    close(_retry, retryAfter) {
      closed.push(retryAfter)
      return wait
    },
  }
  return { gate, closed }
}

t.test('waits at the gate do not count', async t => {
  const { gate } = gateOf(60)
  const { context, waits } = contextFor({ gate, retry: { ...QUICK, giveUpAfter: 50 } })
  const { attempt } = failing(...Array<Ruling>(5).fill(LIMITED))
  t.equal(await withRetries(attempt, context), 'done')
  t.strictSame(
    waits.map(({ delay }) => delay),
    Array(5).fill(60),
    "what is told is the gate's wait",
  )
})

t.test('a 429 closes the gate with what the server asked for; other faults do not', async t => {
  const { gate, closed } = gateOf(1)
  const { context } = contextFor({ gate })
  await withRetries(async number => {
    if (number === 1) throw new Failure(LIMITED, 'slow down', {}, { retryAfter: 1_234 })
    if (number === 2) throw new Failure(RETRY, 'gone')
  }, context)
  t.strictSame(closed, [1_234])
})

t.test('without a gate a 429 waits like any other fault', async t => {
  const { context, waits } = contextFor()
  t.equal(await withRetries(failing(LIMITED).attempt, context), 'done')
  t.equal(waits.length, 1)
})

t.test('the wait is at least what Retry-After asks, at most maxDelay', async t => {
  const { context, waits } = contextFor({ retry: { giveUpAfter: 9e5, minDelay: 1, maxDelay: 20 } })
  const asked = [9, 60_000]
  await withRetries(async number => {
    const retryAfter = asked[number - 1]
    if (retryAfter !== undefined) throw new Failure(RETRY, 'busy', {}, { retryAfter })
  }, context)
  t.strictSame(
    waits.map(({ delay }) => delay),
    [9, 20],
  )
})

for (const verdict of ['new-url', 'new-token'] as const) {
  t.test(`a ${verdict} is asked for at once, then no faster than any other try`, async t => {
    const { context, waits } = contextFor()
    const ruling: Ruling = { verdict, code: 'ERR_URL_EXPIRED' }
    await withRetries(failing(ruling, ruling, RETRY, ruling).attempt, context)
    const atOnce = waits.map(({ delay }) => delay === 0)
    t.strictSame(atOnce, [true, false, false, true])
  })
}

t.test('an abort during a wait ends it with the reason', async t => {
  const retry = { giveUpAfter: Infinity, minDelay: 60_000, maxDelay: 60_000 }
  const reason = new Error('enough')
  const ending = new AbortController()
  const { context } = contextFor({
    retry,
    signal: ending.signal,
    onRetry: () => void setImmediate(() => ending.abort(reason)),
  })
  t.equal(await within(5_000, failureOf(withRetries(failing(RETRY).attempt, context))), reason)
})

t.test(
  'an abort during an attempt ends it with the reason, not with what the attempt says',
  async t => {
    const { context, ending, waits } = contextFor()
    const reason = new Error('enough')
    const run = withRetries(async () => {
      ending.abort(reason)
      throw new Failure(RETRY, 'cut off')
    }, context)
    t.equal(await failureOf(run), reason)
    t.strictSame(waits, [])
  },
)

t.test('an abort at the gate ends it with the reason', async t => {
  const ending = new AbortController()
  const gate: Gate = { pass: signal => sleep(60_000, signal).then(() => 0), close: () => 0 }
  const { context } = contextFor({ gate, signal: ending.signal })
  const run = withRetries(failing().attempt, context)
  const reason = new Error('enough')
  ending.abort(reason)
  t.equal(await within(5_000, failureOf(run)), reason)
})

t.test('no attempt is made once the signal has aborted', async t => {
  const { context, ending } = contextFor()
  ending.abort(new Error('before'))
  const { attempt, seen } = failing()
  await t.rejects(withRetries(attempt, context), { message: 'before' })
  t.strictSame(seen, [])
})

t.test('sleep ends with its time or with the signal, and leaves no listener', async t => {
  const ending = new AbortController()
  const { signal } = ending
  let listeners = 0
  const [add, remove] = [signal.addEventListener, signal.removeEventListener]
  signal.addEventListener = (...args: Parameters<typeof add>) => {
    listeners++
    add.apply(signal, args)
  }
  signal.removeEventListener = (...args: Parameters<typeof remove>) => {
    listeners--
    remove.apply(signal, args)
  }
  await sleep(1, signal)
  t.equal(listeners, 0)
  const long = sleep(60_000, signal)
  ending.abort(new Error('up'))
  await t.rejects(long, { message: 'up' })
  await t.rejects(sleep(1, signal), { message: 'up' })
})
