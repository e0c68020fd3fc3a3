/**
 * Whether a piece on the disk still is what was recorded: somebody may edit it while it waits, and a disk may rot.
 */
import { stat } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import type { Disk } from '../spool/disk.ts'
import type { FileFacts } from '../spool/ledger.ts'
import { readFrom } from '../spool/read-back.ts'
import { damaged } from '../spool/recover.ts'
import type { Mark } from './take-journal.ts'

/** Of a file that is gone nothing is known. */
export const lookAt = async (path: string): Promise<FileFacts | undefined> => {
  const seen = await stat(path, { bigint: true }).catch(() => undefined)
  if (!seen) return undefined
  const { dev, ino, size, mtimeNs } = seen
  return { path, dev: String(dev), ino: String(ino), size: Number(size), mtime: String(mtimeNs) }
}

/** Has nobody touched it since? Then its bytes need not be read for that. */
export const isUntouched = (one: FileFacts | undefined, other: FileFacts): boolean =>
  one !== undefined &&
  (['dev', 'ino', 'size', 'mtime'] as const).every(key => one[key] === other[key])

/** Reads all of it. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`; an `AbortError` when the signal aborts */
export const confirmBytes = async (
  disk: Disk,
  path: string,
  { at, crc }: Mark,
  signal: AbortSignal | undefined,
): Promise<void> => {
  let sum = 0
  for await (const chunk of readFrom(disk, path, 0, at)) {
    if (signal?.aborted) throw new AbortError(signal.reason)
    sum = crc32(chunk, sum)
  }
  if (sum !== crc) throw damaged(path, 0, OTHER_BYTES)
}

export const OTHER_BYTES =
  'it does not hold the bytes that were recorded. If it is as you want it, move it away, and upload it with uploadFile'

/** Of one that has another size now, or none. */
export const lost = (
  path: string,
  size: number,
  there: number | undefined,
): RealtimeUploadError => {
  if (there !== undefined) {
    return damaged(path, Math.min(size, there), `it has ${there} bytes, and had ${size}`)
  }
  const text = `${path} is gone, with all of its ${size} bytes. What else there is of the recording stays`
  return new RealtimeUploadError('ERR_SPOOL_INCOMPLETE', text, { path, from: 0, to: size })
}
