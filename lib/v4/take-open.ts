/**
 * A new take's folder, locked, with the first line of its journal durable: before a byte is taken in.
 */
import { RealtimeUploadError } from '../errors.ts'
import { type Lock, lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { claimFolder, useReserve } from '../spool/folder.ts'
import { Journal } from '../spool/journal.ts'
import { newTakeFolder, RESERVE } from './take-folder.ts'
import { type TakeEntry, takeEntry } from './take-journal.ts'
import type { ResolvedTakeOptions } from './take-options.ts'

export interface OpenedTake {
  readonly folder: string
  readonly lock: Lock
  readonly journal: Journal<TakeEntry>
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where `spool.dir` is of no use */
export const openTake = async (
  { dir, opening }: Pick<ResolvedTakeOptions, 'dir' | 'opening'>,
  lockAt = lock,
): Promise<OpenedTake> => {
  try {
    for (;;) {
      const folder = newTakeFolder(dir, opening.name)
      if ((await realDisk.list(folder)).length > 0) continue
      const taken = await claimFolder(realDisk, folder, path => lockAt(path)).catch(error => {
        // Whoever resumes found it empty, and is about to remove it.
        if (error.code === 'ERR_SPOOL_IN_USE') return undefined
        throw error
      })
      if (!taken) continue
      try {
        return { folder, lock: taken, journal: await begin(folder, takeEntry(opening)) }
      } catch (error) {
        await taken.release()
        throw error
      }
    }
  } catch (error) {
    if (error instanceof RealtimeUploadError) throw error
    const { message } = error as Error
    const text = `spool.dir must be a folder on a disk that takes it; ${dir} could not be made ready: ${message}`
    const details = { option: 'spool.dir', path: dir, cause: error }
    throw new RealtimeUploadError('ERR_INVALID_OPTION', text, details)
  }
}

const begin = async (folder: string, entry: TakeEntry): Promise<Journal<TakeEntry>> => {
  const reserve = await realDisk.open(`${folder}/reserve`)
  try {
    await reserve.write([Buffer.alloc(RESERVE)], 0)
    await reserve.sync()
  } finally {
    await reserve.close()
  }
  const file = await realDisk.open(`${folder}/journal`)
  const journal = new Journal<TakeEntry>(file, 0, () => useReserve(realDisk, folder))
  try {
    journal.add(entry)
    await journal.sync()
    return journal
  } catch (error) {
    await journal.close()
    throw error
  }
}
