/**
 * The parts of a file: cut as it grows, sent, and at its end compared with what it has become.
 */
import { unlessAborted } from '../net/signals.ts'
import type { StoredRange } from '../spool/recover.ts'
import type { Inside } from '../upload/inside.ts'
import type { PartPlan } from '../upload/part-plan.ts'
import type { GrownFile } from './grown-file.ts'
import type { Verify } from './options.ts'
import { hasSameEdges, type Range, rangePart, type Sum, sumOf } from './range-part.ts'
import { untilInReach } from './reach.ts'

/** Parts that S3 has, of an upload that was cut off, by number. */
export type StoredParts = ReadonlyMap<number, StoredRange>

export interface PartsOptions {
  readonly file: GrownFile
  readonly inside: Inside
  readonly plan: PartPlan
  readonly stored: StoredParts
  readonly signal: AbortSignal
}

/** A part that was sent, or is on its way. */
interface Sent extends Range {
  /** What S3 has of it; its CRC alone where another process sent it. */
  sum: Sum | Pick<Sum, 'crc'> | undefined
  stored: Promise<void>
  /** The round in which it is read: 0 while the file grows. */
  round: number
}

/** How a part is sent, where that is not as any other. */
interface Kind {
  /** Of the final part: bytes of the whole file. */
  readonly fileSize?: number | undefined
  readonly isTied?: boolean
  readonly isResent?: boolean
}

/** The last parts, which are registered together. */
interface Ending {
  /** Parts of the whole file. */
  readonly count: number
  /** Was the file cut exactly behind a part that was sent? That one is the final part now. */
  readonly isCutShort: boolean
  readonly send: () => Promise<void>
}

/** Of what was sent, so much must change to be told. */
const MUCH = 0.1
/** Parts at the end that are compared whole. */
const WHOLE = 2

export class Parts {
  readonly #options: PartsOptions
  /** The first, which is not sent before the end. */
  #head: Range | undefined
  readonly #sent: Sent[] = []
  /** Parts that another process sent, in order. */
  readonly #before: readonly Range[]
  /** Parts that were cut, and their bytes. */
  #count = 0
  #end = 0
  #round = 0

  constructor(options: PartsOptions) {
    this.#options = options
    this.#before = rangesOf(options)
  }

