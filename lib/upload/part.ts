/**
 * A part in memory.
 */
import type { Part, PartFacts } from '../spool/home.ts'

/** A part whose bytes lie in memory blocks, each full but for the last. */
export const memoryPart = (
  facts: PartFacts,
  blocks: readonly Uint8Array[],
  giveBack: () => void,
): Part => {
  let released = false
  return {
    ...facts,
    *body() {
      if (released) throw new Error(`The bytes of part ${facts.number} were released already`)
      let left = facts.size
      for (const block of blocks) {
        yield left < block.length ? block.subarray(0, left) : block
        left -= block.length
      }
    },
    release() {
      if (!released) giveBack()
      released = true
    },
  }
}
