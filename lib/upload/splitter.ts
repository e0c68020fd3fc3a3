/**
 * Bytes → parts. Copies each byte once, into the blocks it is sent from.
 */
import { createHash, type Hash } from 'node:crypto'
import type { BlockAccount } from './blocks.ts'
import { memoryPart, type Part } from './part.ts'
import type { PartPlan } from './part-plan.ts'

export class Splitter {
  /** Bytes taken in so far. */
  bytes = 0
  /** Parts that left so far. */
  parts = 0
  readonly #plan: PartPlan
  readonly #memory: BlockAccount
  readonly #onPart: (part: Part) => void
  readonly #onSize: (size: number) => void
  readonly #withMd5: boolean
  #md5: Hash | undefined
  #blocks: Buffer[] = []
  /** Bytes that left as parts. */
  #bytesCut = 0
  #discarded = false
  /** Bytes in the part that is filling. */
  #filled = 0
  /** Bytes that part takes when full. */
  #size = 0

  /**
   * @param plan how large each part is
   * @param memory where blocks come from
   * @param onPart receives each part as soon as it is known whether it is the final one
   * @param onSize told before each part how large it will be, in bytes
   * @param withMd5 whether each part gets the MD5 of its bytes, taken as they are copied in
   */
  constructor(
    plan: PartPlan,
    memory: BlockAccount,
    onPart: (part: Part) => void,
    onSize: (size: number) => void = () => {},
    withMd5 = false,
  ) {
    this.#plan = plan
    this.#memory = memory
    this.#onPart = onPart
    this.#onSize = onSize
    this.#withMd5 = withMd5
  }

  /**
   * Takes bytes of `chunk` from `start` up to `end`, and says how many: fewer than asked for means
   * that there is no memory now.
   */
  push(chunk: Buffer, start: number, end: number): number {
    let at = start
    while (at < end) {
      // Only here, with a further byte at hand, is it certain that a full part is not the final one.
      if (this.#filled === this.#size) this.#next()
      if (this.#discarded) break // By whoever heard of the part or the size just now.
      const used = this.#filled % this.#memory.blockSize
      if (used === 0 && !this.#grow()) break
      const block = this.#blocks[this.#blocks.length - 1] as Buffer
      const room = Math.min(block.length - used, this.#size - this.#filled)
      const copied = chunk.copy(block, used, at, Math.min(end, at + room))
      this.#md5?.update(chunk.subarray(at, at + copied))
      this.#filled += copied
      at += copied
    }
    this.bytes += at - start
    return at - start
  }

  /** The stream ended: what is left is the final part. Without a byte there is none. */
  end(): void {
    if (this.#filled > 0) this.#cut(true)
  }

  /** Gives the memory of an unfinished part back; nothing is taken in any more. */
  discard(): void {
    this.#memory.give(this.#blocks.splice(0))
    this.#filled = 0
    this.#discarded = true
  }

  #next(): void {
    if (this.#filled > 0) this.#cut(false)
    this.#size = this.#plan(this.#bytesCut)
    this.#memory.beginPart(this.#size)
    this.#onSize(this.#size)
    if (this.#withMd5) this.#md5 = createHash('md5')
  }

  #cut(final: boolean): void {
    const [blocks, size, memory] = [this.#blocks, this.#filled, this.#memory]
    this.#blocks = []
    this.#filled = 0
    this.#bytesCut += size
    this.parts++
    const part = { number: this.parts, size, final, md5: this.#md5?.digest('base64') }
    this.#onPart(memoryPart(part, blocks, () => memory.give(blocks)))
  }

  #grow(): boolean {
    const block = this.#memory.take()
    if (block) this.#blocks.push(block)
    return block !== undefined
  }
}
