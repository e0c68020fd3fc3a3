/**
 * The folder of one upload: what is in it, and how it goes.
 *
 *   lock       who works on it
 *   journal    what became of the upload, a record a line
 *   reserve    1 MiB for the last lines of the journal, where the disk is full
 *   00001.part …  the bytes of a part; of the one that fills those that came
 *   overflow   says that these are but the parts that memory could not hold; then there is no journal
 *
 * Whatever else lies in it, such as a take that was kept, is no business of an upload's.
 */
import { basename } from 'node:path'
import { RealtimeUploadError } from '../errors.ts'
import type { Lock } from '../lock.ts'
import { type Disk, isNoFolder } from './disk.ts'
import { HEAD_SIZE, isHead } from './journal.ts'

/** Where a part's bytes lie. */
export const partFile = (folder: string, n: number): string =>
  `${folder}/${String(n).padStart(5, '0')}.part`

/** The number in the name of a part's file; undefined for any other file. */
export const partNumberOf = (name: string): number | undefined => {
  const [, digits] = /^(\d{5,})\.part$/.exec(name) ?? []
  return digits === undefined ? undefined : Number(digits)
}

const OVERFLOW = 'overflow'

/** Says what the parts in a folder will be, to whoever resumes and to whoever looks. */
export const markOverflow = async (disk: Disk, folder: string, assetId: string): Promise<void> => {
  const file = await disk.open(`${folder}/${OVERFLOW}`)
  try {
    await file.write([Buffer.from(`${aboutFragments(folder, assetId)}\n`)], 0)
    await file.sync()
  } finally {
    await file.close()
  }
}

export const isOverflow = (disk: Disk, folder: string): Promise<boolean> =>
  isThere(disk, `${folder}/${OVERFLOW}`)

export const aboutFragments = (folder: string, assetId: string): string =>
  `${folder} holds fragments of a recording of asset ${assetId} that was cut off: with durable: false the rest was in memory alone, and nothing of it can be finished. Remove the folder by hand.`

/** Is it the name of a file that comes and goes with an upload? */
export const isOwn = (name: string): boolean =>
  /^(lock|journal(\.torn)?|reserve|overflow|\d{5,}\.part(\.torn)?)$/.test(name)

/**
 * Is it the folder of an upload? Others are left alone, whatever is in them: other programs have files
 * of these names as well, and what a resume finds no upload in, it removes. So it must be called as
 * Frame.io calls assets, and people no folder, or hold a journal of ours. An empty one is that of an
 * upload which was cut off at once; and one that cannot be looked into counts by its name, for a recording
 * that another user made must not be passed over without a word: whoever opens it says why that fails.
 */
export const isOurs = async (disk: Disk, folder: string): Promise<boolean> => {
  const isCalledSo = UUID.test(basename(folder))
  let names: string[]
  try {
    names = await disk.list(folder)
  } catch (error) {
    return isCalledSo && !isNoFolder(error)
  }
  if (names.length === 0) return isCalledSo && (await isThere(disk, folder))
  const hasOwn = names.some(
    name =>
      ['journal', 'lock', 'reserve', OVERFLOW].includes(name) || partNumberOf(name) !== undefined,
  )
  return hasOwn && (isCalledSo || (await hasJournal(disk, folder)))
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

const hasJournal = async (disk: Disk, folder: string): Promise<boolean> => {
  const file = await disk.openToRead(`${folder}/journal`).catch(() => undefined)
  const head = Buffer.alloc(HEAD_SIZE)
  try {
    return isHead(head.subarray(0, await file?.read(head, 0)))
  } catch {
    return false // A folder, to begin with.
  } finally {
    await file?.close()
  }
}

const isThere = async (disk: Disk, path: string): Promise<boolean> =>
  (await disk.size(path)) !== undefined

/** Makes the folder of an upload, and keeps others off it. @throws as `lock` does */
export const claimFolder = async (
  disk: Disk,
  folder: string,
  lock: (path: string) => Promise<Lock>,
): Promise<Lock> => {
  await disk.makeFolder(folder)
  try {
    return await lock(`${folder}/lock`)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  // Whoever resumes has removed it just now, for it was empty.
  await disk.makeFolder(folder)
  return lock(`${folder}/lock`)
}

/** Makes room for the last lines of a journal. Whether there was any to be made. */
export const useReserve = async (disk: Disk, folder: string): Promise<boolean> => {
  const path = `${folder}/reserve`
  if ((await disk.size(path)) === undefined) return false
  await disk.remove(path)
  return true
}

/** What an upload may take of its disk, in bytes. */
export interface Share {
  readonly folder: string
  readonly disk: Disk
  /** At most. */
  readonly maxBytes: number
  /** Left free on the volume. */
  readonly keepFree: number
}

/** Is there room for so many bytes more, beside those that it has taken? */
export const hasRoom = async (
  { folder, disk, maxBytes, keepFree }: Share,
  taken: number,
  more: number,
): Promise<boolean> =>
  taken + more <= maxBytes && (keepFree === 0 || (await disk.free(folder)) - more >= keepFree)

/** @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE` where an unfinished upload lies in the folder */
export const refuseUsed = async (disk: Disk, folder: string, assetId: string): Promise<void> => {
  const hasParts = (await disk.list(folder)).some(name => partNumberOf(name) !== undefined)
  if (!hasParts && !(await disk.size(`${folder}/journal`))) {
    // Of an overflow of which nothing lay on the disk any more.
    await disk.remove(`${folder}/${OVERFLOW}`)
    return
  }
  const message = (await isOverflow(disk, folder))
    ? aboutFragments(folder, assetId)
    : `${folder} holds an unfinished upload of asset ${assetId}: finish it first, with resumeUploads`
  throw new RealtimeUploadError('ERR_SPOOL_IN_USE', message, { assetId })
}

/**
 * In an order in which what is left always reads as what it is. What is not the upload's stays. The
 * lock's file goes before the lock is released: else somebody could take it in between, and lose its
 * file. The folder goes afterwards: Windows keeps the name of a file until it is closed.
 */
export const removeFolder = async (disk: Disk, folder: string, lock: Lock): Promise<void> => {
  const names = await disk.list(folder)
  const isLast = (name: string) => ['journal', OVERFLOW, 'lock'].includes(name)
  const own = names.filter(name => isOwn(name) && !isLast(name))
  for (const name of own) await disk.remove(`${folder}/${name}`)
  await disk.syncFolder(folder)
  await disk.remove(`${folder}/journal`)
  await disk.remove(`${folder}/${OVERFLOW}`)
  await disk.remove(`${folder}/lock`)
  await lock.release()
  if (!names.every(isOwn)) return
  await disk.removeFolder(folder).catch(error => {
    // Another upload of this asset has begun in it; or whoever resumes found it empty, and was faster.
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOTEMPTY', 'ENOENT'].includes(code)) throw error
  })
}
