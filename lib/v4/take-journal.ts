/**
 * What the journal of a take says: a recording in pieces, each of which becomes a file. A pure function of its
 * entries.
 */
import { damaged } from '../spool/recover.ts'
import type { UploadedFile } from './events.ts'

/** What is recorded, and where it goes. `origin` is compared, and never used as an address. */
export interface TakeOpening {
  /** Of Frame.io's API. */
  readonly origin: string
  readonly accountId: string
  readonly folderId: string
  /** Of the recording; its pieces are numbered. */
  readonly name: string
  /** Media time of a piece, in ms; undefined where there is one. */
  readonly segment?: number | undefined
  readonly integrity?: 'md5' | undefined
  /** Pieces stay once they are uploaded. */
  readonly keep?: true | undefined
}

export type TakeEntry =
  | ({ readonly t: 'take'; readonly version: number } & TakeOpening)
  /** Piece `n` is recorded in a file of this name, with `.partial` behind it. */
  | { readonly t: 'begin'; readonly n: number; readonly name: string; readonly file: string }
  /** The first `at` bytes of piece `n` have this CRC-32. */
  | { readonly t: 'mark'; readonly n: number; readonly at: number; readonly crc: number }
  /** Piece `n` is complete, with this CRC-32, and durable under its own name. */
  | { readonly t: 'whole'; readonly n: number; readonly size: number; readonly crc: number }
  /** Frame.io has piece `n`. */
  | ({ readonly t: 'stored'; readonly n: number } & UploadedFile)
  /** No more comes. */
  | { readonly t: 'end'; readonly pieces: number }

/** The first bytes of a piece: how many, and their CRC-32. */
export interface Mark {
  readonly at: number
  readonly crc: number
}

/** A piece, as far as the journal knows it. */
export interface PieceState {
  readonly n: number
  /** What it is to be called at Frame.io, and on the disk. */
  readonly name: string
  readonly file: string
  /** All bytes of one that is complete. */
  readonly whole: Mark | undefined
  /** Of one that is not, in order. */
  readonly marks: readonly Mark[]
  /** What Frame.io has. */
  readonly stored: UploadedFile | undefined
}

export interface TakeState {
  readonly opening: TakeOpening
  /** In order. */
  readonly pieces: readonly PieceState[]
  readonly hasEnded: boolean
}

const VERSION = 1

export const takeEntry = (opening: TakeOpening): TakeEntry => ({
  t: 'take',
  version: VERSION,
  ...opening,
})

/** How such a journal begins. */
export const isTakeHead = (head: Buffer): boolean =>
  /^[0-9a-f]{8} \{"d":0,"t":"take"/.test(head.toString('latin1'))

type Written<T> = { -readonly [K in keyof T]: T[K] }

/** @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`. Undefined where nothing has begun */
export const takeStateOf = (path: string, entries: Iterable<TakeEntry>): TakeState | undefined => {
  let opening: TakeOpening | undefined
  const pieces = new Map<number, Written<PieceState>>()
  let hasEnded = false
  for (const entry of entries) {
    if (entry.t === 'take') {
      const { t, version, ...facts } = entry
      if (version !== VERSION) throw foreign(path)
      opening = facts
    } else if (entry.t === 'begin') {
      const { n, name, file } = entry
      pieces.set(n, { n, name, file, whole: undefined, marks: [], stored: undefined })
    } else if (entry.t === 'end') hasEnded = true
    else {
      const piece = pieces.get(entry.n)
      if (!piece) throw foreign(path)
      if (entry.t === 'mark') (piece.marks as Mark[]).push({ at: entry.at, crc: entry.crc })
      else if (entry.t === 'whole') {
        piece.whole = { at: entry.size, crc: entry.crc }
        piece.marks = []
      } else if (entry.t === 'stored') {
        const { t, n, ...file } = entry
        piece.stored = file
      } else throw foreign(path)
    }
  }
  if (!opening) {
    if (pieces.size > 0 || hasEnded) throw foreign(path)
    return undefined
  }
  return { opening, pieces: [...pieces.values()].sort((a, b) => a.n - b.n), hasEnded }
}

const foreign = (path: string) =>
  damaged(path, 0, 'it was written by a version of this library that knows more, or by another')
