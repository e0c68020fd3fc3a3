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

/** Boxes that may come before those that tell. */
const PREFACE = /^(ftyp|free|skip|wide|uuid|pnot|udta|meta|PICT)$/

/** Looks at a stream's first bytes. */
export class StreamabilityCheck {
  #head = Buffer.alloc(0)

  /** Takes the next bytes. Whether the index comes last; undefined while that is not known. */
  push(chunk: Uint8Array): boolean | undefined {
    const room = LOOK_AT_MOST - this.#head.length
    this.#head = Buffer.concat([this.#head, chunk.subarray(0, room)])
    const verdict = indexIsLast(this.#head)
    return verdict ?? (this.#head.length < LOOK_AT_MOST ? undefined : false)
  }
}

const indexIsLast = (head: Buffer): boolean | undefined => {
  for (let at = 0; ; ) {
    if (head.length < at + 16) return undefined
    const kind = head.toString('latin1', at + 4, at + 8)
    if (kind === 'mdat') return true
    if (!PREFACE.test(kind)) return false
    const size = head.readUInt32BE(at)
    // 1: the size is in the eight bytes that follow. 0: to the end of the file.
    const whole = size === 1 ? Number(head.readBigUInt64BE(at + 8)) : size
    if (whole < 8) return false
    at += whole
  }
}
