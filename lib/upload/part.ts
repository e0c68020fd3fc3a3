/**
 * A part: a run of the stream's bytes with a number, on its way to its own presigned URL.
 *
 *   filling ──► held back ──► registering ──► waiting ──► in flight ──► stored
 *   (splitter)      │          (registrar)   (for a lane)  (put-part)    its bytes are released
 *                   │               ▲                          │
 *                   │               └── URL expired ───────────┤
 *                   │                                          └── transient fault: the same again
 *                   └── a full part waits for one more byte or the end of the stream, because only
 *                       then it is known whether it is the final one
 *
 * Whoever sends a part asks it for a fresh body, and never asks where its bytes are.
 */
import type { PartInfo } from '../frameio/client.ts'

export interface PartFacts extends PartInfo {
  /** Bytes of the whole file; of the final part alone. */
  readonly fileSize: number | undefined
  /** MD5 of its bytes in base64, as `Content-MD5` wants it; undefined where none was asked for. */
  readonly md5: string | undefined
}

export interface Part extends PartFacts {
  /** All its bytes, from the first, at each call: an attempt that failed is replayed from here. */
  body(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /**
   * Gives its bytes' home back. Harmless when called twice.
   *
   * @param stored whether they are needed no more: if not, only the memory may go
   */
  release(stored: boolean): void
}

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
