/**
 * For how many bytes there is room until the source is held: in memory, and on the disk.
 */
import { statfsSync } from 'node:fs'
import type { SpoolOptions } from '../frameio/options.ts'
import type { Room } from './rates.ts'

/** Left free on the volume of a spool, unless told otherwise. */
const KEEP_FREE = 2 ** 30

/** @param memoryLimit in bytes */
export const roomFor = (memoryLimit: number, spool: SpoolOptions | undefined): Room => {
  if (!spool) return ({ bytesBuffered }) => memoryLimit - bytesBuffered
  const { dir, maxBytes = Number.POSITIVE_INFINITY, keepFree = KEEP_FREE } = spool
  return ({ bytesBuffered, bytesSpooled }) => {
    const inMemory = Math.max(0, bytesBuffered - bytesSpooled)
    const onDisk = Math.min(maxBytes - bytesSpooled, freeOn(dir) - keepFree)
    return memoryLimit - inMemory + Math.max(0, onDisk)
  }
}

/** 0 where nothing is there yet. */
const freeOn = (dir: string): number => {
  try {
    const { bavail, bsize } = statfsSync(dir)
    return bavail * bsize
  } catch {
    return 0
  }
}
