/**
 * A fragment: what it tells of its tracks, and how it is made to fit into another file.
 */
import { type Box, boxesIn, boxOf, childOf, flagsOf, versionOf } from './boxes.ts'
import type { Head, Track } from './moov.ts'

/** What one `traf` tells. */
export interface Run {
  readonly track: Track
  /** When its first sample is decoded, in ticks of its track. */
  readonly time: bigint
  /** How much later that sample is shown, in ticks. */
  readonly shownAfter: number
  /** In ticks. */
  readonly duration: bigint
  /** May a decoder begin with its first sample? */
  readonly isSync: boolean
}

/** Of a sample's flags: it is no sync sample (ISO/IEC 14496-12, 8.8.3.1). */
const NON_SYNC = 0x0001_0000

/** The runs of a fragment that have samples. @throws {RangeError} where it cannot be read */
export const readFragment = (moof: Buffer, { tracks }: Head): Run[] => {
  const runs: Run[] = []
  for (const traf of boxesIn(moof, boxOf(moof))) {
    if (traf.type !== 'traf') continue
    const tfhd = childOf(moof, traf, 'tfhd')
    const track = tfhd && tracks.get(moof.readUInt32BE(tfhd.body + 4))
    const tfdt = childOf(moof, traf, 'tfdt')
    if (!tfhd || !track) continue
    if (!tfdt) throw new RangeError('a fragment without its time (tfdt)')
    const samples = samplesIn(moof, traf, { ...track, ...ownDefaults(moof, tfhd) })
    if (samples) runs.push({ track, time: timeIn(moof, tfdt), ...samples })
  }
  return runs
}

interface Defaults {
  readonly duration: number
  readonly flags: number
}

/** What a `tfhd` gives in place of a `trex`. */
const ownDefaults = (moof: Buffer, tfhd: Box): Partial<Defaults> => {
  const flags = flagsOf(moof, tfhd)
  let at = tfhd.body + 8
  const take = (bit: number, size: number) => {
    if (!(flags & bit)) return undefined
    at += size
    return at - size
  }
  take(0x1, 8)
  take(0x2, 4)
  const duration = take(0x8, 4)
  take(0x10, 4)
  const sampleFlags = take(0x20, 4)
  return {
    ...(duration !== undefined && { duration: moof.readUInt32BE(duration) }),
    ...(sampleFlags !== undefined && { flags: moof.readUInt32BE(sampleFlags) }),
  }
}

const samplesIn = (moof: Buffer, traf: Box, defaults: Defaults) => {
  let first: { shownAfter: number; isSync: boolean } | undefined
  let duration = 0n
  for (const trun of boxesIn(moof, traf)) {
    if (trun.type !== 'trun') continue
    const flags = flagsOf(moof, trun)
    const count = moof.readUInt32BE(trun.body + 4)
    let at = trun.body + 8 + (flags & 0x1 ? 4 : 0)
    const firstFlags = flags & 0x4 ? moof.readUInt32BE(at) : undefined
    if (flags & 0x4) at += 4
    const has = [0x100, 0x200, 0x400, 0x800].map(bit => (flags & bit ? 4 : 0)) as [0, 0, 0, 0]
    const [ofDuration, ofSize, ofFlags, ofShown] = has
    const stride = ofDuration + ofSize + ofFlags + ofShown
    if (at + count * stride > trun.end) throw new RangeError('a trun that is too short')
    if (count === 0) continue
    const afterSize = at + ofDuration + ofSize
    const sampleFlags =
      firstFlags ?? (ofFlags ? moof.readUInt32BE(afterSize) : undefined) ?? defaults.flags
    first ??= {
      isSync: (sampleFlags & NON_SYNC) === 0,
      shownAfter: ofShown ? shownIn(moof, trun, afterSize + ofFlags) : 0,
    }
    let sum = 0
    if (ofDuration) for (let n = 0; n < count; n++) sum += moof.readUInt32BE(at + n * stride)
    duration += ofDuration ? BigInt(sum) : BigInt(count) * BigInt(defaults.duration)
  }
  return first && { ...first, duration }
}

const shownIn = (moof: Buffer, trun: Box, at: number): number =>
  versionOf(moof, trun) === 0 ? moof.readUInt32BE(at) : moof.readInt32BE(at)

const timeIn = (moof: Buffer, tfdt: Box): bigint =>
  versionOf(moof, tfdt) === 1
    ? moof.readBigUInt64BE(tfdt.body + 4)
    : BigInt(moof.readUInt32BE(tfdt.body + 4))

/**
 * Changes a fragment in place, so that it is right in its piece.
 *
 * @param moved bytes by which it lies further on in its piece than in the source: absolute places of
 *   data go with it
 * @param earlier by how many ticks of a track its times come earlier
 * @throws {RangeError} where it cannot be read
 */
export const moveFragment = (
  moof: Buffer,
  moved: number,
  earlier: (trackId: number) => bigint,
): void => {
  for (const traf of boxesIn(moof, boxOf(moof))) {
    if (traf.type !== 'traf') continue
    const tfhd = childOf(moof, traf, 'tfhd')
    const tfdt = childOf(moof, traf, 'tfdt')
    if (!tfhd) continue
    if (flagsOf(moof, tfhd) & 0x1) {
      const place = moof.readBigUInt64BE(tfhd.body + 8) + BigInt(moved)
      if (place >= 0n) moof.writeBigUInt64BE(place, tfhd.body + 8)
    }
    if (!tfdt) continue
    const by = earlier(moof.readUInt32BE(tfhd.body + 4))
    const is64 = versionOf(moof, tfdt) === 1
    writeTime(moof, tfdt.body + 4, is64, less(timeIn(moof, tfdt), by))
  }
}

/** No time is before 0. */
const less = (time: bigint, by: bigint): bigint => (time > by ? time - by : 0n)

const writeTime = (bytes: Buffer, at: number, is64: boolean, time: bigint): void => {
  if (is64) bytes.writeBigUInt64BE(time, at)
  else bytes.writeUInt32BE(Number(time), at)
}

/**
 * The same for a box that goes before a fragment: `prft` has a time of its track, and `emsg` of version
 * 1 one in a scale of its own. @throws {RangeError}
 */
export const moveEarlier = (
  bytes: Buffer,
  earlier: (trackId: number) => bigint,
  inScale: (timescale: number) => bigint,
): void => {
  const box = boxOf(bytes)
  const isLong = versionOf(bytes, box) === 1
  if (box.type === 'prft') {
    const at = box.body + 16
    const time = isLong ? bytes.readBigUInt64BE(at) : BigInt(bytes.readUInt32BE(at))
    writeTime(bytes, at, isLong, less(time, earlier(bytes.readUInt32BE(box.body + 4))))
  }
  if (box.type === 'emsg' && isLong) {
    const by = inScale(bytes.readUInt32BE(box.body + 4))
    writeTime(bytes, box.body + 8, true, less(bytes.readBigUInt64BE(box.body + 8), by))
  }
}

/** How many stretches an index (`sidx`) names. @throws {RangeError} */
export const referencesIn = (sidx: Buffer): number => {
  const box = boxOf(sidx)
  return sidx.readUInt16BE(box.body + 12 + (versionOf(sidx, box) === 1 ? 16 : 8) + 2)
}
