/**
 * What the journal of a file's upload says: a pure function of its entries.
 */
import type { FileFacts } from '../spool/ledger.ts'
import { damaged } from '../spool/recover.ts'

/** What is uploaded, as it was, and where to. `origin` is compared, and never used as an address. */
export interface Opening extends FileFacts {
  /** Of Frame.io's API. */
  readonly origin: string
  readonly accountId: string
  readonly folderId: string
  /** What it is to be called. */
  readonly name: string
  readonly integrity?: 'md5' | undefined
}

/** A file that Frame.io has made, without its URLs. */
export interface Created {
  /** The creation, counted from 1. */
  readonly k: number
  /** When it was asked for, by the clock on the wall, in ms since the epoch. */
  readonly at: number
  readonly fileId: string
  /** As Frame.io calls it. */
  readonly name: string
  readonly viewUrl?: string | undefined
  readonly mediaType: string
  /** How many slices it has. */
  readonly parts: number
}

export type Entry =
  | ({ readonly t: 'v4'; readonly version: number } & Opening)
  | { readonly t: 'creating'; readonly k: number; readonly at: number }
  | ({ readonly t: 'created' } & Created)
  | { readonly t: 'stored'; readonly k: number; readonly n: number }
  /** The file of creation `k` is deleted, or about to be. */
  | { readonly t: 'dropped'; readonly k: number }
  /** S3 has every part. */
  | { readonly t: 'done' }

export interface State {
  readonly opening: Opening
  /** The last creation that was asked for, unless it was dropped. */
  readonly creating: { readonly k: number; readonly at: number } | undefined
  /** The same, once Frame.io had answered. */
  readonly created: Created | undefined
  /** Numbers of its parts that S3 has. */
  readonly stored: ReadonlySet<number>
  readonly isDone: boolean
  /** The number of the last creation; 0 where there was none. */
  readonly last: number
}

/** Of the format. A journal of another is refused. */
export const VERSION = 1

/** @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`. Undefined where nothing has begun */
export const stateOf = (path: string, entries: readonly Entry[]): State | undefined => {
  let opening: Opening | undefined
  let creating: State['creating']
  let created: Created | undefined
  let stored = new Set<number>()
  let isDone = false
  let last = 0
  for (const entry of entries) {
    if (entry.t === 'v4') {
      const { t, version, ...facts } = entry
      if (version !== VERSION) throw foreign(path)
      opening = facts
      isDone = false
      creating = created = undefined
      stored = new Set()
    } else if (entry.t === 'creating') {
      const { k, at } = entry
      last = k
      creating = { k, at }
      created = undefined
      stored = new Set()
    } else if (entry.t === 'created') {
      const { t, ...file } = entry
      created = file
    } else if (entry.t === 'stored') {
      if (entry.k === last) stored.add(entry.n)
    } else if (entry.t === 'dropped') {
      creating = created = undefined
      stored = new Set()
    } else if (entry.t === 'done') isDone = true
    else throw foreign(path)
  }
  if (!opening) {
    if (entries.length > 0) throw foreign(path)
    return undefined
  }
  return { opening, creating, created, stored, isDone, last }
}

const foreign = (path: string) =>
  damaged(path, 0, 'it was written by a version of this library that knows more, or by another')
