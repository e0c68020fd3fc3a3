/**
 * Fair queueing by virtual time: who of many uploads takes bytes in next.
 *
 * An upload's time moves on by the bytes of the parts it begins, and the one whose time is least goes
 * next. One that was away is set to now, less one row, so that idleness earns a row and no more. One
 * upload goes on at a time, each after the event loop has had its turn: so parts are filled one after
 * the other. Side by side, hundreds would fill theirs, and hold gigabytes before the first could be
 * sent.
 */

/**
 * How many parts an upload may begin in a row. With one, hundreds of uploads would each hold a part
 * that has just begun, and little of the memory in use would be in the processor's cache. More make
 * those that always have bytes at hand wait longer for each other.
 */
const PARTS_IN_A_ROW = 4

/** An upload with bytes at hand that waits for its turn. */
interface Waiting {
  readonly seat: Seat
  readonly goOn: () => void
}

/** The turns of all uploads that share a memory. */
export class Turns {
  readonly #line: Waiting[] = []
  /** The latest virtual time of those that were served. */
  #now = 0
  #seats = 0

  /** An upload's place among the others. */
  seat(): Seat {
    return new Seat(this, this.#seats++)
  }

  /** Only for `Seat`. */
  get now(): number {
    return this.#now
  }

  /** Only for `Seat`. */
  queue(waiting: Waiting): void {
    if (this.#line.push(waiting) === 1) setImmediate(this.#serve)
  }

  readonly #serve = (): void => {
    let next = 0
    for (let index = 1; index < this.#line.length; index++) {
      if ((this.#line[index] as Waiting).seat.isBefore((this.#line[next] as Waiting).seat)) {
        next = index
      }
    }
    const [{ seat, goOn }] = this.#line.splice(next, 1) as [Waiting]
    if (this.#line.length > 0) setImmediate(this.#serve)
    this.#now = Math.max(this.#now, seat.virtualTime)
    goOn()
  }
}

/** One upload's place among the others. */
export class Seat {
  readonly #turns: Turns
  readonly #number: number
  /** In bytes of parts begun, without those of the present row. */
  #virtualTime = 0
  #bytesInRow = 0
  #partsInRow = 0

  constructor(turns: Turns, number: number) {
    this.#turns = turns
    this.#number = number
  }

  get virtualTime(): number {
    return this.#virtualTime
  }

  /** A part of this size begins, in bytes. */
  beginPart(size: number): void {
    if (this.#partsInRow === PARTS_IN_A_ROW) {
      this.#virtualTime += this.#bytesInRow
      this.#bytesInRow = 0
      this.#partsInRow = 0
    }
    this.#bytesInRow += size
    this.#partsInRow++
  }

  /** Calls back when it is this upload's turn to go on, never at once. */
  next(goOn: () => void): void {
    // A camera that needs less than its share goes first each time it has bytes, whatever others do.
    // One byte less than the row, so that it goes before those who have had just as much.
    const earliest = this.#turns.now - this.#bytesInRow - 1
    this.#virtualTime = Math.max(this.#virtualTime, earliest)
    this.#turns.queue({ seat: this, goOn })
  }

  isBefore(other: Seat): boolean {
    const ahead = other.#virtualTime - this.#virtualTime
    return ahead > 0 || (ahead === 0 && this.#number < other.#number)
  }
}
