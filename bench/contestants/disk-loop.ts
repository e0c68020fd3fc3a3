import { mkdir, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Contestant } from '../job.ts'

/** The disk's floor: parts that are ready, a file each, written, synced, and removed; two at a time. */
export const upload: Contestant = async ({ bytes, partSize = 5 * 2 ** 20, spoolDir = '.' }) => {
  await mkdir(spoolDir, { recursive: true })
  const body = Buffer.alloc(partSize, 7)
  let next = 0
  const hand = async () => {
    while (next < bytes / partSize) {
      const path = join(spoolDir, `${next++}.bare`)
      crc32(body)
      const file = await open(path, 'w')
      await file.writeFile(body)
      await file.datasync()
      await file.close()
      await rm(path)
    }
  }
  await Promise.all([hand(), hand()])
}
