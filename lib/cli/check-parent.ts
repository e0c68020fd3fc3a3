/**
 * Can assets be created where the files of a folder are to go? Asked before it is watched: else the first
 * file would say so, perhaps in the middle of the night.
 */
import { refusal } from '../checks.ts'
import { type ErrorCode, RealtimeUploadError } from '../errors.ts'
import { FrameioClient } from '../frameio/client.ts'
import { FOR_CALLERS } from '../frameio/dialect.ts'
import type { FrameioClientOptions } from '../frameio/options.ts'
import type { Asset } from '../frameio/protocol.ts'
import type { Display } from './display.ts'
import { messageOf } from './failures.ts'

/** What no other try mends. A token may create what it may not read: so a 403 says nothing of that. */
const FINAL: readonly ErrorCode[] = ['ERR_UNAUTHORIZED', 'ERR_INVALID_OPTION']

/**
 * What cannot be known is said, and is no reason not to begin: files wait.
 *
 * @throws {RealtimeUploadError} where it is sure that no file could go up
 */
export const checkParent = async (
  options: FrameioClientOptions,
  parent: string,
  display: Display,
): Promise<void> => {
  const client = new FrameioClient(options)
  try {
    checkFolder(parent, await client.getAsset(parent))
  } catch (error) {
    const { code } = error as RealtimeUploadError
    if (code === 'ERR_ASSET_NOT_FOUND') throw noFolder(error as RealtimeUploadError)
    if (FINAL.includes(code)) throw error
    const text = `${messageOf(error)}; the folder is followed all the same`
    display.say('parent-unknown', text, { code }, 'bad')
  } finally {
    await client.close()
  }
}

/** It was asked for as an asset, and is none that is to be filled. */
const noFolder = ({ code, message, statusCode }: RealtimeUploadError) =>
  new RealtimeUploadError(code, message.replace(FOR_CALLERS.id, FOR_CALLERS.parent), { statusCode })

/** Refuses only what Frame.io says in so many words. @throws {RealtimeUploadError} */
const checkFolder = (parent: string, { type }: Asset): void => {
  if (type !== 'file' && type !== 'version_stack') return
  const what = `${parent}, which is a ${type.replace('_', ' ')}`
  throw refusal('parentId', what, 'the id of a folder or project root')
}
