/**
 * The tables of an MPEG-TS that say what is in it: the PAT names a PMT for each program, and the PMT
 * names the streams. The packets of the latest ones are kept, to go in front of each piece.
 */

export interface Stream {
  readonly pid: number
  readonly type: number
}

/** Packets that a section is looked for in: it has 1,024 bytes at most. */
const MOST_PACKETS = 8

/** A section that is gathered from its packets. */
class Section {
  /** The packets of the last whole one. */
  packets: readonly Buffer[] = []
  #gathered: Buffer[] = []
  #bytes: Buffer = Buffer.alloc(0)

  /** Takes the next packet of its PID; the section, once it is whole. */
  take(raw: Buffer, isStart: boolean, payload: Buffer): Buffer | undefined {
    if (isStart) {
      // What comes before the pointer is the end of the section before.
      this.#bytes = Buffer.from(payload.subarray(1 + (payload[0] ?? 0)))
      this.#gathered = [Buffer.from(raw)]
    } else if (this.#gathered.length > 0 && this.#gathered.length < MOST_PACKETS) {
      this.#bytes = Buffer.concat([this.#bytes, payload])
      this.#gathered.push(Buffer.from(raw))
    } else return undefined
    if (this.#bytes.length < 3) return undefined
    const size = 3 + (this.#bytes.readUInt16BE(1) & 0xfff)
    if (this.#bytes.length < size) return undefined
    const gathered = this.#gathered
    this.#gathered = []
    const section = this.#bytes.subarray(0, size)
    if (sumOf(section) !== 0) return undefined
    this.packets = gathered
    return section
  }
}

export class Tables {
  readonly #pat = new Section()
  #pmts = new Map<number, { section: Section; streams: readonly Stream[] }>()
  /** The stream that decides where it may be cut: the first of video, or else of sound. */
  leader: Stream | undefined
  /** The one that decided has gone, or has become another: what comes is another recording. */
  isOther = false

  /** Are the packets of this PID of one of the tables? */
  has(pid: number): boolean {
    return pid === 0 || this.#pmts.has(pid)
  }

  /** @param raw a packet of such a PID, as it is to be sent again */
  take(raw: Buffer, pid: number, isStart: boolean, payload: Buffer): void {
    if (pid === 0) {
      const pat = this.#pat.take(raw, isStart, payload)
      const pids = pat && programsIn(pat)
      if (pids) this.#pmts = new Map(pids.map(pid => [pid, this.#pmts.get(pid) ?? aPmt()]))
      return
    }
    const pmt = this.#pmts.get(pid)
    const section = pmt?.section.take(raw, isStart, payload)
    const streams = section && streamsIn(section)
    if (!pmt || !streams) return
    pmt.streams = streams
    const all = [...this.#pmts.values()].flatMap(({ streams }) => streams)
    const { leader } = this
    this.isOther ||= leader !== undefined && !all.some(stream => isSame(stream, leader))
    this.leader = leaderOf(all)
  }

  /** PAT and PMTs, as they came last. */
  get packets(): readonly Buffer[] {
    return [this.#pat, ...[...this.#pmts.values()].map(({ section }) => section)].flatMap(
      ({ packets }) => packets,
    )
  }
}

const isSame = (one: Stream, other: Stream): boolean =>
  one.pid === other.pid && one.type === other.type

/** The CRC of MPEG-2 over a section and its sum, which is 0 where it is whole. */
const sumOf = (section: Buffer): number => {
  let sum = -1
  for (const byte of section) {
    sum ^= byte << 24
    for (let bit = 0; bit < 8; bit++) sum = (sum << 1) ^ (sum < 0 ? 0x04c1_1db7 : 0)
  }
  return sum
}

const aPmt = () => ({ section: new Section(), streams: [] as readonly Stream[] })

/** What a section has after its head of eight bytes and before its sum of four. */
const bodyOf = (section: Buffer): Buffer => section.subarray(8, Math.max(8, section.length - 4))

/** PIDs of the PMTs; undefined where it is no PAT. Program 0 is the network's own. */
const programsIn = (section: Buffer): number[] | undefined => {
  if (section[0] !== 0) return undefined
  const body = bodyOf(section)
  const pids: number[] = []
  for (let at = 0; at + 4 <= body.length; at += 4) {
    if (body.readUInt16BE(at) !== 0) pids.push(body.readUInt16BE(at + 2) & 0x1fff)
  }
  return pids
}

/** Undefined where it is no PMT: other tables may have the same PID. */
const streamsIn = (section: Buffer): Stream[] | undefined => {
  const body = bodyOf(section)
  if (section[0] !== 2 || body.length < 4) return undefined
  const streams: Stream[] = []
  for (let at = 4 + (body.readUInt16BE(2) & 0xfff); at + 5 <= body.length; ) {
    streams.push({ type: body.readUInt8(at), pid: body.readUInt16BE(at + 1) & 0x1fff })
    at += 5 + (body.readUInt16BE(at + 3) & 0xfff)
  }
  return streams
}

/** MPEG-1, 2 and 4, H.264 (also SVC and MVC), JPEG 2000, H.265, H.266, AVS, Dirac and VC-1. */
const VIDEO = new Set([
  1, 2, 0x10, 0x1b, 0x1f, 0x20, 0x21, 0x24, 0x25, 0x33, 0x42, 0xd1, 0xd2, 0xea,
])
/** MPEG, AAC, AC-3, DTS, TrueHD, E-AC-3, and LPCM. */
const SOUND = new Set([3, 4, 0x0f, 0x11, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87])

const leaderOf = (streams: readonly Stream[]): Stream | undefined =>
  streams.find(({ type }) => VIDEO.has(type)) ??
  streams.find(({ type }) => SOUND.has(type)) ??
  streams[0]

export const isVideo = ({ type }: Stream): boolean => VIDEO.has(type)
