/**
 * The files of a take for V4, as they are recorded and uploaded: one at a time each way.
 */
import type { UploadedFile } from '../../v4/events.ts'
import type { TakeEvent } from '../../v4/take-events.ts'
import { describeHeadroom, describeState } from '../describe.ts'
import type { State } from '../rates.ts'
import { showSize } from '../units.ts'

export class Pieces {
  /** Bytes of each that is whole, in order. */
  readonly #whole: number[] = []
  readonly #stored: UploadedFile[] = []

  /** Those that Frame.io has, in order. */
  get stored(): readonly UploadedFile[] {
    return this.#stored
  }

  take(event: TakeEvent): void {
    if (event.type === 'piece') this.#whole.push(event.bytes)
    else if (event.type === 'file') {
      const { fileId, name, bytes, parts, viewUrl } = event
      this.#stored.push({ fileId, name, bytes, parts, viewUrl })
    }
  }

  /** Where a take in several files stands. */
  describe(state: State): string {
    const recorded = this.#whole.length
    if (recorded === 0) return describeState(state)
    const { bytesReceived, bytesUploaded, rateIn, rateOut } = state
    const filling = bytesReceived - sumOf(this.#whole)
    const stored = this.#stored.length
    const size = this.#whole[stored]
    const sent = Math.max(0, bytesUploaded - sumOf(this.#whole.slice(0, stored)))
    return [
      `in ${showSize(bytesReceived)} (${showSize(rateIn)}/s)`,
      `up ${showSize(bytesUploaded)} (${showSize(rateOut)}/s)`,
      ...(filling > 0 ? [`file ${recorded + 1}: ${showSize(filling)} in`] : []),
      ...(size ? [`file ${stored + 1}: ${showSize(sent)} of ${showSize(size)} up`] : []),
      `${stored} stored`,
      describeHeadroom(state),
      `retries ${state.retries}`,
      `lanes ${state.partsInFlight}`,
    ].join(', ')
  }
}

const sumOf = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0)
