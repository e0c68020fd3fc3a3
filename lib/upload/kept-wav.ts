/**
 * A take that stays is what Frame.io has, its head included, which is mended on the way there.
 */
import { RealtimeUploadError } from '../errors.ts'
import { realDisk } from '../spool/disk.ts'
import type { KeptFile } from '../spool/home.ts'
import { finishWav } from './wav.ts'

/**
 * @param size bytes of part 1, in which the head stands
 * @throws what the disk threw
 */
export const mendKept = async (
  { path, missing }: KeptFile,
  bytes: number,
  size: number,
): Promise<void> => {
  if (missing.length > 0) return
  const file = await realDisk.open(path)
  try {
    const head = Buffer.alloc(Math.min(bytes, size))
    if ((await file.read(head, 0)) < head.length) throw new Error(`${path} lacks its head`)
    finishWav(head, { bytes })
    await file.write([head], 0)
    await file.sync()
  } catch (error) {
    // No WAV: that was said when its first bytes came, and it went up as it is.
    if (!(error instanceof RealtimeUploadError)) throw error
  } finally {
    await file.close()
  }
}
