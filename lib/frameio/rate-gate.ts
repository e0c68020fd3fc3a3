/**
 * One gate for all calls of a client. Frame.io counts calls per user, in a leaky bucket, so a 429 for
 * one upload is a 429 for all: they queue here, and go in the order in which they came.
 *
 *     pass ──► queue ──► open? ──► room in the bucket? ──► not too many unanswered? ──► go
 *                       (close)          (heed)               (heed, missed, opened)
 *
 * The bucket is kept here as Frame.io keeps it, as far as its answers tell: calls go side by side
 * while there is room, and then one for each that leaks away. Where nothing is known of it, few calls
 * go before an answer has come, and each that gets through lets one more go beside it; after a refusal
 * only each round of them does (slow start and congestion avoidance, as in TCP).
 */
import type { Gate, RetryOptions } from '../net/retry.ts'
import { unlessAborted } from '../net/signals.ts'

/** Frame.io asks for about a second after a 429, then exponentially more. */
const FIRST_WAIT = 1_000

/** Calls that go before an answer has come, at first: the buckets that are known hold 5 or more. */
const FIRST_WIDTH = 4

/** Longest that a call waits for the answer to another, in ms: that one may hang. */
const LONGEST_SILENCE = 1_000

/**
 * Room in the bucket that is left free, in calls: where the way takes longer for one call than for
 * the next, they arrive nearer to each other than they went.
 */
const SPARE = 0.5

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
  /** How to let those go that wait, in their order. */
  readonly #queue = new Set<() => void>()
  #timer: NodeJS.Timeout | undefined
  /** When the last call went, or the first of the queue came, where that was later. */
  #since = 0
  /** Longest that a call waits for room or for an answer, in ms. */
  #maxDelay = Number.POSITIVE_INFINITY

  #opensAt = 0
  /** Until when calls that were under way at the last 429 count as part of it. */
  #refusedUntil = 0
  /** 429 answers since the last call that went through. */
  #refusals = 0

  /** Calls that went and have no answer yet, and how many of them there may be. */
  #unanswered = 0
  #width = FIRST_WIDTH
  #wasRefused = false
  /** When a call last went or was answered. */
  #lastWord = 0

  #bucket: Bucket | undefined
  readonly #firstWait: number

  /**
   * @param known the bucket as it is documented, until an answer tells more; absent: nothing is known
   * @param firstWait the wait after a first refusal, in ms
   */
  constructor(known?: Omit<RateLimit, 'remaining'>, firstWait = FIRST_WAIT) {
    this.#firstWait = firstWait
    if (!known) return
    this.#bucket = new Bucket(0)
    this.#bucket.learn(performance.now(), known.limit, known.limit, known.limit / known.window)
  }

  /**
   * Waits for this call's turn; says for how many ms. Of each call that passed, the gate wants to
   * hear by `heed` or `missed`.
   */
  async pass(signal: AbortSignal): Promise<number> {
    signal.throwIfAborted()
    const start = performance.now()
    if (this.#queue.size === 0) {
      this.#since = Math.max(this.#since, start)
      if (this.#nextAt(start) <= start) {
        this.#count(start)
        return 0
      }
    }
    let go = () => {}
    const turn = new Promise<void>(resolve => {
      go = resolve
    })
    this.#queue.add(go)
    this.#pump()
    try {
      await unlessAborted(signal, turn)
    } catch (reason) {
      // One that was let go in this very moment will not: its place is free again.
      if (this.#queue.delete(go)) this.#pump()
      else this.missed()
      throw reason
    }
    return performance.now() - start
  }

  /**
   * A call was refused: closes the gate for about a second, and twice as long after each further
   * refusal, up to `maxDelay`. Calls that were under way when it closed count as one refusal. When it
   * opens one call goes, and the next when that one was answered.
   */
  close(retry: RetryOptions, retryAfter = 0): number {
    const now = performance.now()
    this.#width = 1
    this.#wasRefused = true
    if (now >= this.#refusedUntil) {
      const wait = this.#firstWait * 2 ** Math.min(this.#refusals++, 30)
      const jitter = 1 + Math.random() / 4
      this.hold(Math.min(retry.maxDelay, Math.max(wait * jitter, retryAfter)))
      this.#refusedUntil = this.#opensAt
    }
    return Math.ceil(this.#refusedUntil - now)
  }

  /** A call was answered, and Frame.io said how much room is left. */
  heed({ remaining, limit, window }: RateLimit, { maxDelay }: RetryOptions): void {
    const now = performance.now()
    this.#maxDelay = maxDelay
    if (limit > 0 && window > 0 && remaining >= 0) {
      this.#bucket ??= new Bucket(this.#unanswered)
      this.#bucket.learn(now, Math.floor(remaining), limit, limit / window)
    }
    this.#lastWord = now
    this.missed()
  }

  /** A call ended without an answer. */
  missed(): void {
    this.#unanswered = Math.max(0, this.#unanswered - 1)
    this.#pump()
  }

  /** A call went through. */
  opened(): void {
    this.#refusals = 0
    if (this.#bucket) this.#width = Number.POSITIVE_INFINITY
    else this.#width += this.#wasRefused ? 1 / this.#width : 1
    this.#pump()
  }

  /** Keeps the gate closed for this many ms from now, at least. */
  hold(ms: number): void {
    this.#opensAt = Math.max(this.#opensAt, performance.now() + ms)
  }

  /** When the next call may go. */
  #nextAt(now: number): number {
    const room = this.#bucket?.roomAt(now) ?? now
    const word = this.#unanswered + 1 <= this.#width ? now : this.#lastWord + LONGEST_SILENCE
    const latest = this.#since + this.#maxDelay
    return Math.max(this.#opensAt, Math.min(Math.max(room, word), latest))
  }

  /** Lets go who may, and comes back when the next may. */
  #pump(): void {
    clearTimeout(this.#timer)
    for (const go of this.#queue) {
      const now = performance.now()
      const wait = this.#nextAt(now) - now
      if (wait > 0) {
        this.#timer = setTimeout(() => this.#pump(), wait)
        return
      }
      this.#queue.delete(go)
      this.#count(now)
      go()
    }
  }

  #count(now: number): void {
    this.#unanswered++
    this.#bucket?.pour(now)
    this.#since = now
    this.#lastWord = now
  }
}

/** Frame.io's leaky bucket, as far as it is known here. */
class Bucket {
  #limit = 1
  /** Calls that leak in a ms. */
  #leak = 0
  /** Calls in it, at `#at`. */
  #level: number
  #at = 0

  constructor(level: number) {
    this.#level = level
  }

  learn(now: number, remaining: number, limit: number, leak: number): void {
    this.#run(now)
    this.#limit = limit
    this.#leak = leak
    // Full, and not by what went from here alone: others pour in as well.
    if (remaining === 0 && this.roomAt(now) <= now) this.#level = limit
    // What remains is said in whole calls: there may be nearly one more.
    this.#level = Math.max(this.#level, limit - remaining - 1)
  }

  pour(now: number): void {
    this.#run(now)
    this.#level++
  }

  /** When there is room for one more. */
  roomAt(now: number): number {
    this.#run(now)
    const surplus = this.#level + 1 - Math.max(1, this.#limit - SPARE)
    return now + Math.max(0, surplus) / this.#leak
  }

  #run(now: number): void {
    this.#level = Math.max(0, this.#level - (now - this.#at) * this.#leak)
    this.#at = now
  }
}
