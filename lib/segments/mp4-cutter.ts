/**
 * MP4, MOV and CMAF in fragments, cut in front of a fragment whose video begins with a sync sample:
 *
 *   ftyp moov │ (styp sidx prft emsg) moof mdat │ … moof mdat │ (styp …) moof mdat … (mfra)
 *     head    │          a fragment                           └ a place, where video begins anew
 *
 * The head goes in front of each piece. What follows is moved to where it lies now: in time, so that
 * each piece begins at 0 and sound and picture keep their distance, and in place, where offsets of data
 * are absolute. Another recording in the same stream begins a piece as well: one with a head of its own, or
 * of the same recorder, which has begun anew.
 */
import { BoxReader, type BoxSink } from './box-reader.ts'
import { inTicks, millisecondsFrom, type Time, zeroOf } from './media-clock.ts'
import { moveEarlier, moveFragment, type Run, readFragment, referencesIn } from './moof.ts'
import { type Head, readHead, repeatableHead, type Track } from './moov.ts'
import { Pace } from './pace.ts'
import { type ContainerCutter, type CutterOptions, LONGEST_LOOK, type Piece } from './piece.ts'
import { notCutFor, notCuttable, notUnderstood } from './warnings.ts'

/** Boxes that go with the fragment behind them. */
const BEFORE_FRAGMENT = new Set(['styp', 'sidx', 'prft', 'emsg'])
/** Boxes in front of the first fragment that each piece gets, beside the moov. */
const REPEATED = new Set(['ftyp', 'pdin', 'meta', 'uuid'])

/** Bytes of memory that a box takes beside its own, about: some have no more than eight. */
const PER_BOX = 512

interface Box {
  readonly type: string
  readonly bytes: Buffer
  /** Where it begins in the stream. */
  readonly at: number
}

export class Mp4Cutter implements ContainerCutter, BoxSink {
  readonly #options: CutterOptions
  readonly #pace: Pace
  readonly #reader = new BoxReader(this)
  #out: Piece[] = []
  /** The source has shown that nothing can be cut. */
  #isOver = false

  /** What goes in front of each piece, and what it says. */
  #preface: Box[] = []
  /** Bytes that it takes in memory. */
  #kept = 0
  #head: Head | undefined
  /** Where the recording begins in the stream: absolute places of data are counted from there. */
  #origin = 0
  #hasFragments = false
  /** The same head came again, and no fragment of the leading track since. */
  #isHeadAgain = false
  /** What goes with the next fragment; bytes that it takes in memory. */
  #before: Box[] = []
  #waiting = 0

  #hasCut = false
  /** What is 0 in this piece, undefined where it has the head of its source; when its leading track begins. */
  #zero: Time | undefined
  #start: Time | undefined
  /** When the last fragment of the leading track was decoded, in its ticks. */
  #last: bigint | undefined
  /** When what comes next of a track is decoded, in its ticks. */
  #next = new Map<Track, bigint>()

  constructor(options: CutterOptions) {
    this.#options = options
    this.#pace = new Pace(options)
  }

  push(chunk: Uint8Array): Piece[] {
    this.#reader.push(chunk)
    return this.#taken()
  }

  end(): Piece[] {
    this.#flush()
    this.#reader.end()
    return this.#taken()
  }

  treat(type: string, size: number, at: number): 'look' | 'pass' | 'drop' {
    const treatment = this.#isOver ? 'pass' : this.#treatmentOf(type, size, at)
    if (treatment === 'pass') this.#flush()
    return treatment
  }

