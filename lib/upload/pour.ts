/**
 * One write at a time, taken in bit by bit: by turns with the other uploads, and as there is room.
 */
import type { BlockAccount } from './blocks.ts'
import type { Splitter } from './splitter.ts'

/** Longest the source may go on without giving the event loop a turn, in bytes. */
const BYTES_PER_TURN = 256 * 2 ** 10

export type Callback = (error?: Error | null) => void

export interface PourOptions {
  readonly splitter: Splitter
  readonly memory: BlockAccount
  /** Bytes. */
  readonly partSize: number
  /** Bytes of the stream. */
  readonly maxSize: number
  /** More than `maxSize` have come, by so many. */
  readonly tooLarge: (tooMany: number) => Error
  /** Bytes were taken in, or there is no room for any: the write waits. */
  readonly onTaken: () => void
  readonly onNoRoom: () => void
  /** Is the upload over? Nothing is taken in any more. */
  readonly isOver: () => boolean
}

export class Pour {
  readonly #options: PourOptions
  /** The write under way: whoever ends the stream must settle it. */
  #callback: Callback | undefined
  /** Its chunks, and how far they were taken in. */
  #chunks: readonly Buffer[] = []
  #index = 0
  #offset = 0
  /** Bytes that may be taken in before it is the others' turn. */
  #bytesThisTurn = 0

  constructor(options: PourOptions) {
    this.#options = options
  }

  /** Takes in the chunks of a write; calls back when all of them are. */
  take(chunks: readonly Buffer[], callback: Callback): void {
    this.#callback = callback
    this.#chunks = chunks
    this.#index = 0
    this.#offset = 0
    this.#goOn()
  }

  /** Ends the write under way, if there is one. */
  settle(error?: Error): void {
    const callback = this.#callback
    this.#callback = undefined
    this.#chunks = []
    // What the writer's own callback throws must not be caught here, nor in another upload that has
    // just given its memory back.
    if (callback) process.nextTick(callback, error)
  }

  /** Takes in what is left of the write; goes on later where it must wait. */
  readonly #goOn = (): void => {
    while (!this.#options.isOver() && this.#step()) {}
  }

  /** Takes some of it in. Whether it goes on at once. */
  #step(): boolean {
    const { splitter, memory, maxSize, tooLarge, onTaken, onNoRoom, isOver } = this.#options
    const chunk = this.#chunks[this.#index]
    if (!chunk) {
      this.settle()
      return false
    }
    const left = chunk.length - this.#offset
    if (left === 0) {
      this.#index++
      this.#offset = 0
      return true
    }
    const tooMany = splitter.bytes + left - maxSize
    if (tooMany > 0) {
      this.settle(tooLarge(tooMany))
      return false
    }
    // Without turns a source that is always ready would starve the sockets, and other uploads.
    if (this.#bytesThisTurn === 0) {
      memory.nextTurn(this.#takeTurn)
      return false
    }
    const wanted = Math.min(left, this.#bytesThisTurn)
    const taken = splitter.push(chunk, this.#offset, this.#offset + wanted)
    this.#offset += taken
    this.#bytesThisTurn -= taken
    if (taken > 0) onTaken()
    if (taken === wanted) return true
    // Unless a listener has just ended the upload.
    if (!isOver()) {
      memory.whenRoom(this.#goOn)
      onNoRoom()
    }
    return false
  }

  readonly #takeTurn = (): void => {
    this.#bytesThisTurn = Math.min(BYTES_PER_TURN, this.#options.partSize)
    this.#goOn()
  }
}
