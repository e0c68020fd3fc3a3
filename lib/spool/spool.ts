/**
 * The spool: a second home for the parts of an upload, on the disk, so that a recording outlives an
 * outage that is longer than memory, the death of the process, and a power cut.
 *
 * What holds always:
 *   1. A part that lies whole on the disk is registered only when its `part` line, and a byte of the
 *      next part or `final`, are durable: else a power cut could leave a part that is registered as
 *      not final with nothing behind it.
 *   2. `final` is durable before the final registration: afterwards the total never changes.
 *   3. `stored` is durable before the file is removed.
 *   4. The name of a file is durable before a `mark` in it is (kept by `DiskFile.sync`).
 *   5. A sync that failed is never repeated on its file.
 *   6. No byte leaves one home before another holds it, and none is deleted because of an error.
 *   7. Few calls of ours to the disk at a time, for name look-ups share the same four threads: one that
 *      writes, two that sync, and one for each lane that reads a part back.
 *
 * Read journal.ts first, then spool-part.ts, this, and recover.ts, which is the way back.
 *
 *     push ──► memory blocks ──► written to the part's file ──► synced ──► journal synced ──► ready
 *                                  (#pump, as it comes)         (#pass, when it is due)       to send
 */
import { crc32 } from 'node:zlib'
import type { Lock } from '../lock.ts'
import { isTooMany } from '../shortage.ts'
import { type Disk, isFull } from './disk.ts'
import { claimFolder, hasRoom, partFile, refuseUsed, removeFolder, useReserve } from './folder.ts'
import { Fullness } from './fullness.ts'
import type { BlockMemory, Filling, KeptFile, MendKept, UploadSpool } from './home.ts'
import { type Entry, Journal, type Opening, opening, type SourceFile } from './journal.ts'
import { freeName, Kept } from './kept.ts'
import { closeFile, lookAt, markOf, syncAll } from './look-at.ts'
import { Spares } from './spares.ts'
import { type PartOwner, SpoolPart } from './spool-part.ts'

export interface SpoolSettings {
  /** Bytes on disk at most. */
  readonly maxBytes: number
  /** Bytes that are left free on the volume. */
  readonly keepFree: number
  /** Greatest age of bytes that are not durable, in ms. */
  readonly syncEvery: number
}

export type SpoolWarning = 'SPOOL_FULL' | 'SPOOL_TOO_SLOW' | 'SPOOL_FAILED'

export interface SpoolOptions extends SpoolSettings {
  /** Of this upload. */
  readonly folder: string
  readonly disk: Disk
  readonly lock: (path: string) => Promise<Lock>
  readonly memory: BlockMemory
  /** In bytes. */
  readonly memoryLimit: number
  readonly onWarning: (code: SpoolWarning, cause: Error | undefined) => void
  /** A part lies whole and durable in its file. */
  readonly onWhole: (part: number, size: number) => void
}

/** Blocks that are written at once. */
const AT_ONCE = 4
/** Kept on the disk for the last lines of the journal, in bytes. */
const RESERVE = 2 ** 20

export class Spool implements PartOwner, UploadSpool {
  readonly isDurable = true
  readonly #options: SpoolOptions
  #journal: Journal | undefined
  #lock: Lock | undefined
  /** Parts that are not ready to be sent, in order. */
  #parts: SpoolPart[] = []
  /** Parts that are, with bytes in memory alone. */
  readonly #inMemory = new Set<SpoolPart>()
  /** Stored parts whose files are still there. */
  #stored: SpoolPart[] = []
  #count = 0
  /** Is part 1 sent last? */
  #isHeadLate = false
  /** Are the parts ranges of a file? None lies here then. */
  #hasSource = false
  #final: Extract<Entry, { t: 'final' }> | undefined
  #isFinalDurable = false
  readonly #spares: Spares
  /** Where the take stays. */
  #kept: Kept | undefined
  /** The take getting its name, where it stays; and whether that was in vain. */
  #keeping: Promise<KeptFile | undefined> | undefined
  #isUnkept = false
  #failure: Error | undefined
  readonly #fullness: Fullness
  /** Bytes in files. */
  #onDisk = 0
  #pumping: Promise<void> | undefined
  #passing: Promise<void> | undefined
  #isDue = false
  #timer: NodeJS.Timeout | undefined
  #writes: Promise<unknown> = Promise.resolve()
  #whenFinal: () => void = () => {}
  /** Parts that go from memory, for the disk failed. Never rejects. */
  #letting: Promise<void> = Promise.resolve()

