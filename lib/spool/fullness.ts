/**
 * A disk that takes no more, or not fast enough. What comes then skips it, stays in memory and goes up
 * from there; while what is in memory is not sent soon only the disk can make room, so it is asked again.
 *
 *     takes all ──► full, or slower than source and network ──► new parts skip it
 *         ▲                                                          │
 *         └── room was made ◄── asked again after `LOOK_AGAIN` ◄─────┘
 */
import type { SpoolPart } from './spool-part.ts'

export interface FullnessOptions {
  /** In bytes. */
  readonly memoryLimit: number
  /** Parts that are not ready to be sent, in order. */
  readonly filling: () => readonly SpoolPart[]
  /** Parts that are, with bytes in memory alone. */
  readonly inMemory: ReadonlySet<SpoolPart>
  /** Is what is in memory sent soon? See `Spares`. */
  readonly areSentSoon: () => boolean
  /** Is part 1 sent last? */
  readonly isHeadLate: () => boolean
  readonly onWarning: (code: 'SPOOL_FULL' | 'SPOOL_TOO_SLOW', cause: Error | undefined) => void
  /** What may be written now is to be written. */
  readonly due: () => void
}

/** How long a full disk is left alone, in ms. */
export const LOOK_AGAIN = 1_000

export class Fullness {
  readonly #options: FullnessOptions
  #isFull = false
  #since = 0
  /** Was it said since the disk last took something? */
  #isTold = false
  #isSlow = false
  /** Until the disk is asked again whether it takes more. */
  #looking: NodeJS.Timeout | undefined

  constructor(options: FullnessOptions) {
    this.#options = options
  }

  /** Did the disk take no more when it was last asked? */
  get isFull(): boolean {
    return this.#isFull
  }

  /** Must a part of so many bytes skip the disk? One slower than source and network would hold both. */
  skips(size: number): boolean {
    if (this.#isFull && performance.now() - this.#since < LOOK_AGAIN) return true
    this.#isFull = false
    const { memoryLimit, areSentSoon, onWarning } = this.#options
    if (!areSentSoon() || this.waiting <= Math.max(memoryLimit / 2, 2 * size)) return false
    if (!this.#isSlow) onWarning('SPOOL_TOO_SLOW', undefined)
    this.#isSlow = true
    return true
  }

  /** What waits for the disk, in bytes. */
  get waiting(): number {
    return this.#options
      .filling()
      .reduce((sum, part) => (part.skips ? sum : sum + part.filled - part.synced), 0)
  }

  /** The disk took something. */
  took(): void {
    this.#isTold = false
  }

  /** Files went. */
  madeRoom(): void {
    this.#isFull = false
  }

  /** There was no room for this part. */
  full(part: SpoolPart, cause: Error | undefined): void {
    this.skip(part)
    if (!this.#isTold) this.#options.onWarning('SPOOL_FULL', cause)
    this.#isTold = true
    this.#isFull = true
    this.#since = performance.now()
    this.#lookLater()
    this.#options.due()
  }

  /** This part skips the disk, and so do those behind it that have nothing there yet. */
  skip(part: SpoolPart): void {
    part.skips = true
    for (const other of this.#options.filling())
      if (other.n > part.n && other.written === 0) other.skips = true
  }

  /** There was no memory. */
  onNoMemory(): void {
    if (this.#isFull || this.#options.areSentSoon()) this.#lookLater()
    else this.offerAgain()
    this.#options.due()
  }

  /** Where only the disk can make room, what skipped it is offered to it again. */
  offerAgain(): void {
    const { inMemory, filling } = this.#options
    for (const part of [...inMemory, ...filling()]) part.skips = false
    this.#isSlow = false
  }

  close(): void {
    clearTimeout(this.#looking)
  }

  /** Others may make room on the disk, and the network may slow down: whoever is held does not ask again. */
  #lookLater(): void {
    const { areSentSoon, inMemory, due } = this.#options
    this.#looking ??= setTimeout(() => {
      this.#looking = undefined
      this.#isFull = false
      if (!areSentSoon()) this.offerAgain()
      else if (inMemory.size > 0) {
        this.#offerHead()
        this.#lookLater()
      }
      due()
    }, LOOK_AGAIN)
  }

  /** While all others go up, a head that goes last would stay in memory alone, and nobody could resume. */
  #offerHead(): void {
    const { isHeadLate, inMemory } = this.#options
    if (!isHeadLate()) return
    for (const part of inMemory) if (part.n === 1) part.skips = false
  }
}
