/**
 * What recordings for V4 wait in a spool, without touching them: no lock is taken.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { holderOf } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { namesIn } from '../spool/names-in.ts'
import { isTakeFolder, partialOf } from './take-folder.ts'
import { lookAtTake } from './take-recover.ts'

/** A recording that waits in a spool. */
export interface WaitingTake {
  readonly folder: string
  /** What it is called; undefined where nothing has begun, or the journal cannot be read. */
  readonly name: string | undefined
  /** Pieces, and those of them that Frame.io has. */
  readonly pieces: number
  readonly piecesStored: number
  /** Bytes of pieces that lie there, and those that Frame.io has. */
  readonly bytes: number
  readonly bytesStored: number
  /** When the journal was last written to, in ms since the epoch. */
  readonly changedAt: number
  /** The process that works on it. */
  readonly lockedBy: number | undefined
  /** Why it cannot be resumed as it lies there. */
  readonly error: Error | undefined
}

/** Every recording for V4 that a spool holds. No lock is taken. */
export const waitingTakes = async (dir: string): Promise<WaitingTake[]> => {
  const takes: WaitingTake[] = []
  for (const name of (await namesIn(dir)).sort()) {
    const folder = join(dir, name)
    if (!(await isTakeFolder(realDisk, folder))) continue
    const take = await see(folder)
    if (take) takes.push(take)
  }
  return takes
}

/** Undefined where it was finished in this very moment. */
const see = async (folder: string): Promise<WaitingTake | undefined> => {
  let error: Error | undefined
  const state = await lookAtTake(folder).catch(reason => {
    error = reason
    return undefined
  })
  const pieces = state?.pieces ?? []
  let bytes = 0
  for (const { file, stored } of pieces) {
    if (stored) continue
    const path = `${folder}/${file}`
    bytes += (await realDisk.size(path)) ?? (await realDisk.size(partialOf(path))) ?? 0
  }
  const stored = pieces.flatMap(piece => piece.stored ?? [])
  const last = await stat(join(folder, 'journal')).catch(() => stat(folder).catch(unlessMissing))
  if (!last) return undefined
  return {
    folder,
    name: state?.opening.name,
    pieces: pieces.length,
    piecesStored: stored.length,
    bytes,
    bytesStored: stored.reduce((sum, file) => sum + file.bytes, 0),
    changedAt: last.mtimeMs,
    lockedBy: await holderOf(join(folder, 'lock')),
    error,
  }
}

const unlessMissing = (error: NodeJS.ErrnoException): undefined => {
  if (error.code !== 'ENOENT') throw error
}
