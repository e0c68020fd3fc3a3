/**
 * An upload that was cut off, opened again: what `recover` says of its folder is carried out here.
 * Each step leaves a folder that reads the same, so that one who is killed in between changes nothing.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { Disk, DiskFile } from './disk.ts'
import { partFile, partNumberOf, removeFolder, useReserve } from './folder.ts'
import type { Part } from './home.ts'
import { Journal, type Opening, type Reading, readJournal } from './journal.ts'
import type { Lock } from './lock.ts'
import {
  damaged,
  incomplete,
  type MarkedPart,
  type Recovery,
  recover,
  type WholePart,
} from './recover.ts'
import { readFrom } from './spool-part.ts'

export interface UnfinishedOptions {
  readonly folder: string
  readonly disk: Disk
  readonly lock: (path: string) => Promise<Lock>
}

/** Files that are looked at at once. */
const AT_ONCE = 64

export class Unfinished {
  readonly folder: string
  readonly #disk: Disk
  readonly #lock: Lock
  readonly #journal: Journal
  readonly #recovery: Recovery
  readonly #parts: WholePart[]
  /** Parts and bytes up to the last that is whole. */
  #cut: Recovery['cut']
  #final: Recovery['final']
  /** Stored parts whose files are still there. */
  #stored: WholePart[] = []
  #tidying: Promise<void> | undefined
  /** The disk failed: nothing is written any more, for a sync that failed must not be repeated. */
  #failure: Error | undefined

  /**
   * Opens an upload, and keeps others off it.
   *
   * @returns undefined where no byte ever came: the folder is gone then
   * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`, `ERR_SPOOL_INCOMPLETE`
   */
  static async open(options: UnfinishedOptions): Promise<Unfinished | undefined> {
    const { disk, folder } = options
    const lock = await options.lock(`${folder}/lock`)
    let file: DiskFile | undefined
    try {
      const found = await look(disk, folder)
      const recovery = recover({ folder, ...found })
      if (!recovery) {
        await removeFolder(disk, folder)
        await lock.release()
        return undefined
      }
      const { reading, bytes } = found
      file = await disk.open(`${folder}/journal`)
      if (reading.end < bytes.length) {
        await keepTorn(disk, folder, bytes.subarray(reading.end))
        await file.cut(reading.end)
      }
      await file.sync()
      const journal = new Journal(file, reading.end, () => useReserve(disk, folder))
      const unfinished = new Unfinished(folder, disk, lock, journal, recovery)
      await unfinished.#takeMarked(recovery.marked)
      return unfinished
    } catch (error) {
      await file?.close().catch(() => {}) // What went wrong first is what counts.
      await lock.release()
      throw error
    }
  }

  private constructor(
    folder: string,
    disk: Disk,
    lock: Lock,
    journal: Journal,
    recovery: Recovery,
  ) {
    this.folder = folder
    this.#disk = disk
    this.#lock = lock
    this.#journal = journal
    this.#recovery = recovery
    this.#parts = [...recovery.send]
    this.#final = recovery.final
    this.#cut = recovery.cut
  }

  get opening(): Opening {
    return this.#recovery.opening
  }

  /** Parts and bytes of the recording. */
  get whole(): { readonly parts: number; readonly bytes: number } {
    return this.#final ? { parts: this.#final.parts, bytes: this.#final.total } : this.#cut
  }

  /** What S3 has of it. */
  get stored(): { readonly parts: number; readonly bytes: number } {
    return this.#recovery.stored
  }

  get isDone(): boolean {
    return this.#recovery.isDone
  }

  /** Is what is here all of the recording? */
  get hasEnded(): boolean {
    return this.isDone || this.#final !== undefined
  }

  /** Had the recording ended when it was cut off? */
  get hadEnded(): boolean {
    return this.#recovery.final !== undefined
  }

