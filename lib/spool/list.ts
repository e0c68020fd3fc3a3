/**
 * What waits in a spool, without touching it: no lock is taken.
 */
import { stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { holderOf } from '../lock.ts'
import { realDisk } from './disk.ts'
import { isOurs } from './folder.ts'
import type { Opening } from './journal.ts'
import { recover } from './recover.ts'
import { look } from './reopen.ts'

export interface Waiting {
  readonly assetId: string
  readonly folder: string
  /** Undefined where no byte came, or the journal cannot be read. */
  readonly opening: Opening | undefined
  /** The file whose ranges its parts are, where one is followed. */
  readonly file: string | undefined
  /** Bytes in part files. */
  readonly bytes: number
  /** Bytes that S3 has. */
  readonly bytesStored: number
  /** When the journal was last written to, in ms since the epoch. */
  readonly changedAt: number
  /** The process that works on it. */
  readonly lockedBy: number | undefined
  /** Why it cannot be resumed as it lies there. */
  readonly error: Error | undefined
}

/** Every upload in a folder, by name. */
export const listUploads = async (dir: string): Promise<Waiting[]> => {
  const folders = (await realDisk.list(dir)).sort().map(name => join(dir, name))
  const uploads: Waiting[] = []
  for (const folder of folders) {
    if (!(await isOurs(realDisk, folder))) continue
    const seen = await see(folder).catch(async error => {
      // Whoever works on it has finished it in this very moment.
      return (await isOurs(realDisk, folder)) ? unseen(folder, error) : undefined
    })
    if (seen) uploads.push(seen)
  }
  return uploads
}

const see = async (folder: string): Promise<Waiting> => {
  const found = await look(realDisk, folder)
  const lockedBy = await holderOf(join(folder, 'lock'))
  const { mtimeMs } = await stat(join(folder, 'journal')).catch(() => stat(folder))
  const seen = {
    assetId: basename(folder),
    folder,
    bytes: [...found.files.values()].reduce((sum, size) => sum + size, 0),
    changedAt: mtimeMs,
    lockedBy,
  }
  try {
    const { opening, followed, stored } = recover({ folder, ...found }) ?? {}
    const file = followed?.source.path
    return { ...seen, opening, file, bytesStored: stored?.bytes ?? 0, error: undefined }
  } catch (error) {
    return { ...seen, opening: undefined, file: undefined, bytesStored: 0, error: error as Error }
  }
}

/** One that cannot be looked into: another user's, or on a drive that is away. */
const unseen = async (folder: string, error: Error): Promise<Waiting> => ({
  assetId: basename(folder),
  folder,
  opening: undefined,
  file: undefined,
  bytes: 0,
  bytesStored: 0,
  changedAt: (await stat(folder)).mtimeMs,
  lockedBy: undefined,
  error,
})
