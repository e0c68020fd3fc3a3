/**
 * The lanes that an upload's PUTs run in: how many there are, who has one, and how long a PUT may take
 * in it.
 *
 * Bytes that the kernel took are not bytes that arrived, so progress inside a PUT cannot be seen: only
 * its whole duration can be judged, by what others took. A PUT that was cut is a measurement too: not
 * through after so many ms means that a lane moves no more than that, and from then on all others are
 * allowed as much, those under way included. So on a link that collapses one PUT is cut and not all,
 * and each cut leaves fewer lanes to share the link.
 */
import pLimit, { type LimitFunction } from 'p-limit'

/** Rate assumed before the first part was stored, in bytes per ms: 512 KiB/s. */
const FIRST_RATE = (512 * 2 ** 10) / 1_000

/** A PUT may take so many times as long as the others, beside `stallTimeout`. */
const TIMES_AS_LONG = 4

export interface LanesOptions {
  /** Most lanes. */
  readonly concurrency: number
  /** PUTs in flight over all uploads of the client. */
  readonly cap: LimitFunction
  /** In ms. */
  readonly stallTimeout: number
  readonly signal: AbortSignal
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #limit: LimitFunction
  /** What a lane moved lately, in bytes per ms. */
  #rate: number | undefined

  constructor(options: LanesOptions) {
    this.#options = options
    this.#limit = pLimit(options.concurrency)
  }

  /** How long a PUT of so many bytes may take, in ms. */
  allowed(size: number): number {
    return this.#options.stallTimeout + (TIMES_AS_LONG * size) / (this.#rate ?? FIRST_RATE)
  }

  /** Bytes that all lanes together move in so many ms; 0 before the first part was stored. */
  movedIn(ms: number): number {
    return ms * (this.#rate ?? 0) * this.#limit.concurrency
  }

  /** A PUT of so many bytes was stored within so many ms. */
  stored(size: number, duration: number): void {
    const rate = size / Math.max(duration, 1)
    this.#rate = this.#rate === undefined ? rate : (this.#rate + rate) / 2
    this.#limit.concurrency = Math.min(this.#limit.concurrency + 1, this.#options.concurrency)
  }

  /** A PUT of so many bytes was cut after so many ms. */
  cut(size: number, after: number): void {
    this.#rate = Math.min(this.#rate ?? FIRST_RATE, size / after)
    this.narrow()
  }

  /** One lane less, for a link that is too slow for as many. */
  narrow(): void {
    this.#limit.concurrency = Math.max(1, this.#limit.concurrency - 1)
  }

  /** Half as many, for a store that asks to slow down. */
  halve(): void {
    this.#limit.concurrency = Math.ceil(this.#limit.concurrency / 2)
  }

  /**
   * Waits for a lane, and for one of the client's PUTs; gives how to leave both. Each attempt enters
   * anew: a part that waits for another try takes no place from those that could use it.
   */
  async enter(): Promise<() => void> {
    const { cap, signal } = this.#options
    const leaveLane = await turnIn(this.#limit, signal)
    try {
      const leaveCap = await turnIn(cap, signal)
      return () => {
        leaveCap()
        leaveLane()
      }
    } catch (error) {
      leaveLane()
      throw error
    }
  }
}

/** Waits for a turn; gives how to end it. Rejects with the signal's reason, and takes none then. */
const turnIn = (limit: LimitFunction, signal: AbortSignal): Promise<() => void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = () => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    void limit(() => {
      signal.removeEventListener('abort', abort)
      if (signal.aborted) return undefined
      return new Promise<void>(end => resolve(end))
    })
  })
