/**
 * Will a recording play that is cut off, or while it is still being written? MP4 and MOV will not
 * where their index (`moov`) comes after their media (`mdat`), which the first boxes of the file
 * tell. Of anything else, or what is not certain, nothing is said.
 *
 *   ftyp  free?  moov  …      an index first: plays, and with mvex and moof it is in fragments
 *   ftyp  free?  mdat  …      media first: the index comes last
 */

/** Bytes that are looked at, at most: some writers put large boxes first. */
const LOOK_AT_MOST = 64 * 2 ** 10

/** Bytes of a box that tell its kind, and its size also where that is a large one. */
const HEAD = 16

/** Boxes that may come before those that tell. */
const PREFACE = /^(ftyp|free|skip|wide|uuid|pnot|udta|meta|PICT)$/

/** Looks at a stream's first bytes: each once, however small the chunks are that they come in. */
export class StreamabilityCheck {
  /** The head of the box that is looked at, filled in place. */
  readonly #head = Buffer.alloc(HEAD)
  #filled = 0
  /** Bytes of the box before that are still to be passed over. */
  #toPass = 0
  /** Where the box that is looked at begins, in bytes from the start. */
  #at = 0

  /** Takes the next bytes. Whether the index comes last; undefined while that is not known. */
  push(chunk: Uint8Array): boolean | undefined {
    for (let at = 0; ; ) {
      const passed = Math.min(this.#toPass, chunk.length - at)
      this.#toPass -= passed
      at += passed
      const taken = Math.min(HEAD - this.#filled, chunk.length - at)
      this.#head.set(chunk.subarray(at, at + taken), this.#filled)
      this.#filled += taken
      at += taken
      if (this.#filled < HEAD) return undefined
      const verdict = indexIsLast(this.#head)
      if (verdict !== undefined) return verdict
      this.#next(sizeOf(this.#head))
      if (this.#at + HEAD > LOOK_AT_MOST) return false
    }
  }

  /** Goes on to the next box. After a small one its head has begun to come already. */
  #next(size: number): void {
    this.#at += size
    this.#head.copyWithin(0, size)
    this.#filled = Math.max(0, HEAD - size)
    this.#toPass = Math.max(0, size - HEAD)
  }
}

/** What a box tells by its head. */
const indexIsLast = (head: Buffer): boolean | undefined => {
  const kind = head.toString('latin1', 4, 8)
  if (kind === 'mdat') return true
  return PREFACE.test(kind) && sizeOf(head) >= 8 ? undefined : false
}

/** Bytes of a box with its head. */
const sizeOf = (head: Buffer): number => {
  const size = head.readUInt32BE(0)
  // 1: the size is in the eight bytes that follow. 0: to the end of the file.
  return size === 1 ? Number(head.readBigUInt64BE(8)) : size
}
