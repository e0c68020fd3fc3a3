/**
 * Another try: the loop that every request which may be made again goes through. What a fault calls
 * for stands in rulings.ts.
 */
import { definedOf, number, object, refuseUnknown, take } from '../checks.ts'
import { type ErrorDetails, RealtimeUploadError } from '../errors.ts'
import type { Ruling, Verdict } from './rulings.ts'

/** How long and how often transient faults are met with another try. */
export interface RetryOptions {
  /**
   * Give up when a part or call has failed for this long while nothing on the upload moved, in ms;
   * `Infinity` never gives up. At least three attempts are made. Waits that Frame.io asked for (429)
   * do not count. Default 600,000 (ten minutes).
   */
  readonly giveUpAfter: number
  /** Shortest wait before another try, in ms. Default 500. */
  readonly minDelay: number
  /** Longest wait before another try, in ms. Default 30,000. */
  readonly maxDelay: number
}

/** An attempt that failed, with the ruling on it. */
export class Failure extends Error {
  readonly ruling: Ruling
  readonly details: ErrorDetails
  /** Wait that the server asked for, in ms. */
  readonly retryAfter: number | undefined
  /** Whether it is no reason to give up, however much of the budget is spent. */
  readonly isExcused: boolean
  /** Least wait before another try, in ms, whatever the options say. */
  readonly waitAtLeast: number
  /** Whether the attempt may have been carried out, and must not be made again before that is undone. */
  readonly isAmbiguous: boolean

  constructor(
    ruling: Ruling,
    message: string,
    details: ErrorDetails = {},
    {
      retryAfter,
      isExcused = false,
      waitAtLeast = 0,
      isAmbiguous = false,
    }: {
      retryAfter?: number | undefined
      isExcused?: boolean
      waitAtLeast?: number
      isAmbiguous?: boolean
    } = {},
  ) {
    super(message)
    this.ruling = ruling
    this.details = details
    this.retryAfter = retryAfter
    this.isExcused = isExcused
    this.waitAtLeast = waitAtLeast
    this.isAmbiguous = isAmbiguous
  }

  /** The same, but no other try is to be made. */
  asFatal(message = this.message): Failure {
    return new Failure({ ...this.ruling, verdict: 'fatal' }, message, this.details)
  }

  /** The same, but what may have been carried out is to be undone before another try. */
  asAmbiguous(message: string): Failure {
    return new Failure(this.ruling, message, this.details, { ...this, isAmbiguous: true })
  }
}

/** When something last moved on an upload, on the monotonic clock. */
export class Pulse {
  last = -Infinity
  beat(): void {
    this.last = performance.now()
  }
}

/** A gate that holds calls back: see RateGate. */
export interface Gate {
  /** Waits until the gate is open; says for how many ms. */
  pass(signal: AbortSignal): Promise<number>
  /** Closes the gate; says for how many ms. */
  close(retry: RetryOptions, retryAfter?: number): number
}

/** Awaits what is no fault of the request's, such as its turn, while the budget's clock stands. */
export type Hold = <T>(turn: Promise<T>) => Promise<T>

/** An attempt that failed, and will be followed by another. */
export interface Retry {
  /** The attempt, counted from 1. */
  readonly attempt: number
  /** The wait before the next, in ms. */
  readonly delay: number
  /** How long it may go on failing while nothing moves, in ms; `Infinity` without end. */
  readonly giveUpIn: number
  /** Why it failed. */
  readonly error: RealtimeUploadError
}

export interface RetryContext {
  readonly retry: RetryOptions
  readonly signal: AbortSignal
  /** Renews the budget when anything on the upload moves. */
  readonly pulse: Pulse
  /** Where calls wait when the server told us to slow down. */
  readonly gate?: Gate
  /** Whether a failure now is no reason to give up, however long it lasts. Default: it is one. */
  readonly isPatient?: () => boolean
  /** Undoes what an attempt may have done that was ambiguous. Done before the next. */
  readonly undo?: () => Promise<void>
  /** Told before each wait. */
  readonly onRetry: (retry: Retry) => void
}

/** Fewest attempts before the budget of time may end the matter. */
const MIN_ATTEMPTS = 3

/**
 * Attempts until one succeeds, the fault is fatal, or the budget is spent.
 *
 * @throws {RealtimeUploadError} the last failure, with its number of attempts; or the signal's
 *   reason once it aborts
 */
