/**
 * The boxes of a stream, one after the other: some are looked at as a whole, and the others flow
 * through as they come.
 *
 *   head ──► treat ──► look: copied until it is whole
 *                 ├──► pass: its head, then views of the chunks that it comes in
 *                 └──► drop
 */
import { headOf, LONGEST_HEAD } from './boxes.ts'

export interface BoxSink {
  /** What becomes of a box, by its head. `size` is Infinity for one that goes to the end of the stream. */
  treat(type: string, size: number, at: number): 'look' | 'pass' | 'drop'
  /** A whole box, the sink's own to change. `at` is where it begins in the stream, in bytes. */
  look(type: string, bytes: Buffer, at: number): void
  pass(bytes: Uint8Array): void
  /** Here is no box. From now on all flows through. */
  lost(at: number): void
}

const PRINTABLE = /^[\x20-\x7e\xa9]{4}$/

export class BoxReader {
  readonly #sink: BoxSink
  /** Where the next byte is in the stream. */
  #at = 0
  readonly #head = Buffer.alloc(LONGEST_HEAD)
  #headFilled = 0
  /** The box that is looked at, as far as it came. */
  #box: { readonly type: string; readonly bytes: Buffer; filled: number } | undefined
  /** Bytes of a box that flow through, or are left out. */
  #toPass = 0
  #toDrop = 0

  constructor(sink: BoxSink) {
    this.#sink = sink
  }

  push(chunk: Uint8Array): void {
    for (let rest = chunk; rest.length > 0; ) {
      const size = this.#take(rest)
      this.#at += size
      rest = rest.subarray(size)
      this.#tell()
    }
  }

  /** What came of a box that is not whole. */
  end(): void {
    this.#sink.pass(Buffer.from(this.#head.subarray(0, this.#headFilled)))
    if (this.#box) this.#sink.pass(this.#box.bytes.subarray(0, this.#box.filled))
  }

  /** Takes bytes for what is under way, and returns how many. */
  #take(chunk: Uint8Array): number {
    if (this.#toPass > 0) {
      const size = Math.min(this.#toPass, chunk.length)
      this.#toPass -= size
      this.#sink.pass(chunk.subarray(0, size))
      return size
    }
    if (this.#toDrop > 0) {
      const size = Math.min(this.#toDrop, chunk.length)
      this.#toDrop -= size
      return size
    }
    if (this.#box) {
      const size = copy(chunk, this.#box.bytes, this.#box.filled)
      this.#box.filled += size
      return size
    }
    const wanted = this.#head.subarray(0, this.#headFilled < 8 ? 8 : LONGEST_HEAD)
    const size = copy(chunk, wanted, this.#headFilled)
    this.#headFilled += size
    return size
  }

  /** Goes on with a head or box that has become whole. */
  #tell(): void {
    const found = headOf(this.#head, 0, this.#headFilled)
    if (found) this.#begin(found)
    if (!this.#box || this.#box.filled < this.#box.bytes.length) return
    const { type, bytes } = this.#box
    this.#box = undefined
    this.#sink.look(type, bytes, this.#at - bytes.length)
  }

  #begin({ type, size, head }: { type: string; size: number; head: number }): void {
    const bytes = Buffer.from(this.#head.subarray(0, head))
    this.#headFilled = 0
    const at = this.#at - head
    const isBox = PRINTABLE.test(type) && (size === 0 || size >= head)
    if (!isBox) this.#sink.lost(at)
    const whole = isBox && size > 0 ? size : Number.POSITIVE_INFINITY
    const treatment = isBox ? this.#sink.treat(type, whole, at) : 'pass'
    if (treatment === 'look') {
      const box = Buffer.alloc(size)
      this.#box = { type, bytes: box, filled: copy(bytes, box, 0) }
    } else if (treatment === 'pass') {
      this.#toPass = whole - head
      this.#sink.pass(bytes)
    } else {
      this.#toDrop = whole - head
    }
  }
}

/** As many bytes as there are and as there is room for. */
const copy = (from: Uint8Array, to: Uint8Array, at: number): number => {
  const size = Math.min(from.length, to.length - at)
  to.set(from.subarray(0, size), at)
  return size
}
