/**
 * The folder of one take: what is in it, and how it goes.
 *
 *     <dir>/A001-20261201-150000-1f3a/     0700: the take's name, when it began (UTC), and four digits by chance
 *       lock                               who works on it
 *       journal                            what became of the take, a record a line: see take-journal.ts
 *       reserve                            1 MiB for the last lines of the journal, where the disk is full
 *       A001_001.mp4                       a piece that is whole. Without `segment` it is A001.mp4
 *       A001_001.mp4.upload/               the record of its upload, while that runs: see record.ts
 *       A001_002.mp4.partial               the piece that is recorded
 *       A001_002.mp4.torn                  after a crash: bytes of it that no mark vouches for
 *
 * `resumeUploads` leaves the folder alone, for no asset is called so and no journal of a spool begins so.
 */
import { randomBytes } from 'node:crypto'
import { basename, extname, join } from 'node:path'
import { fileNameOf } from '../file-name.ts'
import type { Lock } from '../lock.ts'
import { segmentName } from '../segments/segment-name.ts'
import { type Disk, isNoFolder } from '../spool/disk.ts'
import { isTakeHead } from './take-journal.ts'

/** Behind the name of a piece that is not whole yet, of what is torn off, and of the record of its upload. */
const PARTIAL = '.partial'
const TORN = '.torn'
const RECORD = '.upload'
/** Bytes that the longest of these takes, with `.new` for a file in the making. */
const SPARE = 16
/** Bytes that the number of a piece takes. */
const NUMBER = 10

/** Kept on the disk for the last lines of the journal, in bytes. */
export const RESERVE = 2 ** 20

/**
 * The file of a piece. A name that is too long for a disk is cut before its number is put into it: else all pieces
 * would have one file, and each would replace the one before.
 *
 * @param number of the piece; undefined where there is one
 */
export const fileOf = (name: string, number: number | undefined): string => {
  const safe = fileNameOf(name, SPARE + NUMBER)
  const file = number === undefined ? safe : segmentName(safe, number)
  return OWN.has(file) ? `_${file}` : file
}
/** Is it the name of a file in its folder? What a journal says may have been written by anybody. */
export const isFileOfPiece = (file: unknown): file is string =>
  typeof file === 'string' && file !== '' && fileNameOf(file) === file && !OWN.has(file)

export const partialOf = (path: string): string => path + PARTIAL
export const tornOf = (path: string): string => path + TORN
export const recordOf = (path: string): string => path + RECORD

/** A folder for a new take, of a name that no other has. */
export const newTakeFolder = (dir: string, name: string, now = new Date()): string => {
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '')
    .replace('T', '-')
  const stem = name.slice(0, name.length - extname(name).length)
  return join(dir, `${fileNameOf(stem, 21)}-${stamp}-${randomBytes(2).toString('hex')}`)
}

const NAME = /-\d{8}-\d{6}-[0-9a-f]{4}$/
const OWN = new Set(['lock', 'journal', 'journal.torn', 'reserve'])
/** What a take that was cut off at once may hold; or nothing. */
const ALMOST_NOTHING = new Set(['lock', 'reserve', 'journal'])

/** Is it the folder of a take? Whatever else lies in a spool is left alone. Where it cannot be looked into, its name says. */
export const isTakeFolder = async (disk: Disk, folder: string): Promise<boolean> => {
  const isCalledSo = NAME.test(basename(folder))
  let names: string[]
  try {
    names = await disk.list(folder)
  } catch (error) {
    return isCalledSo && !isNoFolder(error)
  }
  const head = names.includes('journal') ? await headOf(disk, `${folder}/journal`) : undefined
  if (head && head.length > 0) return isTakeHead(head)
  const isNothing = isCalledSo && names.every(n => ALMOST_NOTHING.has(n))
  // What is not there has no names either.
  return isNothing && (await disk.size(folder)) !== undefined
}

const headOf = async (disk: Disk, path: string): Promise<Buffer | undefined> => {
  const file = await disk.openToRead(path).catch(() => undefined)
  const head = Buffer.alloc(32)
  try {
    return head.subarray(0, await file?.read(head, 0))
  } catch {
    return undefined // A folder, to begin with.
  } finally {
    await file?.close()
  }
}

export interface RemoveTake {
  readonly disk: Disk
  readonly folder: string
  readonly lock: Lock
  /** Files of its pieces. */
  readonly files: readonly string[]
  /** Whether they stay. */
  readonly keep: boolean
}

/**
 * All of a take is stored, or there was nothing. In an order in which what is left always reads as what it is;
 * what is not the take's stays, and the folder with it.
 */
export const removeTake = async ({
  disk,
  folder,
  lock,
  files,
  keep,
}: RemoveTake): Promise<void> => {
  for (const file of files) {
    const path = `${folder}/${file}`
    if (!keep) await disk.remove(path)
    await disk.remove(tornOf(path))
  }
  for (const name of ['reserve', 'journal.torn']) await disk.remove(`${folder}/${name}`)
  await disk.syncFolder(folder)
  for (const name of ['journal', 'lock']) await disk.remove(`${folder}/${name}`)
  await lock.release()
  const left = (await disk.list(folder)).filter(name => !OWN.has(name))
  if (left.length > 0) return
  await disk.removeFolder(folder).catch(error => {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(code)) throw error
  })
}
