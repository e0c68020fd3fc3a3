/**
 * The folder of an upload that was cut off, opened again: what `recover` says of it is carried out here.
 * Each step leaves a folder that reads the same, so that one who is killed in between changes nothing.
 */
import { crc32 } from 'node:zlib'
import type { Lock } from '../lock.ts'
import type { Disk, DiskFile } from './disk.ts'
import { isOverflow, partFile, partNumberOf, removeFolder, useReserve } from './folder.ts'
import { Journal, type Reading, readJournal } from './journal.ts'
import { type KeptBefore, keptBefore } from './kept.ts'
import { readFrom } from './read-back.ts'
import { damaged, type MarkedPart, type Recovery, recover, type WholePart } from './recover.ts'
import { PARTIAL } from './take-file.ts'

export interface Reopening {
  readonly folder: string
  readonly disk: Disk
  readonly lock: (path: string) => Promise<Lock>
}

/** Locked, with its journal open for more. */
export interface Reopened {
  readonly folder: string
  readonly disk: Disk
  readonly lock: Lock
  readonly journal: Journal
  /** With what the files hold of parts of which there were marks alone. */
  readonly recovery: Recovery
  /** Where the take stays. */
  readonly kept: KeptBefore | undefined
}

/** Files that are looked at at once. */
const AT_ONCE = 64

/**
 * Opens the folder of an upload, and keeps others off it.
 *
 * @returns undefined where no byte ever came: the folder is gone then
 * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`, `ERR_SPOOL_INCOMPLETE`
 */
export const reopen = async (options: Reopening): Promise<Reopened | undefined> => {
  const { disk, folder } = options
  const lock = await options.lock(`${folder}/lock`)
  let file: DiskFile | undefined
  let kept: KeptBefore | undefined
  try {
    const found = await look(disk, folder)
    kept = found.kept
    const recovery = recover({ folder, ...found })
    if (!recovery) {
      await removeFolder(disk, folder, lock)
      return undefined
    }
    const { reading, size } = found
    file = await disk.open(`${folder}/journal`)
    if (reading.end < size) {
      await keepTorn(disk, folder, reading.end, size)
      await file.cut(reading.end)
    }
    await file.sync()
    const journal = new Journal(file, reading.end, () => useReserve(disk, folder))
    const parts = kept?.take ?? disk
    const taken = await takeMarked({ disk: parts, folder, journal, recovery })
    return { disk: parts, folder, lock, journal, recovery: { ...recovery, ...taken }, kept }
  } catch (error) {
    // What went wrong first is what counts.
    await file?.close().catch(() => {})
    await kept?.take.close().catch(() => {})
    await lock.release()
    throw error
  }
}

/** Parts behind the last that was known whole: as far as their marks hold. */
const takeMarked = async ({
  disk,
  folder,
  journal,
  recovery,
}: Omit<Reopened, 'lock' | 'kept'>): Promise<Pick<Recovery, 'send' | 'cut'>> => {
  const { marked } = recovery
  const send: WholePart[] = [...recovery.send]
  let { cut } = recovery
  for (const [index, { n, marks }] of marked.entries()) {
    const path = partFile(folder, n)
    // Whoever resumed before has cut the recording in front of it, and was killed then.
    if ((await disk.size(tornFile(path))) !== undefined) {
      await setAside(disk, folder, marked.slice(index))
      break
    }
    const held = await heldBy(disk, path, marks)
    const durable = marks.findLast(({ synced }) => synced)?.at ?? 0
    if (held.at < durable) {
      throw damaged(path, held.at, `its first ${durable} bytes were durable, and are others now`)
    }
    // What stands behind a gap is kept, but never taken for what follows.
    if (!held.whole) await setAside(disk, folder, marked.slice(held.at === 0 ? index : index + 1))
    if (held.at === 0) break
    const file = await disk.open(path)
    await file.cut(held.at)
    await file.sync()
    await file.close()
    const part = { n, size: held.at, crc: held.crc }
    journal.add({ t: 'part', ...part })
    send.push(part)
    cut = { parts: n, bytes: cut.bytes + held.at }
    if (!held.whole) break
  }
  if (marked.length > 0) {
    // Whoever made these files was killed, perhaps before their names were durable.
    await disk.syncFolder(folder)
    await journal.sync()
  }
  return { send, cut }
}

/** What stood behind a gap. */
const tornFile = (path: string) => `${path}.torn`

const setAside = async (
  disk: Disk,
  folder: string,
  parts: readonly MarkedPart[],
): Promise<void> => {
  for (const { n } of parts) {
    const path = partFile(folder, n)
    if ((await disk.size(path)) === undefined) continue
    await disk.rename(path, tornFile(path))
  }
  if (parts.length > 0) await disk.syncFolder(folder)
}

/** The last of the marks up to which the bytes in the file are those that were written. */
const heldBy = async (disk: Disk, path: string, marks: MarkedPart['marks']) => {
  const size = (await disk.size(path)) ?? 0
  let held: { at: number; crc: number; whole?: boolean | undefined } = { at: 0, crc: 0 }
  let crc = 0
  let at = 0
  const left = marks.filter(mark => mark.at <= size)
  const end = left.at(-1)?.at ?? 0
  if (end === 0) return held
  for await (const chunk of readFrom(disk, path, 0, end)) {
    let rest = chunk
    while (rest.length > 0) {
      const next = left[0] as (typeof left)[number]
      const upTo = rest.subarray(0, next.at - at)
      crc = crc32(upTo, crc)
      at += upTo.length
      rest = rest.subarray(upTo.length)
      if (at < next.at) continue
      if (crc !== next.crc) return held
      held = next
      left.shift()
    }
  }
  return held
}

interface Look {
  readonly reading: Reading
  readonly files: ReadonlyMap<number, number>
  /** Of the journal, in bytes. */
  readonly size: number
  readonly isOverflow: boolean
  readonly hasTake: boolean
  readonly kept: KeptBefore | undefined
}

/** What lies in the folder of an upload. Nothing is changed. */
export const look = async (disk: Disk, folder: string): Promise<Look> => {
  const journal = `${folder}/journal`
  const size = (await disk.size(journal)) ?? 0
  const reading = await readJournal(size > 0 ? readFrom(disk, journal, 0, size) : [])
  const kept = keptBefore(disk, folder, reading.entries)
  const parts = kept?.take ?? disk
  const numbers = (await parts.list(folder)).flatMap(name => partNumberOf(name) ?? [])
  const hasTake = (await disk.list(folder)).some(name => name.endsWith(PARTIAL))
  const files = new Map<number, number>()
  for (let from = 0; from < numbers.length; from += AT_ONCE) {
    const some = numbers.slice(from, from + AT_ONCE)
    const sizes = await Promise.all(some.map(n => parts.size(partFile(folder, n))))
    for (const [index, n] of some.entries()) files.set(n, sizes[index] ?? 0)
  }
  return { reading, files, size, isOverflow: await isOverflow(disk, folder), hasTake, kept }
}

/** What is cut off stays, behind what was cut off before. */
const keepTorn = async (disk: Disk, folder: string, from: number, end: number): Promise<void> => {
  const file = await disk.open(`${folder}/journal.torn`)
  let at = await file.size()
  for await (const chunk of readFrom(disk, `${folder}/journal`, from, end)) {
    await file.write([chunk], at)
    at += chunk.length
  }
  await file.sync()
  await file.close()
}
