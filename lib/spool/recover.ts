/**
 * What the folder of an upload that was cut off comes to: a pure function of its journal and of what
 * lies beside it. `resume` carries it out.
 */
import { basename } from 'node:path'
import { RealtimeUploadError } from '../errors.ts'
import { aboutFragments, partFile } from './folder.ts'
import type { Entry, Opening, Reading, SourceFile } from './journal.ts'

/** A part that lies whole in its file. */
export interface WholePart {
  readonly n: number
  readonly size: number
  readonly crc: number
}

/** A part of which no more is known than that so many of its first bytes have this CRC. */
export interface MarkedPart {
  readonly n: number
  readonly marks: readonly Mark[]
}

export type Mark = Extract<Entry, { t: 'mark' }>
export type Final = Extract<Entry, { t: 'final' }>

/** A file whose ranges are the parts, and what S3 has of it. */
export interface FollowedFile {
  readonly source: SourceFile
  readonly stored: ReadonlyMap<number, StoredRange>
}

/** A part that S3 has. */
export interface StoredRange {
  readonly size: number
  readonly crc: number
  /** Was it sent as the final one? The file may have been cut behind one that was not. */
  readonly isFinal: boolean
}

export interface Recovery {
  readonly opening: Opening
  /** The parts are ranges of a file, and none lies here. */
  readonly followed: FollowedFile | undefined
  /** All is stored: the folder is only to be removed. */
  readonly isDone: boolean
  /** Parts that S3 has, and their bytes. */
  readonly stored: { readonly parts: number; readonly bytes: number }
  /** Parts to be sent, in order. */
  readonly send: readonly WholePart[]
  /** Parts and bytes up to the last that is known whole. */
  readonly cut: { readonly parts: number; readonly bytes: number }
  /** Those behind, in order, without a gap: their files tell how far they hold. */
  readonly marked: readonly MarkedPart[]
  readonly final: Final | undefined
}

/** What lies in the folder: its journal, and the sizes of its part files by number. */
export interface Found {
  readonly folder: string
  readonly reading: Reading
  readonly files: ReadonlyMap<number, number>
  /** Are they but the parts that memory could not hold? */
  readonly isOverflow: boolean
  /** Does a take lie in it that was to stay? Without its journal nobody knows where its parts are. */
  readonly hasTake: boolean
}

/**
 * @returns undefined where no byte ever came
 * @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`, `ERR_SPOOL_INCOMPLETE`
 */
export const recover = ({
  folder,
  reading,
  files,
  isOverflow,
  hasTake,
}: Found): Recovery | undefined => {
  const { entries, damagedAt, isForeign } = reading
  const journal = `${folder}/journal`
  if (damagedAt !== undefined)
    throw damaged(journal, damagedAt, 'a line that was durable is not whole')
  if (isForeign)
    throw damaged(journal, 0, 'it was written by a version of this library that knows more')
  if (isOverflow && files.size > 0) {
    const assetId = basename(folder)
    const details = { assetId, path: folder }
    throw new RealtimeUploadError('ERR_SPOOL_INCOMPLETE', aboutFragments(folder, assetId), details)
  }
  const [open] = entries
  if (open?.t !== 'open') {
    if (entries.length === 0 && files.size === 0 && !hasTake) return undefined
    throw damaged(journal, 0, 'it does not begin with the opening of an upload')
  }
  const { t: _, version, ...opening } = open
  const source = entries.find(entry => entry.t === 'source')
  if (source) return recoverFollowed(opening, source, entries)
  const known = read(entries)
  const { final } = known
  const send: WholePart[] = []
  const stored = { parts: 0, bytes: 0 }
  const cut = { parts: 0, bytes: 0 }
  const last = final?.parts ?? known.last
  const isDone = entries.some(({ t }) => t === 'done')
  for (let n = 1; n <= last && !isDone; n++) {
    const whole = known.parts.get(n)
    const storedSize = known.stored.get(n)
    const size = storedSize ?? whole?.size
    if (size === undefined) throw incomplete(opening.assetId, n, cut.bytes, known.memory.get(n))
    if (storedSize !== undefined) {
      stored.parts++
      stored.bytes += size
    } else {
      const there = files.get(n)
      if (there === undefined) throw incomplete(opening.assetId, n, cut.bytes, size)
      if (there !== size) {
        const reason = `it must have ${size} bytes, and has ${there}`
        throw damaged(partFile(folder, n), Math.min(size, there), reason)
      }
      send.push(whole as WholePart)
    }
    cut.parts++
    cut.bytes += size
  }
  const marked: MarkedPart[] = []
  for (let n = last + 1; !final && known.marks.has(n); n++) {
    // The mark of a sync stands behind those of what was written meanwhile.
    const marks = [...(known.marks.get(n) ?? [])].sort((one, other) => one.at - other.at)
    marked.push({ n, marks })
  }
  // What is not even begun here was in memory alone, and what stands behind it does not follow.
  const gap = last + marked.length + 1
  if (!final && [...known.marks.keys()].some(n => n > gap)) {
    const bytes = marked.reduce((sum, { marks }) => sum + (marks.at(-1)?.at ?? 0), cut.bytes)
    throw incomplete(opening.assetId, gap, bytes, undefined)
  }
  return { opening, followed: undefined, isDone, stored, send, cut, marked, final }
}

