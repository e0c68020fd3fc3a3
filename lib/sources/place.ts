/**
 * A place among the files of a folder that go up at the same time.
 *
 *     opened ──► has bytes to send ──► all sent, and nothing comes for a while ──► its place is free
 *                        ▲                                                              │
 *                        └────────────────── its recorder goes on ──────────────────────┘
 *
 * A recorder that pauses keeps its file open, perhaps for hours: four of them must not keep all others from
 * their turn. When it goes on, one more than there are places goes up, which harms nobody.
 */
import type { Progress } from '../upload/events.ts'

/** Places. */
const AT_ONCE = 4
/** Files that are open at the same time, with those that have given up their place. */
const OPEN_AT_ONCE = 32
/** How long nothing comes and nothing is to be sent until the place is free, in ms. */
const RESTS_AFTER = 10_000

/** Is there a place for one more? */
export const isRoom = (places: readonly Place[], now = performance.now()): boolean =>
  places.length < OPEN_AT_ONCE && places.filter(place => place.isTaken(now)).length < AT_ONCE

type Counts = Pick<Progress, 'bytesReceived' | 'partsFilled' | 'partsUploaded' | 'partsInFlight'>

export class Place {
  #upload: { readonly progress: Counts } | undefined
  /** Parts that were stored before this. */
  #storedBefore = 0
  #bytes = -1
  #restsSince: number | undefined

  /** Whose place it is: nothing of it was sent yet. */
  fill(upload: { readonly progress: Counts }): void {
    this.#upload = upload
    this.#storedBefore = upload.progress.partsUploaded
  }

  /** To be asked again and again. @param now on the monotonic clock, in ms */
  isTaken(now: number): boolean {
    if (!this.#upload) return true
    const { bytesReceived, partsFilled, partsUploaded, partsInFlight } = this.#upload.progress
    const isAllSent = partsUploaded - this.#storedBefore === partsFilled && partsInFlight === 0
    const isAtRest = isAllSent && bytesReceived === this.#bytes
    this.#bytes = bytesReceived
    this.#restsSince = isAtRest ? (this.#restsSince ?? now) : undefined
    return this.#restsSince === undefined || now - this.#restsSince < RESTS_AFTER
  }
}
