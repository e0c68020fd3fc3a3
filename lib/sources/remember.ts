/**
 * What is remembered of a file once all of it is stored, so that a folder that is followed does not begin
 * it again.
 */
import { stat } from 'node:fs/promises'
import type { FileState } from '../follow/grown-file.ts'
import { lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import type { Opening } from '../spool/journal.ts'
import { LEDGER_FILES, Ledger } from '../spool/ledger.ts'

/** All of a file is stored. */
interface Stored {
  readonly bytes: number
  /** As it was uploaded; undefined where it has changed since, or is not known. */
  readonly state: FileState | undefined
}

/** How a file stands of which so much was uploaded; at no time where that is not all of it. */
export const stateOf = async (path: string, { bytes, state }: Stored): Promise<FileState> => {
  if (state) return state
  const found = await stat(path, { bigint: true }).catch(() => undefined)
  return { size: bytes, changedAt: found?.size === BigInt(bytes) ? found.mtimeNs : 0n }
}

/**
 * Where a spool is that of a folder, who finishes an upload in it says so there.
 *
 * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`
 */
export const remember = async (
  dir: string,
  { assetId, origin }: Opening,
  stored: Stored,
): Promise<void> => {
  const names = await realDisk.list(dir)
  if (!LEDGER_FILES.every(name => names.includes(name))) return
  const ledger = await Ledger.open({ dir, origin, disk: realDisk, lock })
  try {
    const record = [...ledger.records].find(record => record.assetId === assetId)
    if (!record || record.t === 'done') return
    const { path, dev, ino } = record
    const { size, changedAt } = await stateOf(path, stored)
    await ledger.add({ path, dev, ino, size, mtime: String(changedAt), t: 'done', assetId })
  } finally {
    await ledger.close()
  }
}
