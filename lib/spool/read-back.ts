/**
 * Bytes that come back from the disk. What a part's file holds may have rotted since it was written: no
 * such byte must pass for one of the recording.
 */
import { crc32 } from 'node:zlib'
import { RealtimeUploadError } from '../errors.ts'
import { shortageIn } from '../shortage.ts'
import type { Disk, DiskFile } from './disk.ts'
import { damaged } from './recover.ts'

/** Bytes that are read from a file at once. */
const READ_SIZE = 256 * 2 ** 10

/** Bytes of a file. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` where it cannot be read */
export async function* readFrom(
  disk: Disk,
  path: string,
  from: number,
  end: number,
): AsyncGenerator<Buffer> {
  let at = from
  const fail = (error: Error) => {
    throw unreadable(path, at, error)
  }
  const file: DiskFile = await disk.openToRead(path).catch(fail)
  try {
    while (at < end) {
      // Its own memory each time: what was handed on may still be on its way through a socket.
      const buffer = Buffer.allocUnsafeSlow(Math.min(READ_SIZE, end - at))
      const read = await file.read(buffer, at).catch(fail)
      if (read < buffer.length) throw damaged(path, at + read, `it ends there, and not at ${end}`)
      yield buffer
      at += read
    }
  } finally {
    await file.close()
  }
}

/** The first bytes of a file, as they were written. */
export interface Written {
  readonly path: string
  /** How many. */
  readonly size: number
  /** Their CRC-32. */
  readonly crc: number
}

/**
 * A part's chunks. The last with bytes of the file is held back until their sum is right: S3 does not
 * take a body that ends before it.
 *
 * @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`
 */
export async function* checked(
  chunks: AsyncIterable<Uint8Array>,
  { path, size, crc }: Written,
): AsyncGenerator<Uint8Array> {
  let sum = 0
  let at = 0
  for await (const chunk of chunks) {
    if (at < size) sum = crc32(chunk.subarray(0, size - at), sum)
    const isEnd = at < size && at + chunk.length >= size
    if (isEnd && sum !== crc) {
      throw damaged(path, 0, `its first ${size} bytes are not those that were written`)
    }
    at += chunk.length
    yield chunk
  }
}

const unreadable = (path: string, offset: number, cause: Error): RealtimeUploadError => {
  const shortage = shortageIn(cause)
  const but = shortage === undefined ? '' : ` It is not damaged: ${shortage}.`
  return new RealtimeUploadError(
    'ERR_SPOOL_DAMAGED',
    `${path} cannot be read at byte ${offset}: ${cause.message}.${but} Nothing was deleted.`,
    { path, offset, cause },
  )
}
