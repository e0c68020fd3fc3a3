/**
 * What `--follow` was given with a folder: which options make sense there.
 */
import { accessSync, constants, statSync } from 'node:fs'
import type { Values } from './flags.ts'
import { UsageError } from './usage.ts'

/** Where files go, how Frame.io is reached, and how much is said. */
const WITH_FOLDER = new Set<string>([
  ...['follow', 'match', 'once', 'idle', 'verify', 'spool', 'parent', 'device', 'sandbox'],
  ...['part-size', 'max-size', 'concurrency', 'integrity', 'give-up-after', 'base-url'],
  ...['token-file', 'credentials', 'json', 'quiet', 'verbose', 'no-check'],
])

/** Why others make none. */
const EACH = 'each file in it becomes an asset of its own, called as it is'
const WHY: Record<string, string> = { asset: EACH, name: EACH, extension: EACH, filetype: EACH }

/** With a slash at its end it is meant as one, be it there or not. */
export const isFolder = (follow: string | undefined): follow is string => {
  if (follow === undefined) return false
  if (/[/\\]$/.test(follow)) return true
  try {
    return statSync(follow).isDirectory()
  } catch {
    return false // Whoever takes it for a file says what is wrong with it.
  }
}

/** @throws {UsageError} */
export const checkFolder = (
  values: Values,
  dir: string,
  producer: readonly string[] | undefined,
): void => {
  if (producer) {
    const rule = 'what other programs write, so no program stands behind --'
    throw new UsageError(`--follow uploads ${rule}; received ${producer[0]}`)
  }
  const stranger = Object.keys(values).find(name => !WITH_FOLDER.has(name))
  if (stranger !== undefined) {
    const why = WHY[stranger] === undefined ? '' : `: ${WHY[stranger]}`
    throw new UsageError(`--${stranger} has no meaning with --follow and a folder${why}`)
  }
  const { parent, device, sandbox, spool, credentials } = values
  const { 'base-url': baseUrl, 'token-file': tokenFile } = values
  if (spool === undefined) {
    const why = 'where it is remembered which files were uploaded'
    throw new UsageError(`--follow with a folder needs --spool DIR, ${why}`)
  }
  const account = { parent, device, 'base-url': baseUrl, 'token-file': tokenFile, credentials }
  const [other] = Object.entries(account).find(([, value]) => value !== undefined) ?? []
  if (sandbox !== undefined && other) {
    throw new UsageError(`--${other} has no meaning with --sandbox`)
  }
  const isGiven = sandbox !== undefined || parent !== undefined || device !== undefined
  if (!isGiven) {
    throw new UsageError('--follow with a folder needs --parent ID, --device VERSION or --sandbox')
  }
  if (device !== undefined && parent !== undefined) {
    throw new UsageError('--parent has no meaning with --device: Frame.io knows where it belongs')
  }
  try {
    if (!statSync(dir).isDirectory()) throw new Error(`${dir} is none`)
    accessSync(dir, constants.R_OK | constants.X_OK)
  } catch (error) {
    throw new UsageError(`--follow must be a folder that can be read; ${(error as Error).message}`)
  }
}
