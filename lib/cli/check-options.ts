/**
 * The options of the library that the command was given, all of them, and its stdin, before anything is
 * made or asked: what the library finds later would leave an asset or a folder behind.
 */
import { creationOf } from '../frameio/arguments.ts'
import { resolveClientOptions } from '../frameio/options.ts'
import { faultOf } from '../sources/check-source.ts'
import { resolveUploadOptions } from '../upload/options.ts'
import { messageOf } from './failures.ts'
import type { Settings } from './settings.ts'
import { UsageError } from './usage.ts'

/** In place of what is not known yet, and will be checked when it is. */
const UNKNOWN = 'unknown'

/** @throws {UsageError} */
export const checkOptions = (settings: Settings): void => {
  const { asset, parent, name, extension, filetype, sandbox, upload } = settings
  const { partSize, maxSize, expectedSize, concurrency, integrity, lateHead, ...connection } =
    upload
  const { baseUrl, device, memoryLimit, retry, spool } = connection
  const fault = settings.producer || settings.follow ? undefined : faultOf(0)
  if (fault !== undefined) {
    throw new UsageError(`stdin must be a file, pipe or socket open for reading; received ${fault}`)
  }
  try {
    resolveUploadOptions({
      assetId: asset ?? UNKNOWN,
      assetName: name,
      filetype,
      partSize,
      maxSize,
      expectedSize,
      concurrency,
      integrity,
      lateHead,
    })
    resolveClientOptions({ token: UNKNOWN, baseUrl, device, memoryLimit, retry, spool })
    if (asset !== undefined) return
    const parentId = device ? undefined : sandbox === undefined ? parent : UNKNOWN
    const called = extension === undefined ? { name } : { extension }
    creationOf({ parentId, filetype, ...called }, device !== undefined)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
