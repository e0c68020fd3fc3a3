/**
 * A part's file between two syncs: what the journal says of it, and how it is let go.
 */
import type { DiskFile } from './disk.ts'
import type { Entry } from './journal.ts'
import type { SpoolPart } from './spool-part.ts'

export interface Look {
  readonly part: SpoolPart
  readonly at: number
  readonly entry: Entry | undefined
}

/** What the next sync makes of a part: how far it is durable then, and what the journal says of it. */
export const lookAt = (part: SpoolPart): Look => {
  const { n, isCut, filled: size, written: at, crc } = part
  const isWhole = isCut && at === size
  if (isWhole) return { part, at, entry: part.isWhole ? undefined : { t: 'part', n, size, crc } }
  if (isCut && part.skips)
    return { part, at, entry: part.isToldOf ? undefined : { t: 'mem', n, size } }
  return { part, at, entry: at > part.synced ? { ...markOf(part), synced: true } : undefined }
}

export const markOf = ({
  n,
  size,
  written: at,
  crc,
}: SpoolPart): Extract<Entry, { t: 'mark' }> => ({
  t: 'mark',
  n,
  at,
  crc,
  whole: at === size || undefined,
})

/** Two at a time. */
export const syncAll = async (files: readonly DiskFile[]): Promise<void> => {
  const left = [...files]
  const hand = async () => {
    for (let file = left.shift(); file; file = left.shift()) await file.sync()
  }
  const ended = await Promise.allSettled([hand(), hand()])
  for (const { status, reason } of ended as PromiseRejectedResult[]) {
    if (status === 'rejected') throw reason
  }
}

export const closeFile = async (part: SpoolPart): Promise<void> => {
  await part.file?.close()
  part.file = undefined
}
