/**
 * A finished file, uploaded to an account without Camera to Cloud.
 */
import { v4Of } from '../frameio/v4/client.ts'
import type { UploadedFile } from './events.ts'
import { FileUpload } from './file-upload.ts'
import { resolveFileOptions, type UploadFileOptions } from './options.ts'
import { folderFor, Record } from './record.ts'

/**
 * Uploads a finished file through V4, in the slices that Frame.io cuts it into. When it resolves S3 has
 * answered every PUT with its receipt, and the file is as it was; `client.waitUntilUploaded(fileId)` waits
 * until Frame.io says so itself.
 *
 * Where it fails or is aborted, nothing is in flight any more and the unfinished file is deleted. With
 * `spool` it stays instead, and the same call goes on: what is stored is not sent again.
 *
 * @example
 * const { viewUrl } = await uploadFile({ client, folderId, file: 'A001.mp4' })
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`; `ERR_SOURCE_FAILED`, `ERR_EMPTY_STREAM` (0 bytes) and
 *   `ERR_STREAM_TOO_LARGE` (more than 5,000,000,000,000) before anything is sent; `ERR_SOURCE_CHANGED` and
 *   `ERR_SOURCE_TRUNCATED` where somebody writes to it; `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`;
 *   `ERR_URL_EXPIRED` where three days were not enough; those of calls and PUTs. An aborted signal gives an
 *   `AbortError`.
 */
export const uploadFile = async (options: UploadFileOptions): Promise<UploadedFile> => {
  const { client, target, dir, settings } = resolveFileOptions(options)
  const { api, accountId } = v4Of(client)
  const origin = api.options.baseUrl.origin
  const openRecord =
    dir === undefined
      ? undefined
      : () => Record.open(folderFor(dir, { origin, accountId, ...target }))
  return new FileUpload({ client, target, settings, openRecord, takesOther: true }).run()
}
