/**
 * MPEG-TS, in packets of 188 bytes or, as cameras write it (M2TS), of 192, cut in front of a picture
 * that stands for itself. Streams are interleaved: where video may be cut a PES packet of sound is
 * often half through. So each stream goes over to the next piece on its own, where its PES packet ends:
 *
 *   v v a v v a │ V v A v a v v …           V: the cut. A: the rest of sound that began before it
 *   old:  v v a v v a A                     what belongs to the next piece is held until the last of
 *   new:  PAT PMT V v v a v v …             these is through, mostly within a tenth of a second
 */
import { Pace } from './pace.ts'
import {
  beginningOf,
  millisecondsBetween,
  type Packet,
  type PesStart,
  readPacket,
  readPesStart,
} from './packet.ts'
import { PacketReader, type PacketSink } from './packet-reader.ts'
import { type ContainerCutter, type CutterOptions, LONGEST_LOOK, type Piece } from './piece.ts'
import { isVideo, type Stream, Tables } from './tables.ts'
import { notCutFor, notCuttable, notUnderstood } from './warnings.ts'

/** Time stamps that are further apart are of two clocks; and nothing is held for longer. In ms. */
const LARGEST_STEP = 10_000

/** What is held for the next piece. */
interface Held {
  readonly packets: Buffer[]
  size: number
  /** PIDs whose PES packet still goes into the old piece. */
  readonly behind: Set<number>
}

export class TsCutter implements ContainerCutter, PacketSink {
  readonly #options: CutterOptions
  readonly #pace: Pace
  readonly #prefix: number
  readonly #reader: PacketReader
  readonly #tables = new Tables()
  #out: Piece[] = []
  /** What goes out next: a stretch of one chunk. */
  #run: Buffer | undefined
  #runFrom = 0
  #runTo = 0
  /** By PID: bytes of its PES packet that are still to come. */
  readonly #left = new Map<number, number>()
  #held: Held | undefined
  /** Does the encoder mark where one may begin? */
  #marks = false
  /** Did a picture that was marked bring its parameters along? */
  #hasParameters = false
  /** When the leading stream was decoded last, and media time of the piece, in ms. */
  #time: number | undefined
  #elapsed = 0

  constructor(size: 188 | 192, options: CutterOptions) {
    this.#options = options
    this.#pace = new Pace(options)
    this.#prefix = size - 188
    this.#reader = new PacketReader(size, this)
  }

  push(chunk: Uint8Array): Piece[] {
    this.#reader.push(chunk)
    return this.#taken()
  }

