/**
 * What was uploaded stays, with `spool.keep`, as one file a take: `clip.mp4.partial` while it is
 * recorded and sent, `clip.mp4` once Frame.io has all of it.
 *
 * A part that skipped the disk, for that was full or slow, has its place in the file as well. It comes
 * late: it is written there once it is stored, from its memory, one such part after each pass of the
 * spool. Neither source nor PUTs wait for that: while memory is short late parts keep a quarter of it at
 * most, and none where the disk has no room. What was not written is a hole, and the file is called
 * `clip.mp4.incomplete`.
 *
 * What stays does not count towards `maxBytes`, which bounds what waits; it does towards `keepFree`.
 */
import { basename, extname } from 'node:path'
import { crc32 } from 'node:zlib'
import { fileNameOf } from '../file-name.ts'
import { isTooMany } from '../shortage.ts'
import { type Disk, isFull } from './disk.ts'
import { hasRoom, isOwn } from './folder.ts'
import type { KeptFile } from './home.ts'
import type { Entry } from './journal.ts'
import type { SpoolPart } from './spool-part.ts'
import { PARTIAL, placeParts, TakeFile } from './take-file.ts'

const INCOMPLETE = '.incomplete'
/** Left in a name, in bytes: for the above, and for the number of a take. */
const SPARE = 24

export interface KeptOptions {
  readonly folder: string
  readonly disk: Disk
  /** Of the file when it is whole. */
  readonly name: string
  /** Bytes that are left free on the volume. */
  readonly keepFree: number
  /** In bytes. */
  readonly memoryLimit: number
}

export class Kept {
  readonly take: TakeFile
  readonly #options: KeptOptions
  /** Parts that lie whole and durable in it. */
  readonly #there = new Set<number>()
  #count = 0
  /** Stored parts that do not, in memory. */
  #late: SpoolPart[] = []
  /** Had the disk no room for the last of them? */
  #isFull = false
  /** Did somebody want their memory in vain? */
  #isShort = false

  constructor(options: KeptOptions) {
    const { disk, folder, name } = options
    this.#options = options
    this.take = new TakeFile(disk, folder, name)
  }

  /** The next part has so many bytes when it is full. */
  begin(size: number): void {
    this.take.begin(size)
    this.#count++
  }

  /** A part lies whole and durable in the file. */
  isThere(part: SpoolPart): void {
    this.#there.add(part.n)
  }

  /** A part is stored: is its memory still wanted? */
  wants(part: SpoolPart): boolean {
    if (this.#there.has(part.n)) return false
    // What is being written is read until that is over: it would be written as what others make of it.
    const isGiven = this.#isShort && !part.isBeingWritten && !this.#mayHold(part.size)
    if (isGiven) this.#isShort = false
    else this.#late.push(part)
    return !isGiven
  }

  /** Somebody is short of memory: gives back that of a late part. Whether there was one that may go. */
  giveSpare(): boolean {
    const index = this.#mayHold(0)
      ? -1
      : this.#late.findLastIndex(({ isBeingWritten }) => !isBeingWritten)
    const [part] = index < 0 ? [] : this.#late.splice(index, 1)
    // Whoever gets it asks again where it is not enough, before `drop` returns; else nobody asks again.
    this.#isShort = part === undefined
    part?.drop()
    return part !== undefined
  }

  /** May late parts, and so many bytes more, stay in memory while that is short? */
  #mayHold(more: number): boolean {
    const held = this.#late.reduce((sum, { size }) => sum + size, more)
    const count = this.#late.length + Math.sign(more)
    return !this.#isFull && (count < 2 || held <= this.#options.memoryLimit / 4)
  }

  /** The disk failed. */
  giveUp(): void {
    this.#isFull = true
    while (this.giveSpare());
  }