  /**
   * What is here is the recording.
   *
   * @throws {RealtimeUploadError} `ERR_SPOOL_INCOMPLETE` where there was more, in memory alone
   */
  async end(): Promise<void> {
    if (this.#final || this.#cut.parts === 0) return
    const { parts, bytes: total } = this.#cut
    // S3 has it as a part that is not the final one, and nothing is left to be that: all would seem
    // to be done, and the asset would stay open for ever.
    const isLastStored = this.#parts.at(-1)?.n !== parts
    if (isLastStored) throw incomplete(this.opening.assetId, parts + 1, total, undefined)
    this.#journal.add({ t: 'final', parts, total })
    await this.#journal.sync()
    this.#final = { parts, total }
  }

  /**
   * What is to be sent, in order. While the recording may go on its last part is held back, for it
   * cannot be known to be the final one or not.
   *
   * @param onDamage a part is not what was written; nothing of it is sent to its end
   */
  async *parts(onDamage: (error: Error) => void): AsyncGenerator<Part> {
    const { integrity } = this.opening
    for (const part of this.#parts) {
      const isLast = part.n === this.#cut.parts
      if (isLast && !this.#final) return
      yield {
        number: part.n,
        size: part.size,
        final: isLast,
        fileSize: isLast ? this.#final?.total : undefined,
        md5: integrity && (await this.#md5(part)),
        // The total never changes after the final registration: first see that it can be sent.
        ...(isLast && { ready: this.#check(part).catch(onDamage) }),
        body: () => this.#body(part, onDamage),
        release: stored => {
          if (stored) this.#isStored(part)
        },
      }
    }
  }

  /** Frame.io has all of it: removes everything. @throws what the disk threw; then what is left stays */
  async finish(): Promise<void> {
    try {
      await this.#tidying
      if (this.#failure) throw this.#failure
      this.#journal.add({ t: 'done' })
      await this.#journal.sync()
    } catch (error) {
      await this.close()
      throw error
    }
    try {
      await this.#journal.close()
      await removeFolder(this.#disk, this.folder)
    } finally {
      await this.#lock.release()
    }
  }

  /** Keeps what is not stored. */
  async close(): Promise<void> {
    try {
      await this.#tidying
      await this.#journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  /** Parts behind the last that was known whole: as far as their marks hold. */
  async #takeMarked(marked: readonly MarkedPart[]): Promise<void> {
    for (const [index, { n, marks }] of marked.entries()) {
      const path = partFile(this.folder, n)
      const held = await this.#held(path, marks)
      const durable = marks.findLast(({ synced }) => synced)?.at ?? 0
      if (held.at < durable) {
        throw damaged(path, held.at, `its first ${durable} bytes were durable, and are others now`)
      }
      // What stands behind a gap is kept, but never taken for what follows.
      if (!held.whole) await this.#setAside(marked.slice(held.at === 0 ? index : index + 1))
      if (held.at === 0) break
      const file = await this.#disk.open(path)
      await file.cut(held.at)
      await file.sync()
      await file.close()
      const part = { n, size: held.at, crc: held.crc }
      this.#journal.add({ t: 'part', ...part })
      this.#parts.push(part)
      this.#cut = { parts: n, bytes: this.#cut.bytes + held.at }
      if (!held.whole) break
    }
    if (marked.length === 0) return
    // Whoever made these files was killed, perhaps before their names were durable.
    await this.#disk.syncFolder(this.folder)
    await this.#journal.sync()
  }

  async #setAside(parts: readonly MarkedPart[]): Promise<void> {
    for (const { n } of parts) {
      const path = partFile(this.folder, n)
      if ((await this.#disk.size(path)) === undefined) continue
      await this.#disk.rename(path, `${path}.torn`)
    }
    if (parts.length > 0) await this.#disk.syncFolder(this.folder)
  }

  /** The last of the marks up to which the bytes in the file are those that were written. */
  async #held(path: string, marks: MarkedPart['marks']) {
    const size = (await this.#disk.size(path)) ?? 0
    let held: { at: number; crc: number; whole?: boolean | undefined } = { at: 0, crc: 0 }
    let crc = 0
    let at = 0
    const left = marks.filter(mark => mark.at <= size)
    const end = left.at(-1)?.at ?? 0
    if (end === 0) return held
    for await (const chunk of readFrom(this.#disk, path, 0, end)) {
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

  async *#body(part: WholePart, onDamage: (error: Error) => void): AsyncGenerator<Uint8Array> {
    const path = partFile(this.folder, part.n)
    let crc = 0
    let at = 0
    for await (const chunk of readFrom(this.#disk, path, 0, part.size)) {
      crc = crc32(chunk, crc)
      at += chunk.length
      if (at === part.size && crc !== part.crc) {
        // Once more before that is believed.
        await this.#check(part).catch(onDamage)
        throw new Error(`${path} was not read as it was written`)
      }
      yield chunk
    }
  }

  /** @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
  async #check({ n, size, crc }: WholePart): Promise<void> {
    const path = partFile(this.folder, n)
    let sum = 0
    for await (const chunk of readFrom(this.#disk, path, 0, size)) sum = crc32(chunk, sum)
    if (sum !== crc) throw damaged(path, 0, `its ${size} bytes are not those that were written`)
  }

  async #md5({ n, size }: WholePart): Promise<string> {
    const hash = createHash('md5')
    for await (const chunk of readFrom(this.#disk, partFile(this.folder, n), 0, size))
      hash.update(chunk)
    return hash.digest('base64')
  }

  #isStored(part: WholePart): void {
    if (this.#failure) return
    this.#journal.add({ t: 'stored', n: part.n, size: part.size })
    this.#stored.push(part)
    this.#tidying ??= this.#tidy()
      .catch(error => {
        this.#failure = error
      })
      .finally(() => {
        this.#tidying = undefined
      })
  }

  /** Files go once it is durable that they are needed no more. */
  async #tidy(): Promise<void> {
    while (this.#stored.length > 0) {
      const parts = this.#stored.splice(0)
      await this.#journal.sync()
      for (const { n } of parts) await this.#disk.remove(partFile(this.folder, n))
    }
  }
}

interface Look {
  readonly reading: Reading
  readonly files: ReadonlyMap<number, number>
  readonly bytes: Buffer
}

/** What lies in the folder of an upload. Nothing is changed. */
export const look = async (disk: Disk, folder: string): Promise<Look> => {
  const bytes = await readAll(disk, `${folder}/journal`)
  const numbers = (await disk.list(folder)).flatMap(name => partNumberOf(name) ?? [])
  const files = new Map<number, number>()
  for (let from = 0; from < numbers.length; from += AT_ONCE) {
    const some = numbers.slice(from, from + AT_ONCE)
    const sizes = await Promise.all(some.map(n => disk.size(partFile(folder, n))))
    for (const [index, n] of some.entries()) files.set(n, sizes[index] ?? 0)
  }
  return { reading: readJournal(bytes), files, bytes }
}

const readAll = async (disk: Disk, path: string): Promise<Buffer> => {
  const size = (await disk.size(path)) ?? 0
  const chunks: Buffer[] = []
  if (size > 0) for await (const chunk of readFrom(disk, path, 0, size)) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** What is cut off stays, behind what was cut off before. */
const keepTorn = async (disk: Disk, folder: string, torn: Buffer): Promise<void> => {
  const file = await disk.open(`${folder}/journal.torn`)
  await file.write([torn], await file.size())
  await file.sync()
  await file.close()
}