  end(): Piece[] {
    if (this.#held) this.#change(this.#held)
    this.#reader.end()
    if (!this.#tables.leader) this.#options.onWarning(notCuttable('it has no whole PAT and PMT'))
    return this.#taken()
  }

  packet(chunk: Buffer, begin: number): void {
    const packet = readPacket(chunk, begin + this.#prefix)
    const { pid, isStart, from, to } = packet
    const payload = isStart ? chunk.subarray(from, to) : undefined
    if (this.#tables.has(pid)) {
      const raw = chunk.subarray(begin, to)
      this.#tables.take(raw, pid, isStart, payload ?? chunk.subarray(from, to))
      this.#pass(chunk, begin, to)
      return
    }
    const pes = payload && readPesStart(payload)
    const { leader } = this.#tables
    if (pes && pid === leader?.pid) this.#lead(leader, packet, payload, pes)
    this.#count(packet, pes)
    const isRest = !isStart && (this.#held?.behind.has(pid) ?? false)
    if (isRest) this.#emit(chunk, begin, to)
    if (this.#held) this.#settle(this.#held, pid, isRest)
    if (!isRest) this.#pass(chunk, begin, to)
  }

  stray(bytes: Buffer, at: number): void {
    const then = 'they go into the present piece as they came'
    this.#options.onWarning(notUnderstood('bytes that are no packets', at, then))
    this.#pass(bytes, 0, bytes.length)
  }

  /** The leading stream has a new PES packet. */
  #lead(leader: Stream, packet: Packet, payload: Buffer, { time }: PesStart): void {
    const step = time === undefined ? 0 : millisecondsBetween(this.#time ?? time, time)
    if (Math.abs(step) <= LARGEST_STEP) this.#elapsed += step
    this.#time = time ?? this.#time
    if (this.#held) return
    const { isOther } = this.#tables
    if (isOther) this.#marks = this.#hasParameters = false
    if (!this.#isPlace(leader, packet, payload)) {
      if (this.#pace.lacksPlace(this.#elapsed)) this.#options.onWarning(notCutFor(this.#elapsed))
      return
    }
    if (!this.#pace.isDue(this.#elapsed) && !isOther) return
    this.#tables.isOther = false
    this.#elapsed = 0
    const behind = [...this.#left].filter(([pid, left]) => left > 0 && pid !== leader.pid)
    this.#held = { packets: [], size: 0, behind: new Set(behind.map(([pid]) => pid)) }
  }

  #isPlace(leader: Stream, { isRandomAccess }: Packet, payload: Buffer): boolean {
    if (!isVideo(leader)) return true
    const { isKey, hasParameters } = beginningOf(payload, leader.type)
    const isPlace = isRandomAccess || (!this.#marks && isKey)
    this.#marks ||= isRandomAccess
    if (!isPlace) return false
    // Where they come with some, a picture that is marked without them would be of no use.
    this.#hasParameters ||= hasParameters
    return hasParameters || !this.#hasParameters
  }

  /** How much of its PES packet is still to come? */
  #count({ pid, isStart, from, to }: Packet, pes: PesStart | undefined): void {
    if (pes) this.#left.set(pid, pes.left)
    else if (isStart) this.#left.delete(pid)
    else {
      const left = this.#left.get(pid)
      if (left !== undefined) this.#left.set(pid, left - (to - from))
    }
  }

  /** The old piece is whole once no stream is behind any more; one that has ended is not waited for. */
  #settle(held: Held, pid: number, isRest: boolean): void {
    const { behind, size } = held
    if (!isRest || (this.#left.get(pid) ?? 0) <= 0) behind.delete(pid)
    if (behind.size === 0 || size > LONGEST_LOOK || this.#elapsed > LARGEST_STEP) this.#change(held)
  }

  #change({ packets, behind }: Held): void {
    this.#held = undefined
    // What did not come is not waited for at the next cut either.
    for (const pid of behind) this.#left.delete(pid)
    this.#endRun()
    this.#out.push({ t: 'cut' })
    this.#pace.begin(true)
    const [first] = packets
    for (const table of this.#tables.packets) this.#emitAll(this.#prefixed(table, first))
    for (const packet of packets) this.#emitAll(packet)
  }

  /** Of M2TS: the tables arrive when the first packet does, and not when they did. */
  #prefixed(table: Buffer, first = table): Buffer {
    if (this.#prefix === 0) return table
    return Buffer.concat([first.subarray(0, this.#prefix), table.subarray(this.#prefix)])
  }

  /** Into the present piece, or the next where one has begun. */
  #pass(chunk: Buffer, from: number, to: number): void {
    if (this.#held) {
      this.#held.packets.push(Buffer.from(chunk.subarray(from, to)))
      this.#held.size += to - from
    } else this.#emit(chunk, from, to)
  }

  #emitAll(bytes: Buffer): void {
    this.#emit(bytes, 0, bytes.length)
  }

  /** What lies side by side in a chunk goes out as one. */
  #emit(chunk: Buffer, from: number, to: number): void {
    this.#pace.size += to - from
    if (chunk !== this.#run || from !== this.#runTo) {
      this.#endRun()
      this.#run = chunk
      this.#runFrom = from
    }
    this.#runTo = to
  }

  #endRun(): void {
    if (!this.#run) return
    this.#out.push({ t: 'bytes', chunk: this.#run.subarray(this.#runFrom, this.#runTo) })
    this.#run = undefined
  }

  #taken(): Piece[] {
    this.#endRun()
    const out = this.#out
    this.#out = []
    return out
  }
}
