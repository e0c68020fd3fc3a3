/**
 * A leaky bucket: each call pours in one drop, `limit` of them leak away evenly in `window` ms, and
 * a call that would make it overflow is refused and pours nothing.
 */
export class LeakyBucket {
  readonly #limit: number
  readonly #window: number
  #level = 0
  #lookedAt = performance.now()

  constructor({ limit, window }: { limit: number; window: number }) {
    this.#limit = limit
    this.#window = window
  }

  /** Whether there was room for one more call. */
  take(): boolean {
    this.#leak()
    if (this.#level + 1 > this.#limit) return false
    this.#level += 1
    return true
  }

  /** What Frame.io tells of it with every answer. */
  headers() {
    this.#leak()
    return {
      'x-ratelimit-limit': this.#limit,
      'x-ratelimit-remaining': Math.floor(this.#limit - this.#level),
      'x-ratelimit-window': this.#window,
    }
  }

  #leak() {
    const now = performance.now()
    const leaked = ((now - this.#lookedAt) * this.#limit) / this.#window
    this.#level = Math.max(0, this.#level - leaked)
    this.#lookedAt = now
  }
}