  /** Writes a late part. Gives what the journal is to say; undefined where there was none, or no room. */
  async catchUp(): Promise<Entry | undefined> {
    const part = this.#late.shift()
    if (!part) return undefined
    const chunks = [...part.chunks(part.written, part.filled)]
    try {
      this.#isFull = !(await this.#write(part, chunks))
    } catch (error) {
      this.#late.unshift(part)
      throw error
    }
    if (this.#isFull) {
      this.#late.unshift(part)
      if (this.#isShort) this.giveSpare()
      return undefined
    }
    const { n, filled: size } = part
    const crc = chunks.reduce((crc, chunk) => crc32(chunk, crc), part.crc)
    this.#there.add(n)
    this.#isShort = false
    part.drop()
    return { t: 'part', n, size, crc }
  }

  /** Whether there was room. */
  async #write({ written: at, filled, path }: SpoolPart, chunks: Buffer[]): Promise<boolean> {
    const share = { ...this.#options, maxBytes: Number.POSITIVE_INFINITY }
    if (!(await hasRoom(share, 0, filled - at))) return false
    try {
      const file = await this.take.open(path)
      await file.write(chunks, at)
    } catch (error) {
      // No write has too many files open: there is none yet.
      if (isFull(error) || isTooMany(error)) return false
      throw error
    }
    await this.take.sync()
    return true
  }

  /** All is stored: gives the file its name. @param total bytes of the recording */
  conclude(total: number): Promise<KeptFile | undefined> {
    const { disk, folder, name } = this.#options
    const lacking = Array.from({ length: this.#count }, (_, index) => index + 1).filter(
      n => !this.#there.has(n),
    )
    // One that is written from now on would begin another file.
    this.#dropLate()
    return conclude({ disk, folder, name, take: this.take, lacking }, total)
  }

  async close(): Promise<void> {
    this.#dropLate()
    await this.take.close()
  }

  #dropLate(): void {
    for (const part of this.#late.splice(0)) part.drop()
  }
}

/** The take of an upload that was cut off, where it stays. */
export interface KeptBefore {
  readonly take: TakeFile
  conclude(total: number): Promise<KeptFile | undefined>
}

export const keptBefore = (
  disk: Disk,
  folder: string,
  entries: readonly Entry[],
): KeptBefore | undefined => {
  const [open] = entries
  if (open?.t !== 'open' || open.keep === undefined) return undefined
  // Whoever can write to the journal must not choose where else a file is written.
  const name = keptNameOf(open.keep)
  const take = new TakeFile(disk, folder, name)
  placeParts(take, folder, entries)
  const there = new Set(entries.flatMap(entry => (entry.t === 'part' ? entry.n : [])))
  const lacking = entries.flatMap(entry =>
    entry.t === 'stored' && !there.has(entry.n) ? entry.n : [],
  )
  return { take, conclude: total => conclude({ disk, folder, name, take, lacking }, total) }
}

interface Ending extends Pick<KeptOptions, 'disk' | 'folder' | 'name'> {
  readonly take: TakeFile
  /** Parts that are not whole in it. */
  readonly lacking: readonly number[]
}

/** Whoever is killed in between does it again. Undefined where nothing was recorded. */
const conclude = async (
  { disk, folder, name, take, lacking }: Ending,
  total: number,
): Promise<KeptFile | undefined> => {
  const missing = joined(
    lacking.map(n => take.rangeOf(n)),
    total,
  )
  const isWhole = missing.length === 0
  const wanted = isWhole ? name : `${name}${INCOMPLETE}`
  const names = await disk.list(folder)
  if (!names.includes(basename(take.path))) {
    if (names.includes(wanted)) return { path: `${folder}/${wanted}`, missing }
    if (isWhole) return undefined
  }
  if (total === 0) {
    await take.close()
    await disk.remove(take.path)
    return undefined
  }
  await take.cut(total)
  // Its length, too, is durable before its name: whoever is killed now finds that, and looks no further.
  // Where it lacks bytes for the want of a sync, which is not repeated, that is told already.
  await take.sync().catch(error => {
    if (isWhole) throw error
  })
  await take.close()
  const path = `${folder}/${names.includes(wanted) ? freeName(names, wanted) : wanted}`
  await disk.rename(take.path, path)
  await disk.syncFolder(folder)
  return { path, missing }
}

const joined = (ranges: KeptFile['missing'], end: number): KeptFile['missing'] => {
  const all: { from: number; to: number }[] = []
  for (const range of [...ranges].sort((one, other) => one.from - other.from)) {
    const to = Math.min(range.to, end)
    const last = all.at(-1)
    if (last?.to === range.from) last.to = to
    else all.push({ from: range.from, to })
  }
  return all
}

/** What a take is called on the disk: none of a spool's own names, and with room for what is put behind it. */
export const keptNameOf = (name: string): string => {
  const safe = fileNameOf(name, SPARE)
  return isOwn(safe.toLowerCase()) ? `_${safe}` : safe
}

/** A name that no other take has in this folder: `clip (2).mp4` beside `clip.mp4`. */
export const freeName = (names: readonly string[], name: string): string => {
  // Some disks take names for the same that others tell apart.
  const plain = (name: string) => name.normalize().toLowerCase()
  const taken = new Set(names.map(plain))
  const extension = extname(name)
  const stem = name.slice(0, name.length - extension.length)
  for (let n = 1; ; n++) {
    const free = n === 1 ? name : `${stem} (${n})${extension}`
    if (['', PARTIAL, INCOMPLETE].every(end => !taken.has(plain(free + end)))) return free
  }
}
