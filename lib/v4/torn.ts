/**
 * What a cut leaves of a file: how far its bytes are those that were written, and where the rest is kept.
 */
import { crc32 } from 'node:zlib'
import type { Disk, DiskFile } from '../spool/disk.ts'
import type { Mark } from './take-journal.ts'

/** Bytes that are read or copied at once. */
const AT_ONCE = 2 ** 20

/** The last mark whose bytes are those that were written. */
export const lastThatHolds = async (file: DiskFile, marks: readonly Mark[]): Promise<Mark> => {
  const size = await file.size()
  const buffer = Buffer.allocUnsafeSlow(AT_ONCE)
  let [at, crc] = [0, 0]
  let last: Mark = { at, crc }
  // A sync's mark comes behind those of what was written meanwhile.
  for (const mark of marks.toSorted((one, other) => one.at - other.at)) {
    if (mark.at > size) break
    while (at < mark.at) {
      const read = await file.read(buffer.subarray(0, Math.min(AT_ONCE, mark.at - at)), at)
      if (read === 0) return last
      crc = crc32(buffer.subarray(0, read), crc)
      at += read
    }
    if (crc !== mark.crc) break
    last = mark
  }
  return last
}

/** Cuts a file; what stood behind is kept. */
export const setAside = async (
  file: DiskFile,
  end: number,
  size: number,
  path: string,
  disk: Disk,
): Promise<void> => {
  const aside = await disk.open(path)
  try {
    const from = await aside.size()
    for (let at = end; at < size; at += AT_ONCE) {
      const buffer = Buffer.allocUnsafe(Math.min(AT_ONCE, size - at))
      await file.read(buffer, at)
      await aside.write([buffer], from + at - end)
    }
    await aside.sync()
  } finally {
    await aside.close()
  }
  await file.cut(end)
}
