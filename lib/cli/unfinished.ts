/**
 * What a spool holds when a take begins: takes that were cut off, and that somebody should finish.
 */
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { listUploads } from '../spool/list.ts'
import type { Display } from './display.ts'
import { messageOf } from './failures.ts'
import type { Settings } from './settings.ts'
import { resumeLine } from './shell-word.ts'
import { showSize } from './units.ts'
import { UsageError } from './usage.ts'

/** Uploads that are named one by one. */
const NAMED = 3

/** @throws {UsageError} where one of them is of the asset that is to be filled */
export const nameUnfinished = async (settings: Settings, display: Display): Promise<void> => {
  const { asset, upload } = settings
  const { spool } = upload
  if (!spool) return
  const { dir } = spool
  await checkSpool(dir)
  const line = resumeLine(dir, settings)
  const unfinished = (await listUploads(dir)).filter(
    ({ lockedBy, opening, error }) => lockedBy === undefined && (opening ?? error) !== undefined,
  )
  const own = unfinished.find(({ assetId }) => assetId === asset)
  if (own?.error) throw new UsageError(`--spool ${dir} cannot be used: ${messageOf(own.error)}`)
  if (own) {
    const text = `--spool ${dir} holds an unfinished take of asset ${asset}: finish it first, with ${line}`
    throw new UsageError(text)
  }
  if (unfinished.length === 0) return
  const named = unfinished
    .slice(0, NAMED)
    .map(({ assetId, bytes }) => `${assetId} (${showSize(bytes)})`)
  const more = unfinished.length > NAMED ? ` and ${unfinished.length - NAMED} more` : ''
  const text = `${dir} holds takes that were cut off: ${named.join(', ')}${more}. This finishes them: ${line}`
  display.say('unfinished', text, { assets: unfinished.map(({ assetId }) => assetId) })
}

/** Can there be such a folder? Nothing is made yet. @throws {UsageError} */
export const checkSpool = async (dir: string): Promise<void> => {
  for (let at = resolve(dir); ; at = dirname(at)) {
    try {
      if (!(await stat(at)).isDirectory()) throw new Error(`${at} is no folder`)
      return await access(at, constants.W_OK | constants.X_OK)
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      // Of a folder that is to be made, the one above it is looked at.
      if (code === 'ENOENT' && at !== dirname(at)) continue
      throw new UsageError(`--spool must be a folder to write to; ${message}`)
    }
  }
}
