/**
 * A part whose bytes are a range of a finished file, read for each attempt in blocks and never held: a slice
 * of V4's may have 2 GB.
 */
import { createHash } from 'node:crypto'
import type { Part } from '../spool/home.ts'
import type { WholeFile } from './whole-file.ts'

/** Bytes that are read at once. */
export const BLOCK = 2 ** 20

/** A range of a file. */
export interface Slice {
  /** Counted from 1. */
  readonly number: number
  /** First byte in the file, and how many. */
  readonly start: number
  readonly size: number
}

export interface SliceOptions extends Slice {
  readonly file: WholeFile
  /**
   * Whether a block may be filled anew once the next is asked for. Node's sockets have handed it to the
   * kernel by then, for it is longer than their high-water mark, and so it is waited for `drain`. Of a
   * dispatcher that is not ours nobody knows what it keeps.
   */
  readonly isReused: boolean
  readonly isMd5Wanted: boolean
  /** Ends the reading for an MD5, which no request's end would end. */
  readonly signal: AbortSignal
}

export const slicePart = (options: SliceOptions): Part => {
  const { number, start, size, file, isMd5Wanted } = options
  return {
    number,
    size,
    final: start + size === file.facts.size,
    fileSize: undefined,
    md5: undefined,
    ...(isMd5Wanted && { takeMd5: () => md5Of(options) }),
    body: () => blocksOf(options),
    release: () => {},
  }
}

/** The bytes of a slice. While one block is sent the next is read. */
async function* blocksOf({ file, start, size, isReused }: SliceOptions): AsyncGenerator<Buffer> {
  const end = start + size
  const spare: Buffer[] = []
  const read = (at: number): Promise<Buffer> => {
    const length = Math.min(BLOCK, end - at)
    const known = spare.pop() ?? Buffer.allocUnsafeSlow(Math.min(BLOCK, size))
    const block = known.subarray(0, length)
    const filled = file.fill(block, at).then(() => block)
    filled.catch(() => {}) // It may fail before anybody waits for it.
    return filled
  }
  let next: Promise<Buffer> | undefined = read(start)
  try {
    for (let at = start; next; ) {
      const block: Buffer = await next
      at += block.length
      next = at < end ? read(at) : undefined
      yield block
      if (isReused) spare.push(block)
    }
  } finally {
    await next?.catch(() => {}) // Whoever closes the file must not do so under its feet.
  }
}

const md5Of = async (options: SliceOptions): Promise<string> => {
  const hash = createHash('md5')
  for await (const block of blocksOf({ ...options, isReused: true })) {
    options.signal.throwIfAborted()
    hash.update(block)
  }
  return hash.digest('base64')
}
