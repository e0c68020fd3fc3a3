/**
 * When a cut is due: at the first place at which the piece is long enough, or beyond which it might
 * grow larger than a file may be.
 */

export interface PaceOptions {
  /** Media time that a piece has at least, but for the last, in ms. `Infinity`: cut for `maxSize` alone. */
  readonly segment: number
  /** Bytes that no piece may exceed, as far as places to cut allow. */
  readonly maxSize: number
  /** Whether a cut that is due may be made: else the piece goes on to the next place. Default: it may. */
  readonly mayCut?: (() => boolean) | undefined
}

/** What rounding of time stamps may make a piece too short, in ms: it must not cost a whole group of pictures. */
const ROUNDING = 1

/** Counts the bytes of a piece, and remembers how far apart the places are. */
export class Pace {
  readonly #options: PaceOptions
  /** Bytes of the piece so far. */
  size = 0
  /** Bytes at the last place; undefined until the piece has had its first. */
  #lastPlace: number | undefined
  #widest = 0
  /** Was there a place since the piece is long enough? */
  #hasPlace = false

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /**
   * Here the stream may be cut: shall it be?
   *
   * @param elapsed media time of the piece so far, in ms
   */
  isDue(elapsed: number): boolean {
    const { segment, maxSize, mayCut } = this.#options
    const last = this.#lastPlace
    const isLong = elapsed >= segment - ROUNDING
    this.#lastPlace = this.size
    this.#hasPlace ||= isLong
    // In front of its first media there is no piece yet.
    if (last === undefined) return false
    this.#widest = Math.max(this.#widest, this.size - last)
    // Twice: the next stretch may well be longer than any before.
    const isDue = isLong || this.size + 2 * this.#widest > maxSize
    return isDue && (mayCut?.() ?? true)
  }

  /** Is the piece twice as long as it was to be, and no place came? */
  lacksPlace(elapsed: number): boolean {
    return !this.#hasPlace && elapsed >= 2 * this.#options.segment
  }

  /** The next piece begins: with media, or with a head alone. */
  begin(withMedia: boolean): void {
    this.size = 0
    this.#hasPlace = false
    this.#lastPlace = withMedia ? 0 : undefined
  }
}
