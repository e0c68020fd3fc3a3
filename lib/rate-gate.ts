/**
 * One gate for all calls of a client. Frame.io counts calls per user, so a 429 for one upload is a
 * 429 for all: they wait together.
 */
import { type Gate, type RetryOptions, sleep } from './retry.ts'

/** Frame.io asks for about a second after a 429, then exponentially more. */
const FIRST_WAIT = 1_000

export class RateGate implements Gate {
  #opensAt = 0
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
    if (now >= this.#opensAt) {
      const wait = FIRST_WAIT * 2 ** this.#refusals++
      const jitter = 1 + Math.random() / 4
      this.hold(Math.min(retry.maxDelay, Math.max(wait * jitter, retryAfter)))
    }
    return Math.ceil(this.#opensAt - now)
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
