/**
 * Memory of parts that lie on the disk as well. They are sent from there while there is enough of it,
 * for that spares a read; it goes when anybody is short of memory, that which is sent last first.
 */
import type { SpoolPart } from './spool-part.ts'

/** A network that stored something within so many ms makes progress. */
const PROGRESS = 1_000

export class Spares {
  readonly #memoryLimit: number
  /** Parts that fill, whose first blocks may be durable. */
  readonly #filling: () => readonly SpoolPart[]
  /** Parts that are durable, and in memory as well, in the order in which they are sent. */
  readonly #parts = new Set<SpoolPart>()
  /** Parts that are being sent from memory, which cannot be had back. */
  readonly #sending = new Set<SpoolPart>()
  /** Parts that gave theirs away: sent from the disk, before those that came later; but a late head at the end. */
  readonly #away = new Set<SpoolPart>()
  /** Does somebody wait for memory that could not be had? */
  #isShort = false
  #lastStored = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  /** @param memoryLimit in bytes */
  constructor(memoryLimit: number, filling: () => readonly SpoolPart[]) {
    this.#memoryLimit = memoryLimit
    this.#filling = filling
  }

  /**
   * Is what is in memory sent soon? Not while the network stands still, and not while more than memory holds
   * waits on the disk before it: a source that waited for that would be held by the network after all.
   */
  get areSentSoon(): boolean {
    const isMoving = performance.now() - this.#lastStored < PROGRESS
    return isMoving && sizeOf(this.#away) <= this.#memoryLimit
  }

  /** A part is durable. */
  add(part: SpoolPart): void {
    if (!part.isStored) this.#parts.add(part)
  }

  /** May this one be sent from memory? At most half of it may be out of reach. */
  send(part: SpoolPart): boolean {
    const held = sizeOf(this.#sending) + part.size
    if (held > this.#memoryLimit / 2) return false
    this.#sending.add(part)
    return true
  }

  /** An attempt is over. */
  rest(part: SpoolPart): void {
    this.#sending.delete(part)
    if (part.isWhole) this.add(part)
    this.retry()
  }

  stored(part: SpoolPart): void {
    this.#lastStored = performance.now()
    this.#sending.delete(part)
    this.#parts.delete(part)
    this.#away.delete(part)
  }

  /** Something became durable, or free: is that what somebody waits for? */
  retry(): void {
    if (this.#isShort) this.collect()
  }

  /** Somebody is short of memory. */
  collect(): void {
    clearTimeout(this.#timer)
    this.#isShort = true
    // Then that is free soon.
    if (this.areSentSoon && sizeOf(this.#parts) <= this.#memoryLimit / 2) {
      // Whoever waits does not ask again: should the network stop now, only this can wake it.
      this.#timer = setTimeout(() => this.retry(), PROGRESS)
      return
    }
    for (const part of [...[...this.#parts].reverse(), ...this.#filling()]) {
      this.#parts.delete(part)
      // Whoever gets it asks again where it is not enough, before `giveSpare` returns.
      this.#isShort = false
      if (part.giveSpare()) {
        this.#away.add(part)
        return
      }
      this.#isShort = true
    }
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#isShort = false
  }
}

const sizeOf = (parts: Iterable<SpoolPart>): number => {
  let sum = 0
  for (const { size } of parts) sum += size
  return sum
}
