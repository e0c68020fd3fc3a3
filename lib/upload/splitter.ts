/**
 * Bytes → parts: cuts by the plan, and holds each full part back until it is known whether it is the
 * final one. The bytes go to the part's home, once.
 */
import { createHash, type Hash } from 'node:crypto'
import type { Filling, Home, Part } from '../spool/home.ts'
import type { PartPlan } from './part-plan.ts'

export interface SplitterOptions {
  /** How large each part is. */
  readonly plan: PartPlan
  /** Where the bytes of parts go. */
  readonly home: Home
  /** What was cut before this: parts, and their bytes. */
  readonly start: { readonly parts: number; readonly bytes: number }
  /** Receives each part as soon as it is known whether it is the final one. */
  readonly onPart: (part: Part) => void
  /** Told before each part how large it will be, in bytes. */
  readonly onSize: (size: number) => void
  /** Whether each part gets the MD5 of its bytes, taken as they come in. */
  readonly md5: boolean
}

export class Splitter {
  readonly #options: SplitterOptions
  #bytes: number
  #parts: number
  #filling: Filling | undefined
  #md5: Hash | undefined
  #discarded = false
  /** Bytes in the part that is filling. */
  #filled = 0
  /** Bytes that part takes when full. */
  #size = 0

  constructor(options: SplitterOptions) {
    this.#options = options
    this.#bytes = options.start.bytes
    this.#parts = options.start.parts
  }

  /** Bytes taken in so far, with those of before. */
  get bytes(): number {
    return this.#bytes
  }

  /** Parts that left so far, with those of before. */
  get parts(): number {
    return this.#parts
  }

  /**
   * Takes bytes of `chunk` from `start` up to `end`, and says how many: fewer than asked for means
   * that their home has no room now.
   */
  push(chunk: Buffer, start: number, end: number): number {
    let at = start
    while (at < end) {
      // Only here, with a further byte at hand, is it certain that a full part is not the final one.
      if (this.#filled === this.#size) this.#beginPart()
      if (this.#discarded) break // By whoever heard of the part or the size just now.
      const wanted = Math.min(end - at, this.#size - this.#filled)
      const taken = (this.#filling as Filling).push(chunk, at, at + wanted)
      this.#md5?.update(chunk.subarray(at, at + taken))
      this.#filled += taken
      this.#bytes += taken
      at += taken
      if (taken < wanted) break
    }
    return at - start
  }

  /** The stream ended: what is left is the final part. Without a byte there is none. */
  end(): void {
    if (this.#filled > 0) this.#cut(true)
  }

  /** Gives the room of an unfinished part back; nothing is taken in any more. */
  discard(): void {
    this.#filling?.discard()
    this.#filled = 0
    this.#discarded = true
  }

  #beginPart(): void {
    const { plan, home, onSize, md5 } = this.#options
    if (this.#filled > 0) this.#cut(false)
    this.#size = plan(this.#bytes)
    this.#filling = home.begin(this.#size)
    onSize(this.#size)
    if (md5) this.#md5 = createHash('md5')
  }

  #cut(final: boolean): void {
    const filling = this.#filling as Filling
    const size = this.#filled
    this.#filled = 0
    this.#parts++
    const part = filling.cut({
      number: this.#parts,
      size,
      final,
      fileSize: final ? this.#bytes : undefined,
      md5: this.#md5?.digest('base64'),
    })
    this.#options.onPart(part)
  }
}
