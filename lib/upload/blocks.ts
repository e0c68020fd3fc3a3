/**
 * Memory for parts: blocks of one size, recycled, under a budget that all uploads of a client share.
 *
 * The block that came back last goes out first: it is still in the processor's cache. Blocks that
 * were not needed for a while go back to the system.
 */
import { type Seat, Turns } from './turns.ts'

/** How long a block may lie idle before it goes back to the system: one to two such periods, in ms. */
const IDLE_PERIOD = 1_000

/** The blocks of one client and their budget. */
export class BlockPool {
  /** Size of each block, in bytes. */
  readonly blockSize: number
  /** Budget in bytes, which accounts may pass only within their allowance. */
  readonly limit: number
  readonly turns = new Turns()
  #held = 0
  readonly #idle: Buffer[] = []
  /** The fewest blocks that were idle at once in this period: that many were not needed. */
  #spare = 0
  #sweeper: NodeJS.Timeout | undefined
  readonly #waiting = new Set<BlockAccount>()
  /** How accounts give back what they could do without. */
  readonly #spares = new Set<() => void>()

  constructor(limit: number, blockSize: number) {
    this.limit = limit
    this.blockSize = blockSize
  }

  /** Bytes of all blocks that accounts hold. */
  get held(): number {
    return this.#held
  }

  /** Bytes of all blocks that nobody holds. */
  get idle(): number {
    return this.#idle.length * this.blockSize
  }

  /** Only for BlockAccount: a block, without asking whether the budget allows it. */
  take(): Buffer {
    this.#held += this.blockSize
    const block = this.#idle.pop()
    this.#spare = Math.min(this.#spare, this.#idle.length)
    // allocUnsafeSlow: its own memory, so that dropping the block really frees it.
    return block ?? Buffer.allocUnsafeSlow(this.blockSize)
  }

  /** Only for BlockAccount: blocks come back; whoever may go on now is woken, longest wait first. */
  give(blocks: readonly Buffer[]): void {
    this.#held -= blocks.length * this.blockSize
    this.#idle.push(...blocks)
    this.#sweeper ??= setInterval(() => this.#sweep(), IDLE_PERIOD).unref()
    // Each takes what it can while it is woken, so the next is asked anew whether there is room.
    for (const account of [...this.#waiting]) {
      if (!this.#waiting.has(account) || !account.mayTake) continue
      this.#waiting.delete(account)
      account.wake()
    }
    // Who was woken took it all, and need not ask for more: the next would wait in vain.
    if (this.#waiting.size > 0) this.collectSpare()
  }

  /** Only for BlockAccount: asks all for what they could do without. */
  collectSpare(): void {
    for (const giveBack of this.#spares) giveBack()
  }

  /** Only for BlockAccount. */
  addSpare(giveBack: () => void): void {
    this.#spares.add(giveBack)
  }

  /** Only for BlockAccount. */
  removeSpare(giveBack: () => void): void {
    this.#spares.delete(giveBack)
  }

  /** Only for BlockAccount. */
  wait(account: BlockAccount): void {
    this.#waiting.add(account)
  }

  /** Only for BlockAccount. */
  stopWaiting(account: BlockAccount): void {
    this.#waiting.delete(account)
  }

  #sweep(): void {
    this.#idle.splice(0, this.#spare)
    this.#spare = this.#idle.length
    if (this.#idle.length > 0) return
    clearInterval(this.#sweeper)
    this.#sweeper = undefined
  }
}

/** One upload's share of a pool. */
export class BlockAccount {
  readonly #pool: BlockPool
  readonly #seat: Seat
  #held = 0
  #allowance = 0
  /** Bytes of its allowance that stay in use until the end. */
  #kept = 0
  #onRoom: (() => void) | undefined
  #giveBack: (() => void) | undefined

  constructor(pool: BlockPool) {
    this.#pool = pool
    this.#seat = pool.turns.seat()
  }

  get blockSize(): number {
    return this.#pool.blockSize
  }

  /**
   * A part of this size begins: from now on this account may hold two such, whatever the others do.
   * With less, an upload that must fill a part before it can send one could wait for ever.
   */
  beginPart(partSize: number): void {
    this.#seat.beginPart(partSize)
    this.#allowance = this.#kept + 2 * this.#inBlocks(partSize)
  }

  /** A part of this size is held until the end: from the next on it counts beside those two. */
  keepPart(partSize: number): void {
    this.#kept += this.#inBlocks(partSize)
  }

  #inBlocks(bytes: number): number {
    return Math.ceil(bytes / this.blockSize) * this.blockSize
  }

  /** Is there a block for it: within its own allowance, or within the budget? */
  get mayTake(): boolean {
    const { held, limit, blockSize } = this.#pool
    return this.#held + blockSize <= this.#allowance || held + blockSize <= limit
  }

  /** A block, or undefined where there is no room now: then `whenRoom` tells. */
  take(): Buffer | undefined {
    if (!this.mayTake) this.#pool.collectSpare()
    if (!this.mayTake) return undefined
    this.#held += this.blockSize
    return this.#pool.take()
  }

  give(blocks: readonly Buffer[]): void {
    this.#held -= blocks.length * this.blockSize
    this.#pool.give(blocks)
  }

  /** Asked for blocks that could be given back, when anybody finds no room. */
  onShort(giveBack: () => void): void {
    this.#giveBack = giveBack
    this.#pool.addSpare(giveBack)
  }

  /** Calls back when it is this upload's turn to go on, never at once. */
  nextTurn(goOn: () => void): void {
    this.#seat.next(goOn)
  }

  /** Calls back once, as soon as it is worth asking for a block again. */
  whenRoom(callback: () => void): void {
    this.#onRoom = callback
    this.#pool.wait(this)
  }

  wake(): void {
    this.#onRoom?.()
  }

  /** Forgets who waits. Blocks that are held still come back through `give`. */
  close(): void {
    this.#onRoom = undefined
    this.#pool.stopWaiting(this)
    if (this.#giveBack) this.#pool.removeSpare(this.#giveBack)
  }
}
