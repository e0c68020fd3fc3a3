/**
 * How far a file is known to be written: up to its last byte that is not zero. A file that was made
 * large beforehand, or has holes, is larger than what came, and what was sent cannot be withdrawn: so
 * nothing counts until something behind it is not zero. Zeros at the true end count once it is over.
 *
 *     0 ──────────── written ─────────── seen ─────────── size
 *       what counts          zeros, up to        not looked at yet,
 *                            here at least       or again
 *
 * Mostly a look at the last bytes is enough. Where those are zeros two cursors go on: one looks right
 * behind `written`, where writers go on; the other goes through the zeros, a bit at each look, and
 * begins anew at their end: one cursor alone would miss what is written behind it, or never get past
 * a large hole.
 */
import type { Read } from './container.ts'

/** Bytes at the end that are looked at first. */
const TAIL = 4_096
/** Bytes that are read at once. */
const PIECE = 2 ** 20
/** Bytes that are gone through at each look, at most, right behind what is known to be written. */
const AT_MOST = 64 * 2 ** 20
/** The same far behind: all of a large hole, four times a second, would fill the line to a network drive. */
const AT_MOST_FAR = 8 * 2 ** 20

export class Written {
  readonly #read: Read
  #written = 0
  #seen = 0

  constructor(read: Read) {
    this.#read = read
  }

  /** Bytes up to the last that is not zero, as far as is known. */
  get bytes(): number {
    return this.#written
  }

  /** Looks at a file of this size, in bytes. */
  async look(size: number): Promise<void> {
    if (size < this.#written) return this.lookBack(size)
    if (size === this.#written) return
    const from = Math.max(this.#written, size - TAIL)
    const last = lastOf(await this.#read(from, size - from))
    if (last >= 0) {
      this.#written = from + last + 1
      return
    }
    const most = Math.min(size, this.#written + AT_MOST)
    for (let at = this.#written; at < most; ) {
      const piece = await this.#read(at, Math.min(PIECE, size - at))
      const last = lastOf(piece)
      if (last < 0) break
      this.#written = at + last + 1
      at += piece.length
      if (piece.length === 0) return // Cut meanwhile.
    }
    this.#seen = Math.max(this.#seen, this.#written)
    if (this.#seen >= size) this.#seen = this.#written
    const mostSeen = Math.min(size, this.#seen + AT_MOST_FAR)
    while (this.#seen < mostSeen) {
      const piece = await this.#read(this.#seen, Math.min(PIECE, size - this.#seen))
      if (piece.length === 0) return
      const last = lastOf(piece)
      if (last >= 0) this.#written = this.#seen + last + 1
      this.#seen += piece.length
    }
  }

  /** From its end on, until something is found: for a file that was cut, or where no time is left. */
  async lookBack(size: number): Promise<void> {
    const from = size < this.#written ? 0 : this.#written
    for (let end = size; end > from; end -= PIECE) {
      const start = Math.max(from, end - PIECE)
      const last = lastOf(await this.#read(start, end - start))
      if (last < 0) continue
      this.#written = start + last + 1
      return
    }
    this.#written = from
  }
}

const ZEROS = Buffer.alloc(TAIL)

/** Where the last byte stands that is not zero; -1 where all are. */
const lastOf = (bytes: Buffer): number => {
  for (let end = bytes.length; end > 0; end -= TAIL) {
    const start = Math.max(0, end - TAIL)
    const piece = bytes.subarray(start, end)
    if (piece.equals(ZEROS.subarray(0, piece.length))) continue
    for (let at = piece.length - 1; at >= 0; at--) if (piece[at] !== 0) return start + at
  }
  return -1
}

/** Is a page of 4 KiB of zeros in there, as where a network drive has not filled a hole yet? */
export const hasZeroPage = (bytes: Buffer): boolean => {
  for (let at = 0; at + TAIL <= bytes.length; at += TAIL) {
    // Two bytes tell nearly always.
    if (bytes[at] !== 0 || bytes[at + TAIL - 1] !== 0) continue
    if (bytes.subarray(at, at + TAIL).equals(ZEROS)) return true
  }
  return false
}