  constructor(options: SpoolOptions) {
    this.#options = options
    const filling = () => this.#parts
    this.#spares = new Spares(options.memoryLimit, filling)
    this.#fullness = new Fullness({
      ...options,
      filling,
      inMemory: this.#inMemory,
      areSentSoon: () => this.#spares.areSentSoon,
      isHeadLate: () => this.#isHeadLate,
      due: () => this.#due(),
    })
    options.memory.onShort(() => {
      if (!this.#kept?.giveSpare()) this.#spares.collect()
    })
  }

  /** Where it lies. */
  get folder(): string {
    return this.#options.folder
  }

  /** Has the disk failed, so that memory is all there is? */
  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Did the disk take no more when it was last asked? */
  get isFull(): boolean {
    return this.#fullness.isFull
  }

  /** Bytes on the disk. */
  get bytesSpooled(): number {
    return this.#onDisk
  }

  /** Bytes of this process that are durable here or stored. */
  bytesDurable = 0

  /**
   * Makes the folder of a new upload.
   *
   * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`
   */
  async open(upload: Opening): Promise<void> {
    const { disk, folder, keepFree, memoryLimit } = this.#options
    this.#isHeadLate = upload.lateHead !== undefined
    this.#lock = await claimFolder(disk, folder, this.#options.lock)
    await refuseUsed(disk, folder, upload.assetId)
    const reserve = await disk.open(`${folder}/reserve`)
    try {
      await reserve.write([Buffer.alloc(RESERVE)], 0)
      await reserve.sync()
    } finally {
      await reserve.close()
    }
    const file = await disk.open(`${folder}/journal`)
    this.#journal = new Journal(file, 0, () => useReserve(disk, folder))
    const keep = upload.keep && freeName(await disk.list(folder), upload.keep)
    if (keep !== undefined) {
      this.#kept = new Kept({ folder, disk, name: keep, keepFree, memoryLimit })
    }
    this.#journal.add(opening({ ...upload, keep }))
    await this.#journal.sync()
  }

  begin(size: number): Filling {
    const { memory, folder } = this.#options
    memory.beginPart(size)
    this.#kept?.begin(size)
    const n = ++this.#count
    const part = new SpoolPart({
      n,
      size,
      path: partFile(folder, n),
      disk: this.#disk,
      memory,
      owner: this,
    })
    part.skips = this.#failure !== undefined || this.#fullness.skips(size)
    this.#parts.push(part)
    return part
  }

  /** The stream ended: resolves when that is durable, or cannot be. */
  async end(parts: number, total: number): Promise<void> {
    this.#final = { t: 'final', parts, total }
    if (this.#failure) {
      this.#letGo()
      return this.#letting
    }
    const durable = new Promise<void>(resolve => {
      this.#whenFinal = resolve
    })
    this.#due()
    await durable
  }

  async follow(source: SourceFile): Promise<void> {
    this.#hasSource = true
    this.#journal?.add({ t: 'source', ...source })
    await this.#journal?.sync().catch(error => this.#fail(error))
  }

  rangeStored(n: number, size: number, crc: number): void {
    this.bytesDurable += size
    if (this.#failure) return
    this.#journal?.add({ t: 'stored', n, size, crc })
    this.#timer ??= setTimeout(() => this.#due(), this.#options.syncEvery)
  }

  onPushed(part: SpoolPart): void {
    if (this.#failure) return
    const { memory, memoryLimit, syncEvery } = this.#options
    if (part.filled - part.written >= memory.blockSize) this.#pump()
    if (this.#fullness.waiting >= memoryLimit / 4) this.#due()
    else this.#timer ??= setTimeout(() => this.#due(), syncEvery)
  }

  maySendFromMemory(part: SpoolPart): boolean {
    return this.#spares.send(part)
  }

  onRest(part: SpoolPart): void {
    this.#spares.rest(part)
  }

  onNoRoom(): void {
    if (!this.#failure) this.#fullness.onNoMemory()
  }

  onCut(): void {
    if (this.#failure) this.#letGo()
    // Once a byte of the next is here: one sync for both.
    else setImmediate(() => this.#due())
  }

  onStored(part: SpoolPart): void {
    const isWanted = !this.#failure && this.#kept?.wants(part)
    if (!isWanted) part.drop()
    this.#spares.stored(part)
    this.#inMemory.delete(part)
    this.#stored.push(part)
    this.bytesDurable += part.filled - part.synced
    if (this.#failure) return
    this.#journal?.add({ t: 'stored', n: part.n, size: part.filled })
    if (isWanted) this.#due()
    else this.#timer ??= setTimeout(() => this.#due(), this.#options.syncEvery)
  }

  keep(mend: MendKept): Promise<KeptFile | undefined> {
    this.#keeping ??= this.#keep(mend).catch(error => {
      this.#isUnkept = true
      throw error
    })
    return this.#keeping
  }

  /** All is stored: removes everything. A disk that fails now is no failure: `resume` does it then. */
  async finish(): Promise<void> {
    const { disk, folder, onWarning } = this.#options
    try {
      await this.keep(asItIs).catch(() => {}) // Whoever asked for it has heard of that.
      if (!this.#kept) await this.#done()
      await this.#closeFiles()
      if (this.#lock && !this.#isUnkept) await removeFolder(disk, folder, this.#lock)
    } catch (error) {
      onWarning('SPOOL_FAILED', error as Error)
    } finally {
      await this.#lock?.release()
    }
  }

  /** The upload ends before all is stored: keeps everything. */
  async close(): Promise<void> {
    await this.#keeping?.catch(() => {})
    if (!this.#failure && this.#journal) {
      // Holds 6: what skipped the disk has no other home any more.
      this.#fullness.offerAgain()
      this.#fullness.madeRoom()
      this.#due()
    }
    try {
      await this.#settle()
      await this.#closeFiles()
      const { disk, folder } = this.#options
      const isEmpty = this.#count === 0 && !this.#hasSource && this.#journal !== undefined
      if (isEmpty && this.#lock) await removeFolder(disk, folder, this.#lock)
    } finally {
      await this.#lock?.release()
    }
  }

  async #keep(mend: MendKept): Promise<KeptFile | undefined> {
    if (!this.#kept) return undefined
    if (!this.#failure) this.#due()
    await this.#done()
    const kept = await this.#kept.conclude(this.#final?.total ?? 0)
    if (kept) await mend(kept)
    return kept
  }

  /** Nobody needs the parts any more, and the journal says so. */
  async #done(): Promise<void> {
    await this.#settle()
    this.#journal?.add({ t: 'done' })
    if (!this.#failure) await this.#journal?.sync()
  }

  /** Where parts lie. */
  get #disk(): Disk {
    return this.#kept?.take ?? this.#options.disk
  }

  // ── Bytes to the disk, as they come ────────────────────────────────────────────────────────────

  #pump(): void {
    this.#pumping ??= this.#pumpAll()
      .catch(error => this.#fail(error))
      .finally(() => {
        this.#pumping = undefined
      })
  }

  async #pumpAll(): Promise<void> {
    const { blockSize } = this.#options.memory
    for (;;) {
      const part = this.#parts.find(
        ({ skips, filled, written }) => !skips && filled - written >= blockSize,
      )
      if (!part) return
      await this.#write(part, part.filled - (part.filled % blockSize))
    }
  }

  /** Writes what a part has, up to `end`, or as much of it as goes at once. One call at a time. */
  #write(part: SpoolPart, end: number): Promise<void> {
    return this.#inTurn(async () => {
      if (part.skips || part.isStored || part.written >= end) return
      const { memory } = this.#options
      const at = part.written
      const to = Math.min(end, at - (at % memory.blockSize) + AT_ONCE * memory.blockSize)
      if (!(await hasRoom(this.#options, this.#onDisk, to - at))) return this.#full(part, undefined)
      if (part.isStored) return // Its memory may be gone.
      const chunks = [...part.chunks(at, to)]
      try {
        part.isBeingWritten = true
        part.file ??= await this.#disk.open(part.path)
        await part.file.write(chunks, at)
      } catch (error) {
        // Where it could not even be opened it has no byte: the disk takes no more, for now.
        if (!isFull(error) && (part.file || !isTooMany(error))) throw error
        await part.file?.cut(at)
        return this.#full(part, error as Error)
      } finally {
        part.isBeingWritten = false
      }
      part.crc = chunks.reduce((crc, chunk) => crc32(chunk, crc), part.crc)
      part.written = to
      this.#onDisk += to - at
      this.#fullness.took()
      this.#journal?.add(markOf(part))
      await this.#journal?.write()
    })
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    const next = this.#writes.then(write)
    this.#writes = next.catch(() => {})
    return next
  }

  // ── What was written becomes durable ───────────────────────────────────────────────────────────

  #due(): void {
    this.#isDue = true
    this.#passing ??= this.#passes()
      .catch(error => this.#fail(error))
      .finally(() => {
        this.#passing = undefined
      })
  }

  async #passes(): Promise<void> {
    while (this.#isDue && !this.#failure) {
      this.#isDue = false
      clearTimeout(this.#timer)
      this.#timer = undefined
      await this.#pass()
    }
  }

  async #pass(): Promise<void> {
    const final = this.#isFinalDurable ? undefined : this.#final
    const stored = [...this.#stored]
    const parts = [...this.#inMemory, ...this.#parts].filter(part => !part.isStored)
    // What is at hand now, and no more: a source that is always ready would never let this end.
    for (const { part, end } of parts.map(part => ({ part, end: part.filled }))) {
      while (!part.skips && !part.isStored && part.written < end) await this.#write(part, end)
    }
    const looks = parts.map(lookAt)
    await syncAll(looks.flatMap(({ part, at }) => (at > part.synced && part.file) || []))
    this.#journal?.add(...looks.flatMap(({ entry }) => entry ?? []), ...(final ? [final] : []))
    await this.#journal?.sync()
    for (const { part, at, entry } of looks) {
      if (!part.isStored) this.bytesDurable += at - part.synced
      part.isWhole ||= entry?.t === 'part'
      part.isToldOf ||= entry?.t === 'mem'
      part.synced = at
      if (entry?.t === 'part') {
        this.#kept?.isThere(part)
        this.#spares.add(part)
        this.#options.onWhole(part.n, part.filled)
        this.#inMemory.delete(part)
        await closeFile(part)
      }
    }
    this.#isFinalDurable ||= final !== undefined
    this.#letReadyGo()
    this.#spares.retry()
    if (final) this.#whenFinal()
    await this.#remove(stored)
    this.#stored.splice(0, stored.length)
    const late = await this.#inTurn(async () => this.#kept?.catchUp())
    if (!late) return
    this.#journal?.add(late)
    this.#isDue = true
  }

  /** Holds 1. */
  #letReadyGo(): void {
    let count = 0
    for (const [index, part] of this.#parts.entries()) {
      const next = this.#parts[index + 1]
      const isLast = !next && this.#isFinalDurable
      const isNextThere = next !== undefined && (next.synced > 0 || next.skips)
      const isReady = part.isToldOf || (part.isWhole && (isNextThere || isLast))
      if (!isReady) break
      if (!part.isWhole) this.#inMemory.add(part)
      part.letGo()
      count++
    }
    this.#parts.splice(0, count)
  }

  /** Holds 3: what the journal now says is stored. */
  async #remove(parts: readonly SpoolPart[]): Promise<void> {
    for (const part of parts) {
      await closeFile(part)
      if (part.written > 0) await this.#disk.remove(part.path)
      this.#onDisk -= part.written
    }
    if (parts.length > 0) this.#fullness.madeRoom()
  }

  // ── Where the disk does not take more ──────────────────────────────────────────────────────────

  #full(part: SpoolPart, cause: Error | undefined): void {
    if (this.#failure) this.#fullness.skip(part)
    else this.#fullness.full(part, cause)
  }

  /** Goes on as without a spool, with what is on the disk where that is needed. Holds 5. */
  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    clearTimeout(this.#timer)
    this.#fullness.close()
    for (const part of this.#parts) part.skips ||= !part.isWhole
    this.#options.onWarning('SPOOL_FAILED', error)
    this.#kept?.giveUp()
    this.#letGo()
  }

  /** As far as the journal can still be written, it says which parts were in memory alone. */
  #letGo(): void {
    this.#letting = this.#letting.then(async () => {
      const cut = this.#parts.filter(({ isCut }) => isCut)
      this.#parts = this.#parts.filter(({ isCut }) => !isCut)
      const inMemory = cut.filter(({ isWhole }) => !isWhole)
      for (const part of inMemory) this.#inMemory.add(part)
      const untold = inMemory.filter(({ isToldOf }) => !isToldOf)
      this.#journal?.add(...untold.map(({ n, filled }) => ({ t: 'mem', n, size: filled }) as const))
      // Where it cannot, that was said already.
      await this.#journal?.sync().catch(() => {})
      for (const part of cut) part.letGo()
      this.#whenFinal()
    })
  }

  async #settle(): Promise<void> {
    while (this.#passing || this.#pumping) await Promise.all([this.#passing, this.#pumping])
    await this.#letting
    clearTimeout(this.#timer)
    this.#fullness.close()
  }

  async #closeFiles(): Promise<void> {
    this.#spares.close()
    const parts = [...this.#parts, ...this.#inMemory, ...this.#stored]
    for (const part of parts) {
      part.drop()
      await closeFile(part)
    }
    await this.#kept?.close()
    await this.#journal?.close()
  }
}

const asItIs = async () => {}
