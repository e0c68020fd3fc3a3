/**
 * Where an upload of a file stands, over all its creations: where URLs expired all of it is sent again, and
 * what people see must not go back.
 */
import type { Progress } from '../upload/events.ts'
import { type Counts, noCounts } from '../upload/sender.ts'

export class Tally {
  readonly #size: number
  /** Of the present creation. */
  #counts: Counts = noCounts()
  /** Bytes and parts of those before, and the most that one of them came to. */
  #lostBytes = 0
  #mostBytes = 0
  #mostParts = 0
  #parts = 0
  retries = 0

  /** @param size of the file, in bytes */
  constructor(size: number) {
    this.#size = size
  }

  /** A file was created with so many slices, or one goes on of which so much is stored. */
  begin(parts: number, stored: { readonly parts: number; readonly bytes: number }): Counts {
    const { bytes, partsUploaded } = this.#progress
    this.#mostBytes = bytes
    this.#mostParts = partsUploaded
    this.#lostBytes += this.#counts.bytesUploaded
    this.#parts = parts
    this.#counts = { ...noCounts(), bytesUploaded: stored.bytes, partsUploaded: stored.parts }
    return this.#counts
  }

  get progress(): Progress {
    const { bytes: bytesUploaded, partsUploaded } = this.#progress
    return {
      bytesReceived: this.#size,
      bytesUploaded,
      bytesResent: this.#lostBytes + this.#counts.bytesUploaded - bytesUploaded,
      bytesBuffered: this.#size - bytesUploaded,
      partsFilled: this.#parts,
      partsRegistered: this.#parts,
      partsUploaded,
      partsInFlight: this.#counts.partsInFlight,
      retries: this.retries,
      bytesSpooled: 0,
      bytesDurable: bytesUploaded,
    }
  }

  get #progress() {
    const { bytesUploaded, partsUploaded } = this.#counts
    return {
      bytes: Math.max(this.#mostBytes, bytesUploaded),
      partsUploaded: Math.max(this.#mostParts, partsUploaded),
    }
  }
}
