/**
 * A part whose bytes are a range of a file: read for each attempt, and never held.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { RealtimeUploadError } from '../errors.ts'
import type { Part } from '../spool/home.ts'
import type { GrownFile } from './grown-file.ts'
import { hasZeroPage } from './written.ts'

/** Bytes that are read at once. */
const READ_SIZE = 256 * 2 ** 10
/** Bytes at either end of a part that tell whether everything behind the head has moved. */
export const EDGE = 4_096

/** What is known of bytes that were read. */
export interface Sum {
  /** CRC-32 of all of them, of the first `EDGE`, and of the last. */
  readonly crc: number
  readonly first: number
  readonly last: number
  /** Was a page of zeros among them? */
  readonly hasZeros: boolean
}

export interface Range {
  readonly number: number
  /** First byte in the file, and how many. */
  readonly start: number
  readonly size: number
}

export interface RangePartOptions extends Range {
  readonly file: GrownFile
  /** Bytes of the whole file; of the final part alone. */
  readonly fileSize: number | undefined
  readonly isTied: boolean
  readonly isResent: boolean
  readonly isMd5Wanted: boolean
  /** It is stored, as this sum says. */
  readonly onStored: (sum: Sum) => void
}

export const rangePart = (options: RangePartOptions): Part => {
  const { number, size, fileSize, isTied, isResent, isMd5Wanted, onStored } = options
  let sum: Sum | undefined
  return {
    number,
    size,
    final: fileSize !== undefined,
    fileSize,
    md5: undefined,
    isTied,
    isResent,
    ...(isMd5Wanted && { takeMd5: () => md5Of(options) }),
    body: () =>
      bytesOf(options, all => {
        sum = all
      }),
    release(isStored) {
      if (isStored && sum) onStored(sum)
    },
  }
}

type Bytes = Range & Pick<RangePartOptions, 'file'>

/**
 * The bytes of a range as they are now; what they come to is told before the last of them is given.
 *
 * @param into where to read to, for those who need each piece no longer than until the next
 */
export async function* bytesOf(
  bytes: Bytes,
  onSum: (sum: Sum) => void,
  into?: Buffer,
): AsyncGenerator<Buffer> {
  const { start, size } = bytes
  const end = start + size
  let [crc, first, hasZeros] = [0, 0, false]
  for (let at = start; at < end; ) {
    const length = Math.min(READ_SIZE, end - at)
    // Its own memory each time: what was handed on may still be on its way through a socket.
    const chunk = into?.subarray(0, length) ?? Buffer.allocUnsafeSlow(length)
    await fill(bytes, chunk, at)
    crc = crc32(chunk, crc)
    hasZeros ||= hasZeroPage(chunk)
    if (at === start) first = crc32(chunk.subarray(0, EDGE))
    at += chunk.length
    if (at === end) {
      const last = crc32(chunk.subarray(-EDGE))
      onSum({ crc, first, last, hasZeros })
    }
    yield chunk
  }
}

/** What the bytes of a range come to now. */
export const sumOf = async (bytes: Bytes): Promise<Sum> => {
  let sum: Sum | undefined
  const onSum = (all: Sum) => {
    sum = all
  }
  for await (const _ of bytesOf(bytes, onSum, Buffer.allocUnsafeSlow(READ_SIZE))) {
    // Only what they come to matters.
  }
  return sum as Sum
}

/** Are the bytes at both ends of a range still what they were? */
export const hasSameEdges = async (bytes: Bytes, { first, last }: Sum): Promise<boolean> => {
  const { start, size } = bytes
  const edge = Buffer.allocUnsafe(EDGE)
  const head = edge.subarray(0, size)
  await fill(bytes, head, start)
  if (crc32(head) !== first) return false
  // Of a last piece that is shorter all of it was taken.
  const tail = edge.subarray(0, Math.min(size % READ_SIZE || READ_SIZE, EDGE))
  await fill(bytes, tail, start + size - tail.length)
  return crc32(tail) === last
}

const md5Of = async (bytes: Bytes): Promise<string> => {
  const hash = createHash('md5')
  const into = Buffer.allocUnsafeSlow(READ_SIZE)
  for await (const chunk of bytesOf(bytes, () => {}, into)) hash.update(chunk)
  return hash.digest('base64')
}

/** @throws {RealtimeUploadError} `ERR_SOURCE_TRUNCATED`, `ERR_SOURCE_FAILED` */
const fill = async ({ file, number }: Bytes, into: Buffer, at: number): Promise<void> => {
  const filled = await file.readInto(into, at)
  if (filled < into.length) throw truncated(file.path, at + filled, { partNumber: number })
}

/** @param size bytes that the file has now */
export const truncated = (
  path: string,
  size: number,
  details: { readonly partNumber?: number; readonly cause?: Error } = {},
): RealtimeUploadError => {
  const message = `${path} was cut to ${size} bytes, and more of it was sent already: what S3 has cannot be withdrawn`
  return new RealtimeUploadError('ERR_SOURCE_TRUNCATED', message, {
    path,
    offset: size,
    ...details,
  })
}
