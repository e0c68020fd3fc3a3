import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiB } from './measure.ts'

let count = 0

/**
 * A file in memory where the system has such a place.
 *
 * @param isSparse it takes no room: what is read of it is zeros
 */
export const fileInMemory = async (bytes: number, isSparse = false): Promise<string> => {
  const folder = process.platform === 'linux' ? '/dev/shm' : tmpdir()
  const path = join(folder, `frameio-bench-${process.pid}-${count++}`)
  const file = await open(path, 'w')
  const block = Buffer.alloc(MiB, 7)
  if (isSparse) await file.truncate(bytes)
  else for (let at = 0; at < bytes; at += block.length) await file.write(block)
  await file.close()
  return path
}
