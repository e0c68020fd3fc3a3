/**
 * The folder of one upload: what is in it, and how it goes.
 *
 *   lock       who works on it
 *   journal    what became of the upload, a record a line
 *   reserve    1 MiB for the last lines of the journal, where the disk is full
 *   00001.part …  the bytes of a part; of the one that fills those that came
 */
import { RealtimeUploadError } from '../errors.ts'
import type { Disk } from './disk.ts'

/** Where a part's bytes lie. */
export const partFile = (folder: string, n: number): string =>
  `${folder}/${String(n).padStart(5, '0')}.part`

/** The number in the name of a part's file; undefined for any other file. */
export const partNumberOf = (name: string): number | undefined => {
  const [, digits] = /^(\d{5,})\.part$/.exec(name) ?? []
  return digits === undefined ? undefined : Number(digits)
}

/** Is it the folder of an upload? Others are left alone. */
export const isOurs = async (disk: Disk, folder: string): Promise<boolean> => {
  const names = await disk.list(folder).catch(() => [])
  return names.some(
    name => ['journal', 'lock', 'reserve'].includes(name) || partNumberOf(name) !== undefined,
  )
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
  if (!hasParts && !(await disk.size(`${folder}/journal`))) return
  const message = `${folder} holds an unfinished upload of asset ${assetId}: finish it first, with resumeUploads`
  throw new RealtimeUploadError('ERR_SPOOL_IN_USE', message, { assetId })
}

/** In an order in which what is left always reads as what it is. */
export const removeFolder = async (disk: Disk, folder: string): Promise<void> => {
  const names = await disk.list(folder)
  const isLast = (name: string) => name === 'journal' || name === 'lock'
  for (const name of names) if (!isLast(name)) await disk.remove(`${folder}/${name}`)
  await disk.syncFolder(folder)
  await disk.remove(`${folder}/journal`)
  await disk.remove(`${folder}/lock`)
  await disk.removeFolder(folder)
}
