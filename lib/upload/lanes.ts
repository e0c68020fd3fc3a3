/**
 * The lanes that an upload's PUTs run in: how many there are, who has one, and how long a PUT may take
 * in it.
 *
 * Bytes that the kernel took are not bytes that arrived, so progress inside a PUT cannot be seen: only
 * its whole duration can be judged, by what others took. A PUT that was cut is a measurement too:
 * from then on all others are allowed longer, those under way included. So on a link that collapses
 * one PUT is cut and not all, and there is a lane less to share the link.
 */
import pLimit, { type LimitFunction } from 'p-limit'

/** Pace assumed before the first part was stored, in ms per byte: 512 KiB/s. */
const FIRST_PACE = 1_000 / (512 * 2 ** 10)

/** A PUT may take so many times as long as the others, beside `stallTimeout`. */
const TIMES_AS_LONG = 4

/**
 * And so many times as long as one that was cut. Where four lanes share a link that collapsed, the
 * other three get through in that time.
 */
const TIMES_A_CUT = 3

/** Cuts lengthen what is allowed to `giveUpAfter`, or this where that has no end, in ms … */
const LONGEST_BY_CUTS = 600_000
/** … or for large parts to what they take on a link as slow as this, in bytes per ms: 512 kbit/s. */
const SLOWEST_LINK = 64

/** Cuts without a part that was stored in between before they may end an upload. */
const MIN_CUTS = 3

export interface LanesOptions {
  /** Most lanes. */
  readonly concurrency: number
  /** PUTs in flight over all uploads of the client. */
  readonly cap: LimitFunction
  /** In ms. */
  readonly stallTimeout: number
  /** In ms. */
  readonly giveUpAfter: number
  readonly signal: AbortSignal
}

export class Lanes {
  readonly #options: LanesOptions
  readonly #limit: LimitFunction
  /**
   * What a lane took lately, in ms per byte. Of paces a slow one moves the mean at once, and a fast one
   * bit by bit: of rates it would be the other way round.
   */
  #pace: number | undefined
  /** What every PUT may take since others were cut, beside `stallTimeout`, in ms. */
  #patience = 0
  /** Of the parts so far, in bytes. */
  #largest = 0
  /** PUTs in flight, and since when it has been one alone, on the monotonic clock. */
  #inFlight = 0
  #aloneSince = Number.POSITIVE_INFINITY
  /** Since a part was last stored. */
  #cuts = 0

  constructor(options: LanesOptions) {
    this.#options = options
    this.#limit = pLimit(options.concurrency)
  }

  /** How long a PUT of so many bytes may take, in ms. */
  allowed(size: number): number {
    this.#largest = Math.max(this.#largest, size)
    const asOthers = TIMES_AS_LONG * size * (this.#pace ?? FIRST_PACE)
    return this.#options.stallTimeout + Math.max(asOthers, this.#patience)
  }

  /** Bytes that all lanes together move in so many ms; 0 before the first part was stored. */
  movedIn(ms: number): number {
    return this.#pace === undefined ? 0 : (ms / this.#pace) * this.#limit.concurrency
  }

  /** A PUT of so many bytes was stored within so many ms. */
  stored(size: number, duration: number): void {
    this.#cuts = 0
    this.#largest = Math.max(this.#largest, size)
    this.#limit.concurrency = Math.min(this.#limit.concurrency + 1, this.#options.concurrency)
    const pace = Math.max(duration, 1) / size
    // What a small part takes is latency, which says nothing of how slowly a large one may go.
    if (size < this.#largest / 2 && pace > (this.#pace ?? FIRST_PACE)) return
    this.#pace = this.#pace === undefined ? pace : (this.#pace + pace) / 2
    // Those that were nearly through when a link collapsed still look fast: not all at once.
    const needed = Math.max(TIMES_AS_LONG * duration, this.#patience / 2)
    this.#patience = Math.min(this.#patience, needed)
  }

  /**
   * A PUT was cut after so many ms. Whether that ends the upload: if no other PUT of the upload was
   * in flight for as long as the budget. Until then a slow link looks just like a dead one.
   */
  cut(after: number): boolean {
    const { giveUpAfter } = this.#options
    const budget = Number.isFinite(giveUpAfter) ? giveUpAfter : LONGEST_BY_CUTS
    const longest = Math.max(budget, this.#largest / SLOWEST_LINK)
    // Not by how late the cut came on a busy machine: that would grow with every cut as well.
    const took = Math.min(after, this.allowed(this.#largest))
    this.#patience = Math.max(this.#patience, Math.min(TIMES_A_CUT * took, longest))
    this.narrow()
    const alone = this.#inFlight === 1 ? performance.now() - this.#aloneSince : 0
    return ++this.#cuts >= MIN_CUTS && Math.min(alone, after) >= giveUpAfter
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
   * anew, and last: a part that waits for another try takes no place from those that could use it.
   */
  async enter(): Promise<() => void> {
    const { cap, signal } = this.#options
    const leaveLane = await turnIn(this.#limit, signal)
    try {
      const leaveCap = await turnIn(cap, signal)
      this.#count(1)
      return () => {
        this.#count(-1)
        leaveCap()
        leaveLane()
      }
    } catch (error) {
      leaveLane()
      throw error
    }
  }

  #count(more: number): void {
    this.#inFlight += more
    this.#aloneSince = this.#inFlight === 1 ? performance.now() : Number.POSITIVE_INFINITY
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
