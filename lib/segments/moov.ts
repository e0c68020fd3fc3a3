/**
 * The head of a file in fragments: which tracks there are, and how it looks in front of another piece.
 */
import { type Box, boxesIn, boxOf, boxWith, childOf, versionOf } from './boxes.ts'

export interface Track {
  readonly id: number
  /** Such as `vide` or `soun`. */
  readonly kind: string
  /** Ticks a second. */
  readonly timescale: number
  /** Ticks of media that are before what is shown first, by its edit list. */
  readonly skipped: bigint
  /** Ticks for which its edit list shows nothing before that. The head of another piece does not say so. */
  readonly put: bigint
  /** What samples have where their fragment does not say (`trex`). */
  readonly duration: number
  readonly flags: number
}

export interface Head {
  /** By id; those alone that may have fragments. */
  readonly tracks: ReadonlyMap<number, Track>
  /** The track that decides where it may be cut: the first of video, or else of sound. */
  readonly leader: Track | undefined
  /** Are there samples in the head itself, as ffmpeg writes without `empty_moov`? */
  readonly hasSamples: boolean
}

/** @throws {RangeError} where it cannot be read */
export const readHead = (moov: Buffer): Head => {
  const box = boxOf(moov)
  const defaults = trexesIn(moov, box)
  const mvhd = childOf(moov, box, 'mvhd')
  const timescale = mvhd
    ? moov.readUInt32BE(mvhd.body + (versionOf(moov, mvhd) === 1 ? 20 : 12))
    : 1
  const tracks = new Map<number, Track>()
  let hasSamples = false
  for (const trak of boxesIn(moov, box)) {
    if (trak.type !== 'trak') continue
    const [tkhd, mdhd, hdlr, stts] = [
      childOf(moov, trak, 'tkhd'),
      childOf(moov, trak, 'mdia', 'mdhd'),
      childOf(moov, trak, 'mdia', 'hdlr'),
      childOf(moov, trak, 'mdia', 'minf', 'stbl', 'stts'),
    ]
    if (!tkhd || !mdhd || !hdlr) continue
    const id = moov.readUInt32BE(tkhd.body + (versionOf(moov, tkhd) === 1 ? 20 : 12))
    const scale = moov.readUInt32BE(mdhd.body + (versionOf(moov, mdhd) === 1 ? 20 : 12))
    hasSamples ||= stts !== undefined && moov.readUInt32BE(stts.body + 4) > 0
    const trex = defaults.get(id)
    if (!trex || scale === 0) continue
    const kind = moov.toString('latin1', hdlr.body + 8, hdlr.body + 12)
    const elst = childOf(moov, trak, 'edts', 'elst')
    const edits = elst ? editsIn(moov, elst, scale, timescale) : NO_EDITS
    tracks.set(id, { id, kind, timescale: scale, ...edits, ...trex })
  }
  const all = [...tracks.values()]
  const leader =
    all.find(({ kind }) => kind === 'vide') ?? all.find(({ kind }) => kind === 'soun') ?? all[0]
  return { tracks, leader, hasSamples }
}

const trexesIn = (moov: Buffer, box: Box): Map<number, { duration: number; flags: number }> => {
  const mvex = childOf(moov, box, 'mvex')
  const found = new Map<number, { duration: number; flags: number }>()
  for (const { type, body } of mvex ? boxesIn(moov, mvex) : []) {
    if (type !== 'trex') continue
    const [duration, flags] = [moov.readUInt32BE(body + 12), moov.readUInt32BE(body + 20)]
    found.set(moov.readUInt32BE(body + 4), { duration, flags })
  }
  return found
}

const NO_EDITS = { skipped: 0n, put: 0n }

/** What an edit list leaves out before the first that is shown, and for how long it shows nothing before. */
const editsIn = (moov: Buffer, elst: Box, scale: number, timescale: number) => {
  const edits = editsOf(moov, elst)
  const shown = edits.find(({ from }) => from >= 0n)
  const empty = shown ? edits.slice(0, edits.indexOf(shown)) : []
  const ticks = empty.reduce((sum, { duration }) => sum + duration, 0n)
  const put = (ticks * BigInt(scale)) / BigInt(timescale || 1)
  return { skipped: shown?.from ?? 0n, put }
}

