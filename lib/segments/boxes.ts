/**
 * Boxes of an MP4 or MOV (ISO/IEC 14496-12, 4.2): size, kind, then what is in it.
 */

export interface Box {
  readonly type: string
  /** Where it begins, where what is in it begins, and where it ends, in bytes. */
  readonly at: number
  readonly body: number
  readonly end: number
}

/** Bytes of a head whose size is a large one. */
export const LONGEST_HEAD = 16

/** Size and kind of a box; undefined where more of its head is needed. Size 0: to the end of the file. */
export const headOf = (
  bytes: Buffer,
  at = 0,
  to = bytes.length,
): { type: string; size: number; head: number } | undefined => {
  if (to - at < 8) return undefined
  const short = bytes.readUInt32BE(at)
  if (short === 1 && to - at < LONGEST_HEAD) return undefined
  const type = bytes.toString('latin1', at + 4, at + 8)
  if (short !== 1) return { type, size: short, head: 8 }
  return { type, size: Number(bytes.readBigUInt64BE(at + 8)), head: LONGEST_HEAD }
}

/** The boxes in a stretch, in order. @throws {RangeError} where one does not fit */
export function* boxesIn(bytes: Buffer, { body, end }: Pick<Box, 'body' | 'end'>): Generator<Box> {
  for (let at = body; at + 8 <= end; ) {
    const found = headOf(bytes, at, end)
    if (!found || found.size < found.head || at + found.size > end) {
      throw new RangeError('a box that does not fit')
    }
    const box = { type: found.type, at, body: at + found.head, end: at + found.size }
    yield box
    at = box.end
  }
}

/** The whole of a buffer that holds one box. */
export const boxOf = (bytes: Buffer): Box => {
  const found = headOf(bytes)
  if (!found) throw new RangeError('a box without a head')
  return { type: found.type, at: 0, body: found.head, end: bytes.length }
}

/** The first box of a path. @throws {RangeError} */
export const childOf = (bytes: Buffer, parent: Box, ...path: string[]): Box | undefined => {
  let box: Box | undefined = parent
  for (const type of path) {
    box = box && find(bytes, box, type)
  }
  return box
}

const find = (bytes: Buffer, parent: Box, type: string): Box | undefined => {
  for (const box of boxesIn(bytes, parent)) if (box.type === type) return box
  return undefined
}

/** A box anew, of what is to be in it. */
export const boxWith = (head: Buffer, contents: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(contents)
  const size = Buffer.alloc(4)
  size.writeUInt32BE(8 + body.length)
  return Buffer.concat([size, head.subarray(4, 8), body])
}

/** Version and flags of a full box. */
export const versionOf = (bytes: Buffer, { body }: Box): number => bytes.readUInt8(body)
export const flagsOf = (bytes: Buffer, { body }: Box): number => bytes.readUIntBE(body + 1, 3)
