/**
 * Where the bytes of a part live, from its first byte until it is stored: a home, and the one in
 * memory.
 */
import type { BlockAccount } from './blocks.ts'
import { memoryPart, type Part, type PartFacts } from './part.ts'

/** A home for the parts of one upload. */
export interface Home {
  /** A part of this size begins, in bytes. */
  begin(size: number): Filling
}

/** A part that fills. It has room for no more than its size, which the caller sees to. */
export interface Filling {
  /** Takes bytes of `chunk` from `start` up to `end`; says how many: fewer where there is no room now. */
  push(chunk: Buffer, start: number, end: number): number
  /** Makes a part of what came. Nothing is taken in any more. */
  cut(facts: PartFacts): Part
  /** Gives the room back. Nothing is taken in any more. */
  discard(): void
}

/** Memory: blocks that are recycled. */
export const memoryHome = (memory: BlockAccount): Home => ({
  begin(size) {
    memory.beginPart(size)
    return new MemoryFilling(memory)
  },
})

class MemoryFilling implements Filling {
  readonly #memory: BlockAccount
  #blocks: Buffer[] = []
  #filled = 0

  constructor(memory: BlockAccount) {
    this.#memory = memory
  }

  push(chunk: Buffer, start: number, end: number): number {
    let at = start
    while (at < end) {
      const used = this.#filled % this.#memory.blockSize
      if (used === 0 && !this.#grow()) break
      const block = this.#blocks[this.#blocks.length - 1] as Buffer
      const copied = chunk.copy(block, used, at, end)
      this.#filled += copied
      at += copied
    }
    return at - start
  }

  cut(facts: PartFacts): Part {
    const blocks = this.#blocks
    this.#blocks = []
    return memoryPart(facts, blocks, () => this.#memory.give(blocks))
  }

  discard(): void {
    this.#memory.give(this.#blocks.splice(0))
  }

  #grow(): boolean {
    const block = this.#memory.take()
    if (block) this.#blocks.push(block)
    return block !== undefined
  }
}
