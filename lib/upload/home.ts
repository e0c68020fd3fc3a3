/**
 * The home of parts in memory.
 */
import type { Filling, Home, Part, PartFacts } from '../spool/home.ts'
import type { BlockAccount } from './blocks.ts'
import { memoryPart } from './part.ts'

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
