/**
 * A part on its way to the disk: its bytes lie in memory blocks, at least until they are durable.
 *
 *     0 ─────────── synced ─────────── written ─────────── filled ─────────── size
 *       in its file,        in its file,        in memory           still to come
 *       durable             and in memory
 *
 * What is durable stays in memory as well, for it is sent from there; it goes when memory is short.
 * Where it skips the disk, or the rest of it does, what lies behind `written` stays in memory until it
 * is stored.
 */
import type { Disk, DiskFile } from './disk.ts'
import type { BlockMemory, Filling, Part, PartFacts } from './home.ts'
import { checked, readFrom } from './read-back.ts'

/** What a part tells its spool. */
export interface PartOwner {
  onPushed(part: SpoolPart): void
  /** There was no block for it. */
  onNoRoom(): void
  /** Its memory cannot be had back while it is sent from there: is there enough without it? */
  maySendFromMemory(part: SpoolPart): boolean
  onRest(part: SpoolPart): void
  onCut(part: SpoolPart): void
  /** Drops it, at once or when its bytes are needed no more. */
  onStored(part: SpoolPart): void
}

export interface SpoolPartOptions {
  readonly n: number
  /** When full, in bytes. */
  readonly size: number
  readonly path: string
  readonly disk: Disk
  readonly memory: BlockMemory
  readonly owner: PartOwner
}

export class SpoolPart implements Filling {
  readonly n: number
  readonly size: number
  readonly path: string
  /** See the drawing above, in bytes. */
  filled = 0
  written = 0
  synced = 0
  /** CRC-32 of what was written. */
  crc = 0
  isCut = false
  /** What is not written stays in memory. */
  skips = false
  /** Does the journal say so? */
  isToldOf = false
  /** Does it lie whole and durable in its file, and does the journal say so? */
  isWhole = false
  isStored = false
  /** Is its memory being read for its file? */
  isBeingWritten = false
  /** While it is written. */
  file: DiskFile | undefined
  /** When it may be registered. */
  readonly ready: Promise<void>
  letGo: () => void = () => {}
  readonly #options: SpoolPartOptions
  readonly #blocks: (Buffer | undefined)[] = []
  /** Whether what it has in memory may be on its way through a socket. */
  isBeingSent = false

  constructor(options: SpoolPartOptions) {
    this.#options = options
    this.n = options.n
    this.size = options.size
    this.path = options.path
    this.ready = new Promise(resolve => {
      this.letGo = resolve
    })
  }

  push(chunk: Buffer, start: number, end: number): number {
    const { memory, owner } = this.#options
    let at = start
    while (at < end) {
      const used = this.filled % memory.blockSize
      if (used === 0) {
        const block = memory.take()
        if (!block) {
          owner.onNoRoom()
          break
        }
        this.#blocks.push(block)
      }
      const block = this.#blocks[this.#blocks.length - 1] as Buffer
      const copied = chunk.copy(block, used, at, end)
      this.filled += copied
      at += copied
    }
    if (at > start) owner.onPushed(this)
    return at - start
  }

  cut(facts: PartFacts): Part {
    this.isCut = true
    this.#options.owner.onCut(this)
    return {
      ...facts,
      ready: this.ready,
      body: () => this.#body(),
      rest: () => {
        this.isBeingSent = false
        this.#options.owner.onRest(this)
      },
      release: stored => {
        if (stored && !this.isStored) this.#stored()
      },
    }
  }

  /** The upload is over. What was taken in stays, and goes to the disk when the spool is closed. */
  discard(): void {}

  /** What lies in memory of these bytes. */
  *chunks(start: number, end: number): Generator<Buffer> {
    const { blockSize } = this.#options.memory
    for (let at = start; at < end; ) {
      const used = at % blockSize
      const to = Math.min(blockSize, used + end - at)
      yield (this.#blocks[Math.floor(at / blockSize)] as Buffer).subarray(used, to)
      at += to - used
    }
  }

  /** Gives back what lies in its file as well. Whether that was anything. */
  giveSpare(): boolean {
    return !this.isBeingSent && this.#giveBack(this.#durableBlocks)
  }

  get #blockSize(): number {
    return this.#options.memory.blockSize
  }

  /** Blocks that are durable in its file; one that is not full is still written to. */
  get #durableBlocks(): number {
    const isOver = this.isCut && this.synced === this.filled
    return isOver ? this.#blocks.length : Math.floor(this.synced / this.#blockSize)
  }

  async *#body(): AsyncGenerator<Uint8Array> {
    if (!this.#options.owner.maySendFromMemory(this)) this.giveSpare()
    // From here on its blocks stay as they are, until the attempt is over.
    this.isBeingSent = true
    const { path, written: size, crc } = this
    const isInMemory = this.#blocks.every(block => block !== undefined)
    if (isInMemory) yield* this.chunks(0, this.filled)
    else yield* checked(this.#pieces(), { path, size, crc })
  }

  /** From memory and from the file, in turns. */
  async *#pieces(): AsyncGenerator<Uint8Array> {
    const end = this.filled
    for (let at = 0; at < end; ) {
      const first = Math.floor(at / this.#blockSize)
      const isHeld = this.#blocks[first] !== undefined
      let last = first + 1
      while (last < this.#blocks.length && (this.#blocks[last] !== undefined) === isHeld) last++
      const to = Math.min(end, last * this.#blockSize)
      if (isHeld) yield* this.chunks(at, to)
      else yield* readFrom(this.#options.disk, this.path, at, to)
      at = to
    }
  }

  /** Gives back all memory: nobody needs what is in it. */
  drop(): void {
    this.#giveBack(this.#blocks.length)
  }

  #stored(): void {
    this.isStored = true
    this.#options.owner.onStored(this)
  }

  #giveBack(count: number): boolean {
    const blocks: Buffer[] = []
    for (let index = 0; index < count; index++) {
      const block = this.#blocks[index]
      if (block) blocks.push(block)
      this.#blocks[index] = undefined
    }
    if (blocks.length > 0) this.#options.memory.give(blocks)
    return blocks.length > 0
  }
}
