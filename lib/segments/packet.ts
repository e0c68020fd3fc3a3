/**
 * One packet of MPEG-TS (ISO/IEC 13818-1, 2.4.3), and the beginning of a PES packet in it.
 */

export const SYNC = 0x47

/** What a packet tells, as numbers alone: there are 5.7 million of them in a GiB. */
export interface Packet {
  readonly pid: number
  /** Does a PES packet, or a section, begin in it? */
  readonly isStart: boolean
  /** May a decoder begin here? */
  readonly isRandomAccess: boolean
  /** Where what it carries begins and ends; nowhere else where it has none, or one that makes no sense. */
  readonly from: number
  readonly to: number
}

/** @param at where its sync byte is */
export const readPacket = (bytes: Buffer, at: number): Packet => {
  const second = bytes[at + 1] ?? 0
  const fourth = bytes[at + 3] ?? 0
  const length = bytes[at + 4] ?? 0
  const hasField = (fourth & 0x20) !== 0
  const to = at + 188
  return {
    pid: ((second & 0x1f) << 8) | (bytes[at + 2] ?? 0),
    isStart: (second & 0x40) !== 0,
    isRandomAccess: hasField && length > 0 && ((bytes[at + 5] ?? 0) & 0x40) !== 0,
    from: fourth & 0x10 ? Math.min(at + (hasField ? 5 + length : 4), to) : to,
    to,
  }
}

/** What the beginning of a PES packet tells. */
export interface PesStart {
  /** Bytes of it that are in other packets; Infinity where it does not say. */
  readonly left: number
  /** When it is decoded, or else shown, in ticks of 90 kHz that begin anew at 2^33. */
  readonly time: number | undefined
}

/** Undefined where no PES packet begins. */
export const readPesStart = (payload: Buffer): PesStart | undefined => {
  if (payload.length < 6 || payload.readUIntBE(0, 3) !== 1) return undefined
  const length = payload.readUInt16BE(4)
  const left = length === 0 ? Number.POSITIVE_INFINITY : 6 + length - payload.length
  return { left, time: timeIn(payload) }
}

const timeIn = (pes: Buffer): number | undefined => {
  if (pes.length < 14 || (pes.readUInt8(6) & 0xc0) !== 0x80) return undefined
  const has = pes.readUInt8(7) >> 6
  if (has === 3 && pes.length >= 19) return stampAt(pes, 14)
  return has >= 2 ? stampAt(pes, 9) : undefined
}

/** 33 bits, in three stretches with a marker behind each. */
const stampAt = (pes: Buffer, at: number): number =>
  ((pes.readUInt8(at) >> 1) & 7) * 2 ** 30 +
  (pes.readUInt16BE(at + 1) >> 1) * 2 ** 15 +
  (pes.readUInt16BE(at + 3) >> 1)

/** From one time to another, in ms: the shorter way round, where the count began anew between. */
export const millisecondsBetween = (from: number, to: number): number => {
  const all = 2 ** 33
  const ticks = (((to - from + all / 2) % all) + all) % all
  return (ticks - all / 2) / 90
}

/**
 * What a picture begins with, within its first packet: parameters, without which no decoder begins, and
 * whether it is one that stands for itself. They are looked for where encoders never set the random access
 * indicator; and some set it at pictures without parameters.
 */
export const beginningOf = (
  payload: Buffer,
  streamType: number,
): { readonly isKey: boolean; readonly hasParameters: boolean } => {
  const kinds = KINDS[streamType]
  let [isKey, hasParameters] = [false, false]
  for (let at = payload.indexOf(START, 6); kinds && at >= 0; at = payload.indexOf(START, at + 3)) {
    const unit = payload[at + 3]
    if (unit === undefined) break
    hasParameters ||= kinds.isParameters(unit)
    isKey ||= hasParameters || kinds.isKey(unit)
  }
  return { isKey, hasParameters }
}

const START = Buffer.from([0, 0, 1])

interface Kinds {
  readonly isParameters: (unit: number) => boolean
  readonly isKey: (unit: number) => boolean
}

const MPEG2: Kinds = { isParameters: unit => unit === 0xb3, isKey: () => false }
/** By stream type: MPEG-1 and MPEG-2 (a sequence), H.264 (SPS; IDR), H.265 (VPS, SPS; IRAP). */
const KINDS: Readonly<Record<number, Kinds>> = {
  1: MPEG2,
  2: MPEG2,
  27: { isParameters: unit => (unit & 0x1f) === 7, isKey: unit => (unit & 0x1f) === 5 },
  36: {
    isParameters: unit => [32, 33].includes((unit >> 1) & 0x3f),
    isKey: unit => [16, 17, 18, 19, 20, 21].includes((unit >> 1) & 0x3f),
  },
}
