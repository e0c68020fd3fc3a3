/**
 * How fast bytes come and go, over the last seconds.
 */
import type { Progress } from '../upload/events.ts'

/** Over how long, in ms. */
const WINDOW = 5_000

interface Moment {
  readonly at: number
  readonly received: number
  readonly uploaded: number
}

/** Bytes for which there is room yet. */
export type Room = (progress: Progress) => number

export interface State extends Progress {
  /** Bytes a second. */
  readonly rateIn: number
  /** Bytes a second, of stored parts. */
  readonly rateOut: number
  /**
   * Seconds until memory, and disk where there is a spool, are full at these rates; null where that
   * will not be. Absent where nothing is held, for it is a file that is followed.
   */
  readonly headroom?: number | null
  /** Bytes of a file that is followed that are not stored yet. */
  readonly behind?: number
}

export class Rates {
  readonly #progress: () => Progress
  readonly #room: Room | undefined
  readonly #moments: Moment[] = []

  /** @param room undefined: nothing is held, for it is a file that is followed */
  constructor(progress: () => Progress, room: Room | undefined) {
    this.#progress = progress
    this.#room = room
    this.take(performance.now())
  }

  take(at: number): void {
    const { bytesReceived: received, bytesUploaded: uploaded } = this.#progress()
    this.#moments.push({ at, received, uploaded })
    while ((this.#moments[1]?.at ?? Infinity) <= at - WINDOW) this.#moments.shift()
  }

  get state(): State {
    const progress = this.#progress()
    const first = this.#moments[0] as Moment
    const last = this.#moments.at(-1) as Moment
    const seconds = Math.max(last.at - first.at, 1) / 1_000
    const rateIn = (last.received - first.received) / seconds
    const rateOut = (last.uploaded - first.uploaded) / seconds
    if (!this.#room) return { ...progress, rateIn, rateOut, behind: progress.bytesBuffered }
    const room = Math.max(0, this.#room(progress))
    const headroom = rateIn > rateOut ? room / (rateIn - rateOut) : null
    return { ...progress, rateIn, rateOut, headroom }
  }
}
