/**
 * The room of cutting: a stream of unknown chunking, of unknown length, is cut where its container
 * allows, so that each piece is a file that plays by itself. Nothing here reads, writes or waits.
 *
 *   push(chunk) ──► sniff ──► mp4-cutter, ts-cutter or nothing that cuts ──► bytes, cut, bytes, cut, bytes
 *
 * What holds always:
 *  1. No byte of media is lost, and none is there twice. What is added is the head of a piece; what is
 *     left out are indexes that would lie (`sidx`, `mfra`).
 *  2. The first piece is the beginning of the source, byte for byte, but for such an index.
 *  3. Memory is bounded: media flow through as views of the chunk that they came in. Only what must be
 *     looked at is copied, and never more than `LONGEST_LOOK` of it.
 *  4. What makes no sense goes into the present piece as it came, with a warning. Nothing is thrown.
 *
 * Read on with `pace.ts` (when a cut is due), `mp4-cutter.ts` and `ts-cutter.ts` (where it may be).
 */
import { Mp4Cutter } from './mp4-cutter.ts'
import type { ContainerCutter, CutterOptions, Piece } from './piece.ts'
import { LONGEST_SNIFF, sniff } from './sniff.ts'
import { TsCutter } from './ts-cutter.ts'
import { type CutWarning, notCuttable } from './warnings.ts'

export interface Cutter extends ContainerCutter {
  /** What the stream is; `'unknown'` is not cut, and undefined is not known yet. */
  readonly container: 'mp4' | 'mpegts' | 'unknown' | undefined
}

export type { CutterOptions, Piece } from './piece.ts'

/** A cutter for one stream. What it gives may be a view of what was pushed: use it before the next push. */
export const cutterFor = (options: CutterOptions): Cutter => new SniffingCutter(options)

class SniffingCutter implements Cutter {
  container: Cutter['container']
  readonly #options: CutterOptions
  #inner: ContainerCutter | undefined
  /** The first bytes, until they tell. */
  #first: Buffer = Buffer.alloc(0)
  #hasWarned = false

  constructor(options: CutterOptions) {
    const onWarning = (warning: CutWarning) => {
      if (!this.#hasWarned) options.onWarning(warning)
      this.#hasWarned = true
    }
    this.#options = { ...options, onWarning }
  }

  push(chunk: Uint8Array): Piece[] {
    if (chunk.length === 0) return []
    if (this.#inner) return this.#inner.push(chunk)
    const looked = chunk.subarray(0, LONGEST_SNIFF)
    this.#first = Buffer.concat([this.#first, looked])
    const inner = this.#choose(false)
    if (!inner) return []
    return [...inner.push(this.#first), ...inner.push(chunk.subarray(looked.length))]
  }

  end(): Piece[] {
    if (this.#inner) return this.#inner.end()
    if (this.#first.length === 0) return []
    const inner = this.#choose(true)
    return inner ? [...inner.push(this.#first), ...inner.end()] : []
  }

  #choose(isAll: boolean): ContainerCutter | undefined {
    const found = sniff(this.#first, isAll)
    if (!found) return undefined
    this.container = found.container
    if (found.container === 'mp4') this.#inner = new Mp4Cutter(this.#options)
    else if (found.container === 'mpegts') this.#inner = new TsCutter(found.packet, this.#options)
    else {
      this.#inner = uncut
      this.#options.onWarning(notCuttable('it is neither MP4 or MOV in fragments nor MPEG-TS'))
    }
    return this.#inner
  }
}

/** What nothing is known of flows through. */
const uncut: ContainerCutter = {
  push: chunk => (chunk.length === 0 ? [] : [{ t: 'bytes', chunk }]),
  end: () => [],
}
