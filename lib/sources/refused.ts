/**
 * What it means that Frame.io refuses what a resume registers: perhaps it has had all of it since before
 * the cut, or has the last part that is here as one that others follow.
 */
import { AbortError, RealtimeUploadError } from '../errors.ts'
import type { FrameioClient } from '../frameio/client.ts'
import type { Unfinished } from '../spool/unfinished.ts'

/** What is known of an upload that was cut off. */
export type CutOff = Pick<
  Unfinished,
  'folder' | 'opening' | 'hasEnded' | 'hadEnded' | 'isLastUncertain' | 'whole'
>

/**
 * Whether all of it is there, so that the upload is done.
 *
 * @throws {RealtimeUploadError} what the resume failed with, in other words where more is known
 */
export const isThereAlready = async (
  unfinished: CutOff,
  client: FrameioClient,
  error: unknown,
): Promise<boolean> => {
  // That of a file says what it comes of, and has the refusal as its cause.
  const isRefusal = (it: unknown) => (it as { code?: string })?.code === 'ERR_REQUEST_REJECTED'
  if (!(error instanceof RealtimeUploadError)) throw error
  if (!(isRefusal(error) || isRefusal(error.cause)) || !unfinished.hasEnded) throw error
  const { hadEnded, opening, isLastUncertain } = unfinished
  const isDevice = opening.device !== undefined
  let unasked = 'a device may not read assets'
  // Before `final` was durable the final part was never registered.
  if (hadEnded && !isDevice) {
    try {
      const asset = await client.getAsset(opening.assetId)
      if (asset.upload_completed_at != null) return true
      if (!isLastUncertain) throw error
    } catch (failure) {
      if (failure === error || failure instanceof AbortError) throw failure
      unasked = `asking for the asset failed as well (${(failure as Error).message})`
    }
  }
  throw isLastUncertain ? withoutEnd(unfinished, error) : unknown(unfinished, error, unasked)
}

/** Why the last part is no final one: what came behind it was in memory alone. */
const withoutEnd = (
  { opening: { assetId }, whole: { parts, bytes } }: CutOff,
  cause: RealtimeUploadError,
): RealtimeUploadError => {
  const text = `Frame.io refuses part ${parts} of asset ${assetId} as the final one (${cause.message}): it has it as one that others follow, and what followed, from byte ${bytes} on, was in memory alone. What is there stays.`
  const details = { assetId, partNumber: parts + 1, from: bytes, cause }
  return new RealtimeUploadError('ERR_SPOOL_INCOMPLETE', text, details)
}

const unknown = (
  { folder }: CutOff,
  { code, message, assetId, partNumber, statusCode, attempts, cause }: RealtimeUploadError,
  unasked: string,
): RealtimeUploadError => {
  const text = `${message}. All of it may have arrived before the upload was cut off; ${unasked}, so that cannot be known here. The files are kept in ${folder}: look at the asset in Frame.io, and remove the folder if it is complete there.`
  const details = { assetId, partNumber, statusCode, attempts, cause, path: folder }
  return new RealtimeUploadError(code, text, details)
}