export const withRetries = async <T>(
  attempt: (number: number, hold: Hold) => Promise<T>,
  { retry, signal, pulse, gate, isPatient, undo, onRetry }: RetryContext,
): Promise<T> => {
  const budget = new Budget(retry.giveUpAfter, pulse)
  const met = new Map<Ruling, number>()
  let last: Verdict | undefined
  let failures = 0
  let mayBeDone = false
  for (let number = 1; ; number++) {
    let startedAt = performance.now()
    try {
      // Not behind the gate as well: it counts who passed, and hears of the attempt how that ended.
      signal.throwIfAborted()
      if (mayBeDone && undo) await budget.hold(undo())
      mayBeDone = false
      if (gate) await budget.hold(gate.pass(signal))
      startedAt = performance.now()
      return await attempt(number, budget.hold)
    } catch (failure) {
      if (signal.aborted) throw signal.reason
      if (!(failure instanceof Failure)) throw failure
      const { ruling, isExcused, waitAtLeast } = failure
      mayBeDone = failure.isAmbiguous
      const { verdict, code, atMost = Number.POSITIVE_INFINITY } = ruling
      const times = (met.get(ruling) ?? 0) + 1
      for (const other of met.keys()) if (other.inARow) met.delete(other)
      met.set(ruling, times)
      const error = new RealtimeUploadError(code, failure.message, {
        ...failure.details,
        attempts: number,
      })
      if (isExcused) budget.excuse(startedAt)
      else failures++
      const waits = isPatient?.() ?? false
      if (waits) budget.renew()
      const left = isExcused || waits ? Number.POSITIVE_INFINITY : budget.failed()
      const isSpent = left <= 0 && failures >= MIN_ATTEMPTS
      if (verdict === 'fatal' || times > atMost || isSpent) throw error

      const gated = gate !== undefined && code === 'ERR_RATE_LIMITED'
      // A new URL or token is asked for at once, but not for ever at that pace.
      const asked = Math.min(failure.retryAfter ?? 0, retry.maxDelay)
      let delay =
        verdict === 'retry' || verdict === last ? Math.max(backoff(number, retry), asked) : 0
      // The last wait is cut to the budget, so that the end comes when it was promised.
      if (left > 0) delay = Math.min(delay, left)
      delay = Math.max(delay, waitAtLeast)
      if (gated) delay = gate.close(retry, failure.retryAfter)
      last = verdict
      onRetry({
        attempt: number,
        delay,
        giveUpIn: waits ? Number.POSITIVE_INFINITY : budget.left,
        error,
      })
      if (!gated) await sleep(delay, signal)
    }
  }
}

/**
 * Time in which a request may fail. Its clock starts at the first failure, starts anew when anything
 * on the upload moves, and stands while the request is held.
 */
class Budget {
  readonly #giveUpAfter: number
  readonly #pulse: Pulse
  /** When the clock started; undefined before the first failure. */
  #since: number | undefined

  constructor(giveUpAfter: number, pulse: Pulse) {
    this.#giveUpAfter = giveUpAfter
    this.#pulse = pulse
  }

  readonly hold: Hold = async turn => {
    const start = performance.now()
    try {
      return await turn
    } finally {
      if (this.#since !== undefined) this.#since += performance.now() - start
    }
  }

  /** An attempt that began then was no failure: it does not count. */
  excuse(startedAt: number): void {
    const now = performance.now()
    if (this.#since !== undefined) this.#since = Math.min(now, this.#since + now - startedAt)
  }

  /** What has failed so far does not count. */
  renew(): void {
    this.#since = undefined
  }

  /** An attempt failed just now. What is left, in ms. */
  failed(): number {
    const now = performance.now()
    this.#since = Math.max(this.#since ?? now, this.#pulse.last)
    return this.#since + this.#giveUpAfter - now
  }

  /** For whom it is shown to: what is left if nothing moves, in ms, and never less than 0. */
  get left(): number {
    const since = Math.max(this.#since ?? Number.POSITIVE_INFINITY, this.#pulse.last)
    const spent = Math.max(0, performance.now() - since)
    return Math.max(0, this.#giveUpAfter - spent)
  }
}

/**
 * The wait before the next attempt, in ms: anywhere between `minDelay` and a ceiling that doubles
 * with each attempt up to `maxDelay` (full jitter, so that many uploads do not come back as one).
 */
export const backoff = (attempt: number, retry: RetryOptions, random = Math.random()): number => {
  const ceiling = Math.min(retry.maxDelay, retry.minDelay * 2 ** Math.min(attempt, 30))
  return Math.round(retry.minDelay + random * (ceiling - retry.minDelay))
}

/** How long a `Retry-After` header asks to wait, in ms: seconds or an HTTP date. */
export const readRetryAfter = (header: unknown, now = Date.now()): number | undefined => {
  if (typeof header !== 'string') return undefined
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}

/** Waits, in ms; rejects with the signal's reason as soon as it aborts. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal.addEventListener('abort', abort, { once: true })
  })

const HOUR = 3_600_000

/** Complete retry options, with `defaults` for what was not given. */
export const checkRetry = (value: unknown, defaults: RetryOptions): RetryOptions => {
  const given: Partial<RetryOptions> = value === undefined ? {} : object('retry', value)
  refuseUnknown('retry.', given, ['giveUpAfter', 'minDelay', 'maxDelay'])
  const { giveUpAfter, minDelay, maxDelay } = { ...defaults, ...definedOf(given) }
  const patience = number('a number of ms, 0 or more, or Infinity', 0, Number.POSITIVE_INFINITY)
  take('retry.giveUpAfter', giveUpAfter, patience)
  take('retry.minDelay', minDelay, number('a number of ms from 0 to one hour', 0, HOUR))
  const least = `a number of ms from retry.minDelay (${minDelay}) to one hour`
  take('retry.maxDelay', maxDelay, number(least, minDelay, HOUR))
  return { giveUpAfter, minDelay, maxDelay }
}
