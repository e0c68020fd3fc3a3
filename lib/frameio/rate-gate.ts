/**
 * One gate for all calls of a client. Frame.io counts calls per user, so a 429 for one upload is a
 * 429 for all: they wait together.
 */
import { type Gate, type RetryOptions, sleep } from '../net/retry.ts'

/** Frame.io asks for about a second after a 429, then exponentially more. */
const FIRST_WAIT = 1_000

/** What Frame.io tells of its leaky bucket with every answer; NaN where it does not. */
export interface RateLimit {
  /** Calls it holds: `x-ratelimit-limit`. */
  readonly limit: number
  /** Calls there is room for now: `x-ratelimit-remaining`. */
  readonly remaining: number
  /** Time in which a full one runs empty, in ms: `x-ratelimit-window`. */
  readonly window: number
}

export class RateGate implements Gate {
  #opensAt = 0
  /** Until when calls that were under way at the last 429 count as part of it. */
  #refusedUntil = 0
  /** 429 answers since the last call that went through. */
  #refusals = 0

  /** Waits until the gate is open; says for how many ms. */
  async pass(signal: AbortSignal): Promise<number> {
    const start = performance.now()
    for (let now = start; now < this.#opensAt; now = performance.now()) {
      await sleep(this.#opensAt - now, signal)
    }
    return performance.now() - start
  }

  /**
   * A call was refused: closes the gate for about a second, and twice as long after each further
   * refusal, up to `maxDelay`. Calls that were under way when it closed count as one refusal.
   */
  close(retry: RetryOptions, retryAfter = 0): number {
    const now = performance.now()
    if (now >= this.#refusedUntil) {
      const wait = FIRST_WAIT * 2 ** Math.min(this.#refusals++, 30)
      const jitter = 1 + Math.random() / 4
      this.hold(Math.min(retry.maxDelay, Math.max(wait * jitter, retryAfter)))
      this.#refusedUntil = this.#opensAt
    }
    return Math.ceil(this.#refusedUntil - now)
  }

  /**
   * Frame.io said how much room is left. With none the next call waits until the bucket has leaked
   * for one, instead of running into a 429.
   */
  heed({ remaining, limit, window }: RateLimit, { maxDelay }: RetryOptions): void {
    if (remaining < 1 && limit > 0 && window > 0) this.hold(Math.min(window / limit, maxDelay))
  }

  /** Keeps the gate closed for this many ms from now, at least. */
  hold(ms: number): void {
    this.#opensAt = Math.max(this.#opensAt, performance.now() + ms)
  }

  /** A call went through. */
  opened(): void {
    this.#refusals = 0
  }
}