/** An edit is empty where it is `from` before 0 (ISO/IEC 14496-12, 8.6.6). */
const editsOf = (bytes: Buffer, elst: Box) => {
  const isLong = versionOf(bytes, elst) === 1
  const size = isLong ? 20 : 12
  const count = Math.min(bytes.readUInt32BE(elst.body + 4), (elst.end - elst.body - 8) / size)
  return Array.from({ length: count }, (_, n) => {
    const at = elst.body + 8 + n * size
    const duration = isLong ? bytes.readBigUInt64BE(at) : BigInt(bytes.readUInt32BE(at))
    const from = isLong ? bytes.readBigInt64BE(at + 8) : BigInt(bytes.readInt32BE(at + 4))
    return { at, to: at + size, duration, from }
  })
}

/** Tables of a `stbl` that name samples, and what each is when it names none. */
const EMPTY: Readonly<Record<string, number>> = {
  stts: 8,
  stsc: 8,
  stsz: 12,
  stz2: 12,
  stco: 8,
  co64: 8,
}
/** What a `stbl` has that concerns no sample. */
const KEPT = new Set(['stsd', 'sgpd'])
const PARENTS = new Set(['trak', 'mdia', 'minf', 'edts', 'mvex'])

/**
 * The head of another piece: without the samples that the first one holds itself, and without the
 * length of the whole. @throws {RangeError}
 */
export const repeatableHead = (moov: Buffer): Buffer => rebuilt(moov, boxOf(moov))

const rebuilt = (moov: Buffer, parent: Box): Buffer =>
  boxWith(
    moov.subarray(parent.at, parent.at + 8),
    [...boxesIn(moov, parent)].flatMap(box => {
      const bytes = Buffer.from(moov.subarray(box.at, box.end))
      if (PARENTS.has(box.type)) return [rebuilt(moov, box)]
      if (box.type === 'stbl') return [withoutSamples(moov, box)]
      if (box.type === 'mehd') return []
      return [withoutLength(bytes)]
    }),
  )

const withoutSamples = (moov: Buffer, stbl: Box): Buffer =>
  boxWith(
    moov.subarray(stbl.at, stbl.at + 8),
    [...boxesIn(moov, stbl)].flatMap(box => {
      const bytes = moov.subarray(box.at, box.end)
      const size = EMPTY[box.type]
      if (size !== undefined) return [boxWith(bytes, [Buffer.alloc(size)])]
      return KEPT.has(box.type) ? [bytes] : []
    }),
  )

/** Where a box tells how long all is, v0 and v1; then how many bytes of it there are. */
const LENGTHS: Readonly<Record<string, readonly [number, number]>> = {
  mvhd: [16, 24],
  tkhd: [20, 28],
  mdhd: [16, 24],
}

/** 0: not known, as in a stream. */
const withoutLength = (bytes: Buffer): Buffer => {
  const box = boxOf(bytes)
  if (box.type === 'elst') return openEnded(bytes, box)
  const at = LENGTHS[box.type]
  if (!at) return bytes
  const isLong = versionOf(bytes, box) === 1
  const from = box.body + at[isLong ? 1 : 0]
  return bytes.fill(0, from, from + (isLong ? 8 : 4))
}

/**
 * The last edit goes to the end, however far that is. What shows nothing before the first is left out: it
 * goes into the times of fragments, for a piece is to begin at once.
 */
const openEnded = (bytes: Buffer, elst: Box): Buffer => {
  const edits = editsOf(bytes, elst)
  const kept = edits.slice(
    Math.max(
      0,
      edits.findIndex(({ from }) => from >= 0n),
    ),
  )
  const last = kept.at(-1)
  if (last && last.from >= 0n)
    bytes.fill(0, last.at, last.at + (versionOf(bytes, elst) === 1 ? 8 : 4))
  const count = Buffer.alloc(4)
  count.writeUInt32BE(kept.length)
  const version = bytes.subarray(elst.body, elst.body + 4)
  return boxWith(bytes, [version, count, ...kept.map(({ at, to }) => bytes.subarray(at, to))])
}
