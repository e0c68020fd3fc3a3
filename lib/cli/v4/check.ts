/**
 * The options of the library that the command was given, its stdin, and its folder, before anything is made or
 * asked.
 */
import { FrameioV4Client } from '../../frameio/v4/client.ts'
import { faultOf } from '../../sources/check-source.ts'
import { resolveTakeOptions } from '../../v4/take-options.ts'
import { messageOf } from '../failures.ts'
import type { V4Settings } from '../settings.ts'
import { checkSpool } from '../unfinished.ts'
import { UsageError } from '../usage.ts'

/** In place of what is not known yet, and will be checked when it is. */
const UNKNOWN = 'unknown'

/** @param dir the folder of the recording; undefined where it is a sandbox's. @throws {UsageError} */
export const checkV4 = async (settings: V4Settings, dir: string | undefined): Promise<void> => {
  const { v4, name, segment, spool, upload, legacyToken } = settings
  const { maxSize, concurrency, integrity, baseUrl, retry } = upload
  const { accountId = UNKNOWN, folderId = UNKNOWN } = v4 ?? {}
  const fault = settings.producer || settings.follow ? undefined : faultOf(0)
  if (fault !== undefined) {
    throw new UsageError(`stdin must be a file, pipe or socket open for reading; received ${fault}`)
  }
  try {
    const client = new FrameioV4Client({ accountId, token: UNKNOWN, legacyToken, baseUrl, retry })
    const { maxBytes, keepFree, keep } = spool
    const space = { dir: dir ?? UNKNOWN, maxBytes, keepFree, keep }
    resolveTakeOptions({
      ...{ client, folderId, name, segment, maxSize, concurrency, integrity },
      spool: space,
    })
    await client.close()
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
  if (dir !== undefined) await checkSpool(dir)
}