/** Nothing of it lies here: what S3 has, and what the file has become, decides. */
const recoverFollowed = (
  opening: Opening,
  { path, dev, ino, isFinished }: SourceFile,
  entries: readonly Entry[],
): Recovery => {
  const stored = new Map<number, StoredRange>()
  let final: Final | undefined
  for (const entry of entries) {
    if (entry.t === 'final') final = entry
    if (entry.t !== 'stored') continue
    const { n, size, crc } = entry
    // `final` is durable before the final part is sent.
    stored.set(n, { size, crc: crc as number, isFinal: n === final?.parts })
  }
  const bytes = [...stored.values()].reduce((sum, { size }) => sum + size, 0)
  const sum = { parts: stored.size, bytes }
  return {
    opening,
    followed: { source: { path, dev, ino, isFinished }, stored },
    isDone: entries.some(({ t }) => t === 'done'),
    stored: sum,
    send: [],
    cut: sum,
    marked: [],
    final,
  }
}

const read = (entries: readonly Entry[]) => {
  const parts = new Map<number, WholePart>()
  const stored = new Map<number, number>()
  const memory = new Map<number, number>()
  const marks = new Map<number, Mark[]>()
  let final: Final | undefined
  let last = 0
  for (const entry of entries) {
    if (entry.t === 'part') parts.set(entry.n, entry)
    else if (entry.t === 'stored') stored.set(entry.n, entry.size)
    else if (entry.t === 'mem') memory.set(entry.n, entry.size)
    else if (entry.t === 'mark')
      marks
        .set(entry.n, marks.get(entry.n) ?? [])
        .get(entry.n)
        ?.push(entry)
    else if (entry.t === 'final') final = entry
    if (entry.t === 'part' || entry.t === 'stored' || entry.t === 'mem')
      last = Math.max(last, entry.n)
  }
  return { parts, stored, memory, marks, final, last }
}

export const damaged = (path: string, offset: number, reason: string): RealtimeUploadError =>
  new RealtimeUploadError(
    'ERR_SPOOL_DAMAGED',
    `${path} is damaged at byte ${offset}: ${reason}. Nothing was deleted.`,
    { path, offset },
  )

export const incomplete = (
  assetId: string,
  partNumber: number,
  from: number,
  size: number | undefined,
): RealtimeUploadError => {
  const to = size === undefined ? undefined : from + size
  const gap = to === undefined ? `from byte ${from} on` : `bytes ${from} to ${to}`
  return new RealtimeUploadError(
    'ERR_SPOOL_INCOMPLETE',
    `The spool of asset ${assetId} lacks part ${partNumber} (${gap}), which was in memory alone or has been removed. What is there stays.`,
    { assetId, partNumber, from, to },
  )
}
