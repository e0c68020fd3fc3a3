/**
 * A spool for what memory cannot hold, and for nothing else: a recording outlives an outage that is
 * longer than memory, but not this process. Nothing is synced, and there is no journal.
 *
 * Parts go through memory as without a spool. Where it is full, the part that is sent last is written
 * to the disk, and read from there when its turn comes.
 */
import { crc32 } from 'node:zlib'
import type { Lock } from '../lock.ts'
import { isTooMany } from '../shortage.ts'
import { type DiskFile, isFull } from './disk.ts'
import { claimFolder, hasRoom, markOverflow, partFile, refuseUsed, removeFolder } from './folder.ts'
import { LOOK_AGAIN } from './fullness.ts'
import type { Filling, UploadSpool } from './home.ts'
import type { Opening } from './journal.ts'
import type { SpoolOptions } from './spool.ts'
import { type PartOwner, SpoolPart } from './spool-part.ts'

export class Overflow implements PartOwner, UploadSpool {
  readonly isDurable = false
  /** Of what is stored: what is here does not outlive this process. */
  bytesDurable = 0
  readonly #options: SpoolOptions
  #lock: Lock | undefined
  /** Undefined while the folder may be another upload's. */
  #assetId: string | undefined
  /** Does the folder say what lies in it? */
  #isMarked = false
  /** Parts that are not stored, in order. */
  readonly #parts = new Set<SpoolPart>()
  #count = 0
  /** Does somebody wait for memory that could not be had? */
  #isShort = false
  #onDisk = 0
  #hasFailed = false
  /** Was it said that the disk is full, since it last took something? */
  #isTold = false
  #working: Promise<void> | undefined
  #looking: NodeJS.Timeout | undefined
  /** Files of stored parts that are to be removed. */
  readonly #removing = new Set<Promise<void>>()

  constructor(options: SpoolOptions) {
    this.#options = options
    options.memory.onShort(() => this.#relieve())
  }

  get folder(): string {
    return this.#options.folder
  }

  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Did the disk take no more when it was last asked? */
  get isFull(): boolean {
    return this.#isTold
  }

  get bytesSpooled(): number {
    return this.#onDisk
  }

  async open({ assetId }: Opening): Promise<void> {
    const { disk, folder } = this.#options
    this.#lock = await claimFolder(disk, folder, this.#options.lock)
    await refuseUsed(disk, folder, assetId)
    this.#assetId = assetId
  }

  begin(size: number): Filling {
    const { memory, disk, folder } = this.#options
    memory.beginPart(size)
    const n = ++this.#count
    const part = new SpoolPart({ n, size, path: partFile(folder, n), disk, memory, owner: this })
    this.#parts.add(part)
    return part
  }

  async end(): Promise<void> {}

  /** The file is there, and nothing of it needs room here. */
  async follow(): Promise<void> {}

  rangeStored(_n: number, size: number): void {
    this.bytesDurable += size
  }

  /** What only passes through the disk cannot stay there. */
  async keep(): Promise<undefined> {}

  onPushed(): void {}

  onNoRoom(): void {}

  onCut(part: SpoolPart): void {
    part.letGo()
  }

  maySendFromMemory(): boolean {
    return true
  }

  onRest(part: SpoolPart): void {
    if (part.isWhole) part.giveSpare()
    else if (this.#isShort) this.#relieve()
  }

  onStored(part: SpoolPart): void {
    part.drop()
    this.#parts.delete(part)
    this.bytesDurable += part.filled
    if (part.written > 0) this.#remove(part)
  }

  async finish(): Promise<void> {
    try {
      await this.#settle()
      if (this.#lock) await removeFolder(this.#options.disk, this.folder, this.#lock)
    } catch (error) {
      this.#fail(error as Error)
    } finally {
      await this.#lock?.release()
    }
  }

  /** What is on the disk stays, though nothing resumes it; the folder says so. */
  async close(): Promise<void> {
    try {
      await this.#settle()
      for (const part of this.#parts) part.drop()
      const isEmpty = this.#onDisk === 0 && this.#assetId !== undefined
      if (isEmpty && this.#lock) await removeFolder(this.#options.disk, this.folder, this.#lock)
    } finally {
      await this.#lock?.release()
    }
  }

  /** Memory is full: parts go to the disk, that which is sent last first, until it is not. */
  #relieve(): void {
    if (this.#hasFailed) return
    this.#working ??= this.#write()
      .catch(error => this.#fail(error))
      .finally(() => {
        this.#working = undefined
      })
  }

  async #write(): Promise<void> {
    const part = [...this.#parts]
      .reverse()
      .find(part => part.isCut && part.written === 0 && !part.isBeingSent)
    // Those that are being sent are looked at again when their attempt is over.
    this.#isShort = part === undefined
    if (!part) return
    const { disk } = this.#options
    const size = part.filled
    if (!(await hasRoom(this.#options, this.#onDisk, size))) return this.#full(undefined)
    let file: DiskFile | undefined
    try {
      if (!this.#isMarked) await markOverflow(disk, this.folder, this.#assetId as string)
      this.#isMarked = true
      file = await disk.open(part.path)
      const chunks = [...part.chunks(0, size)]
      await file.write(chunks, 0)
      part.crc = chunks.reduce((crc, chunk) => crc32(chunk, crc), 0)
    } catch (error) {
      await file?.close()
      file = undefined
      await disk.remove(part.path)
      if (!isFull(error) && !isTooMany(error)) throw error
      return this.#full(error as Error)
    } finally {
      await file?.close()
    }
    this.#isTold = false
    part.written = size
    part.synced = size
    part.isWhole = true
    this.#onDisk += size
    if (part.isStored) this.#remove(part)
    else part.giveSpare()
  }

  #remove({ path, written }: SpoolPart): void {
    const removed = this.#options.disk
      .remove(path)
      .then(
        () => {
          this.#onDisk -= written
        },
        error => this.#fail(error),
      )
      .finally(() => this.#removing.delete(removed))
    this.#removing.add(removed)
  }

  #full(cause: Error | undefined): void {
    if (!this.#isTold) this.#options.onWarning('SPOOL_FULL', cause)
    this.#isTold = true
    // Others may make room on it, and whoever waits for memory does not ask again.
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => this.#relieve(), LOOK_AGAIN)
  }

  #fail(error: Error): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.onWarning('SPOOL_FAILED', error)
  }

  async #settle(): Promise<void> {
    while (this.#working || this.#removing.size > 0) {
      await Promise.all([this.#working, ...this.#removing])
    }
    clearTimeout(this.#looking)
  }
}