  #treatmentOf(type: string, size: number, at: number): 'look' | 'pass' | 'drop' {
    // An index of the whole would lie in a piece.
    if (type === 'mfra') return this.#hasCut ? 'drop' : 'pass'
    if (type === 'mdat' && !this.#head) this.#giveUp('its media come before its index (moov)')
    const isWanted =
      BEFORE_FRAGMENT.has(type) ||
      /^(ftyp|moov|moof)$/.test(type) ||
      (REPEATED.has(type) && !this.#hasFragments)
    if (!isWanted) return 'pass'
    if (size + PER_BOX + this.#waiting + this.#kept <= LONGEST_LOOK) return 'look'
    if (type === 'moov' && !this.#head) this.#giveUp('its index (moov) is too large')
    if (type === 'moof') this.#passedOver('the head of a fragment that is too large', at)
    return 'pass'
  }

  look(type: string, bytes: Buffer, at: number): void {
    if (type === 'moof') this.#fragment(bytes, at)
    else if (type === 'moov') this.#moov(bytes, at)
    else if (BEFORE_FRAGMENT.has(type) || this.#hasFragments) {
      this.#before.push({ type, bytes, at })
      this.#waiting += PER_BOX + bytes.length
    } else {
      this.#preface.push({ type, bytes, at })
      this.#kept += PER_BOX + bytes.length
      this.pass(bytes)
    }
  }

  pass(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#pace.size += chunk.length
    this.#out.push({ t: 'bytes', chunk })
  }

  lost(at: number): void {
    this.#flush()
    if (this.#isOver) return
    this.#isOver = true
    const then = 'the rest goes into the present piece as it came'
    this.#options.onWarning(notUnderstood('no box of an MP4', at, then))
  }

  #moov(bytes: Buffer, at: number): void {
    const repeated = attempt(() => repeatableHead(bytes))
    const head = attempt(() => readHead(bytes))
    const isCuttable = repeated !== undefined && head?.leader !== undefined
    if (!this.#head) {
      this.pass(bytes)
      this.#head = head
      if (!isCuttable) this.#giveUp('it is not in fragments')
      else {
        this.#preface.push({ type: 'moov', bytes: repeated, at })
        this.#kept += PER_BOX + repeated.length
      }
      return
    }
    // The samples of a head with some would be lost in the middle.
    const isSame =
      repeated && !head?.hasSamples && this.#preface.some(box => box.bytes.equals(repeated))
    const ftyp = this.#before.find(({ type }) => type === 'ftyp')
    this.#origin = ftyp?.at ?? this.#origin
    if (isCuttable && ftyp && !isSame) {
      this.#flush(box => box !== ftyp)
      this.#restart(
        head,
        [ftyp, { type: 'moov', bytes, at }],
        [ftyp, { type: 'moov', bytes: repeated, at }],
      )
      return
    }
    this.#flush()
    if (isSame && ftyp) this.#isHeadAgain = true
    // An index that was put behind it all in the end tells where things are in the whole.
    if (!this.#hasCut || isSame) this.pass(bytes)
  }

  /** Another recording follows. */
  #restart(head: Head, preface: readonly Box[], repeated: Box[]): void {
    this.#head = head
    this.#preface = repeated
    this.#kept = repeated.reduce((sum, { bytes }) => sum + PER_BOX + bytes.length, 0)
    this.#hasFragments = false
    this.#isHeadAgain = false
    this.#last = undefined
    this.#next = new Map()
    this.#cut(undefined, undefined, preface)
  }

  #fragment(moof: Buffer, at: number): void {
    const head = this.#head
    const runs = head && this.#read(moof, head, at)
    this.#hasFragments = true
    if (!head || !runs) {
      this.#flush()
      this.pass(moof)
      return
    }
    const lead = runs.find(({ track }) => track === head.leader)
    if (lead) this.#cutIfDue(head, runs, lead)
    for (const { track, time, duration } of runs) this.#next.set(track, time + duration)
    this.#passMoved(head, moof, at)
  }

  #read(moof: Buffer, head: Head, at: number): Run[] | undefined {
    try {
      return readFragment(moof, head)
    } catch (error) {
      this.#passedOver((error as Error).message, at)
      return undefined
    }
  }

  #cutIfDue(head: Head, runs: readonly Run[], lead: Run): void {
    const now: Time = { ticks: lead.time, timescale: lead.track.timescale }
    this.#start ??= head.hasSamples ? { ...now, ticks: 0n } : now
    // Its head came once more: has the recorder begun anew, or does it only say again what it writes?
    const isAnew = this.#isHeadAgain && lead.time <= (this.#last ?? lead.time)
    this.#isHeadAgain = false
    this.#last = lead.time
    if (isAnew) this.#next = new Map()
    // A clock that was set back: what was measured so far says nothing.
    if (now.ticks < this.#start.ticks) this.#start = now
    const elapsed = millisecondsFrom(this.#start, now)
    const isDue = lead.isSync && this.#pace.isDue(elapsed)
    if (isDue || (isAnew && lead.isSync)) {
      this.#cut(zeroOf(runs, lead, this.#next), now, this.#preface)
    } else if (this.#pace.lacksPlace(elapsed)) this.#options.onWarning(notCutFor(elapsed))
  }

  #cut(zero: Time | undefined, start: Time | undefined, preface: readonly Box[]): void {
    this.#out.push({ t: 'cut' })
    this.#hasCut = true
    this.#pace.begin(start !== undefined)
    this.#zero = zero
    this.#start = start
    for (const { bytes } of preface) this.pass(bytes)
  }

  #taken(): Piece[] {
    const out = this.#out
    this.#out = []
    return out
  }

  /** A fragment and what goes before it, as it has to be in this piece. */
  #passMoved({ tracks }: Head, moof: Buffer, at: number): void {
    const zero = this.#zero
    const inScale = (timescale: number) => (zero ? inTicks(zero, timescale) : 0n)
    const earlier = (id: number) => {
      const { timescale = 1, put = 0n } = tracks.get(id) ?? {}
      return zero ? inScale(timescale) - put : 0n
    }
    for (const { type, bytes } of this.#before) {
      if (type === 'sidx' && (this.#hasCut || attempt(() => referencesIn(bytes)) !== 1)) continue
      attempt(() => moveEarlier(bytes, earlier, inScale))
      this.pass(bytes)
    }
    this.#before = []
    this.#waiting = 0
    attempt(() => moveFragment(moof, this.#pace.size - (at - this.#origin), earlier))
    this.pass(moof)
  }

  /** What waited for a fragment that does not come. */
  #flush(which: (box: Box) => boolean = () => true): void {
    for (const box of this.#before) if (which(box)) this.pass(box.bytes)
    this.#before = []
    this.#waiting = 0
  }

  #giveUp(why: string): void {
    this.#isOver = true
    this.#options.onWarning(notCuttable(why))
  }

  #passedOver(what: string, at: number): void {
    const then = 'it goes into the present piece as it came'
    this.#options.onWarning(notUnderstood(what, at, then))
  }
}

/** What cannot be read is no reason to stop: it stays as it is. */
const attempt = <T>(read: () => T): T | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}