  /** Bytes up to the end of the last part that was sent: the file cannot be shorter any more. */
  get sent(): number {
    const { start, size } = this.#before.at(-1) ?? { start: 0, size: 0 }
    return Math.max(start + size, this.#sent.length === 0 ? 0 : this.#end)
  }

  /** Does the file hold something of what another process sent? Also where nothing was sent. */
  async holdsSome(): Promise<boolean> {
    const before = this.#before
    const some = new Set([before[0], before[before.length >> 1], before.at(-1)])
    for (const range of some) if (range === undefined || (await this.#isThere(range))) return true
    return false
  }

  /** Cuts what is whole below a byte, and sends it. No part ends there: one that does may be the last. */
  cut(limit: number): void {
    const { plan } = this.#options
    for (let size = plan(this.#end); this.#end + size < limit; size = plan(this.#end)) {
      const range = { number: ++this.#count, start: this.#end, size }
      this.#end += size
      if (this.#head) this.#sent.push(this.#knownOf(range) ?? this.#send(range))
      else this.#head = range
    }
  }

  /**
   * The file is over, and of this size: sends what is whole of it, compares what was sent before with
   * what is there now, and sends once more what is not the same.
   */
  async settle(total: number, verify: Verify): Promise<void> {
    this.#round++
    this.cut(total)
    const parts = this.#sent.filter(({ round }) => round < this.#round)
    const changed = await this.#changed(parts, verify)
    for (const part of parts) part.round = this.#round
    if (changed.length === 0) return
    const { inside, file } = this.#options
    inside.emit('changed', { partNumbers: changed.map(({ number }) => number) })
    const bytes = changed.reduce((sum, { size }) => sum + size, 0)
    if (bytes > MUCH * this.#end) inside.emit('warning', rewritten(file.path, bytes))
    const again = changed.map(part => this.#send(part, { isResent: true }))
    // The first that was sent is part 2.
    for (const part of again) this.#sent[part.number - 2] = part
    for (const { stored } of again) await this.#unlessOver(stored)
  }

  /** Nothing more is cut. */
  end(total: number): Ending {
    // Nothing but the head was cut, and the file was cut since: that is all there is.
    if (total <= this.#end && this.#sent.length === 0) {
      this.#head = undefined
      this.#count = 0
      this.#end = 0
    }
    const last = this.#end === total ? this.#sent.pop() : undefined
    const final = last ?? { number: this.#count + 1, start: this.#end, size: total - this.#end }
    const isFinal = this.#options.stored.get(final.number)?.isFinal
    const isCutShort = last !== undefined || isFinal === false
    const send = () => this.#sendLast(final, total, isCutShort)
    return { count: final.number, isCutShort, send }
  }

  /** Is every part that was sent still what stands in the file? */
  async areTrue(): Promise<boolean> {
    return (await this.#changed(this.#sent, 'all')).length === 0
  }

  /** @param wasSent as a part that is not the final one */
  async #sendLast(final: Range, fileSize: number, wasSent: boolean): Promise<void> {
    const isFinalThere = !wasSent && (await this.#isThere(final))
    if (this.#head && !(await this.#isThere(this.#head))) {
      this.#sent.push(this.#send(this.#head, { isTied: !isFinalThere }))
    }
    if (!isFinalThere) this.#sent.push(this.#send(final, { fileSize, isResent: wasSent }))
  }

  /** What another process sent of this part, if it did. */
  #knownOf(range: Range): Sent | undefined {
    const known = this.#options.stored.get(range.number)
    if (known?.size !== range.size) return undefined
    return { ...range, sum: known, stored: Promise.resolve(), round: 0 }
  }

  /** Did another process send this part, as it stands there now? */
  async #isThere(range: Range): Promise<boolean> {
    const known = this.#knownOf(range)
    if (!known) return false
    const { size } = await this.#inReach(range, () => this.#options.file.state())
    return size >= range.start + range.size && this.#isSame(known, true)
  }

  #send(range: Range, kind: Kind = {}): Sent {
    const { file, inside, stored: known } = this.#options
    const { number, start, size } = range
    const { fileSize, isTied = false, isResent = known.has(number) } = kind
    const sent: Sent = { ...range, sum: undefined, stored: Promise.resolve(), round: this.#round }
    sent.stored = new Promise(resolve => {
      const part = rangePart({
        ...{ number, start, size, fileSize, isTied, isResent },
        file,
        isMd5Wanted: inside.options.integrity === 'md5',
        onStored: sum => {
          sent.sum = sum
          inside.spool?.rangeStored(number, size, sum.crc)
          resolve()
        },
      })
      inside.transfer.admit(part)
    })
    return sent
  }

  async #changed(parts: readonly Sent[], verify: Verify): Promise<Sent[]> {
    const changed: Sent[] = []
    for (const [index, part] of parts.entries()) {
      await this.#unlessOver(part.stored)
      const isWhole = verify === 'all' || index >= parts.length - WHOLE
      // What another process sent may be of another file: those are never mixed.
      const isRead = verify !== 'none' || !(part.sum && 'first' in part.sum)
      if (isRead && !(await this.#isSame(part, isWhole))) changed.push(part)
    }
    return changed
  }

  async #isSame(part: Sent, isWhole: boolean): Promise<boolean> {
    const { file } = this.#options
    const { sum } = part
    const bytes = { ...part, file }
    return this.#inReach(part, async () => {
      if (!isWhole && sum && 'first' in sum && !sum.hasZeros) return hasSameEdges(bytes, sum)
      return (await sumOf(bytes)).crc === sum?.crc
    })
  }

  #inReach<T>({ number }: Range, read: () => Promise<T>): Promise<T> {
    const { inside, signal } = this.#options
    return untilInReach(read, inside.transfer.reading([number], signal))
  }

  #unlessOver<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(this.#options.signal, promise)
  }
}

/** Where parts stand that another process sent: the same plan cut them. */
const rangesOf = ({ stored, plan }: PartsOptions): Range[] => {
  const ranges: Range[] = []
  const last = [...stored.keys()].reduce((most, number) => Math.max(most, number), 0)
  for (let [number, start] = [1, 0]; number <= last; number++) {
    const size = stored.get(number)?.size
    if (size !== undefined) ranges.push({ number, start, size })
    start += size ?? plan(start)
  }
  return ranges
}

const rewritten = (path: string, bytes: number) => ({
  code: 'SOURCE_REWRITTEN' as const,
  message: `${path} was changed at its end where it had been sent already: ${bytes} bytes are sent once more`,
})
