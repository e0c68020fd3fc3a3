/**
 * Memory for parts: blocks of one size, recycled, under a budget that all uploads of a client share.
 *
 * The block that came back last goes out first: it is still in the processor's cache. Blocks that
 * were not needed for a while go back to the system.
 */

/** How long a block may lie idle before it goes back to the system: one to two such periods, in ms. */
const IDLE_PERIOD = 1_000

/**
 * How many parts an upload may begin in a row. With one, hundreds of uploads would each hold a part
 * that has just begun, and little of the memory in use would be in the processor's cache. More make
 * those that always have bytes at hand wait longer for each other.
 */
const PARTS_IN_A_ROW = 4

/** An upload with bytes at hand that waits for its turn. */
interface Turn {
  readonly account: BlockAccount
  readonly goOn: () => void
}

/** The blocks of one client and their budget. */
export class BlockPool {
  /** Size of each block, in bytes. */
  readonly blockSize: number
  /** Budget in bytes, which accounts may pass only within their allowance. */
  readonly limit: number
  #held = 0
  readonly #idle: Buffer[] = []
  /** The fewest blocks that were idle at once in this period: that many were not needed. */
  #spare = 0
  #sweeper: NodeJS.Timeout | undefined
  readonly #waiting = new Set<BlockAccount>()
  readonly #line: Turn[] = []
  /** The latest clock of those that were served. */
  #clock = 0
  #accounts = 0

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
  }

  /** Only for BlockAccount: a number of its own. */
  open(): number {
    return this.#accounts++
  }

  /** Only for BlockAccount. */
  get clock(): number {
    return this.#clock
  }

  /**
   * Only for BlockAccount. One upload at a time goes on, each time after the event loop has had its
   * turn, and first the one that has had least: so parts are filled one after the other. Side by side
   * hundreds would fill theirs, and hold gigabytes before the first of them could be sent.
   */
  nextTurn(turn: Turn): void {
    if (this.#line.push(turn) === 1) setImmediate(this.#giveTurn)
  }

  readonly #giveTurn = (): void => {
    let next = 0
    for (let index = 1; index < this.#line.length; index++) {
      if ((this.#line[index] as Turn).account.isBefore((this.#line[next] as Turn).account)) {
        next = index
      }
    }
    const [turn] = this.#line.splice(next, 1) as [Turn]
    if (this.#line.length > 0) setImmediate(this.#giveTurn)
    this.#clock = Math.max(this.#clock, turn.account.clock)
    turn.goOn()
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
  readonly #number: number
  /** In bytes of parts begun, without those of the present row. See `nextTurn`. */
  #clock = 0
  #bytesInRow = 0
  #partsInRow = 0
  #held = 0
  #allowance = 0
  #onRoom: (() => void) | undefined

  constructor(pool: BlockPool) {
    this.#pool = pool
    this.#number = pool.open()
  }

  get blockSize(): number {
    return this.#pool.blockSize
  }

  /**
   * A part of this size begins: from now on this account may hold two such, whatever the others do.
   * With less, an upload that must fill a part before it can send one could wait for ever.
   */
  beginPart(partSize: number): void {
    if (this.#partsInRow === PARTS_IN_A_ROW) {
      this.#clock += this.#bytesInRow
      this.#bytesInRow = 0
      this.#partsInRow = 0
    }
    this.#bytesInRow += partSize
    this.#partsInRow++
    this.#allowance = 2 * Math.ceil(partSize / this.blockSize) * this.blockSize
  }

  /** Is there a block for it: within its own allowance, or within the budget? */
  get mayTake(): boolean {
    const { held, limit, blockSize } = this.#pool
    return this.#held + blockSize <= this.#allowance || held + blockSize <= limit
  }

  /** A block, or undefined where there is no room now: then `whenRoom` tells. */
  take(): Buffer | undefined {
    if (!this.mayTake) return undefined
    this.#held += this.blockSize
    return this.#pool.take()
  }

  give(blocks: readonly Buffer[]): void {
    this.#held -= blocks.length * this.blockSize
    this.#pool.give(blocks)
  }

  /** What this upload has had, in bytes: the lower, the sooner it is its turn. */
  get clock(): number {
    return this.#clock
  }

  isBefore(other: BlockAccount): boolean {
    return (
      this.#clock < other.clock || (this.#clock === other.clock && this.#number < other.#number)
    )
  }

  /** Calls back when it is this upload's turn to go on, never at once. */
  nextTurn(goOn: () => void): void {
    // A camera that needs less than its share goes first each time it has bytes, whatever others
    // do; but nobody saves up a claim for later.
    this.#clock = Math.max(this.#clock, this.#pool.clock - this.#bytesInRow - 1)
    this.#pool.nextTurn({ account: this, goOn })
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
  }
}
