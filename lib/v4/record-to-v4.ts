/**
 * A live source to an account without Camera to Cloud: recorded on the disk, cut where that is wanted, and uploaded
 * piece by piece.
 */
import { object, refusal } from '../checks.ts'
import type { FileSource } from '../follow/options.ts'
import { checkSource } from '../sources/check-source.ts'
import { isPulled, isStream } from '../sources/shapes.ts'
import { openSource, type Source } from '../sources/source.ts'
import { type SourceEnd, sourceFailed } from '../sources/source-end.ts'
import {
  checkOptions,
  decide,
  type OnFailure,
  pourFrom,
  type UploadFromOptions,
} from '../sources/upload-from.ts'
import type { UploadedFile } from './events.ts'
import { uploadSource, whenOver } from './take-of-file.ts'
import { type ResolvedTakeOptions, resolveTakeOptions, type TakeOptions } from './take-options.ts'
import { TakeStream } from './take-stream.ts'

export interface RecordToV4Options extends TakeOptions, UploadFromOptions {}

export interface RecordToV4Result {
  /** What Frame.io has, in order: one, or with `segment` one a piece. */
  readonly files: readonly UploadedFile[]
  /** Of all files: with `segment` each has a head of its own, so they are more than were recorded. */
  readonly bytes: number
  /** The folder that the pieces stay in, with `spool.keep`. */
  readonly kept: string | undefined
  /** How the source ended: look at `source.ok`. */
  readonly source: SourceEnd
}

/**
 * Records a source to a local disk and uploads it through V4, which must know the size of a file before its first
 * byte. With `segment` a stream of MP4 or MOV in fragments, or of MPEG-TS, is cut into files that play by themselves,
 * and each is uploaded while the next is recorded; what cannot be cut is one file, with the `warning`
 * `NOT_CUTTABLE`. Without `segment` it is one file, uploaded at the end. When it resolves S3 has answered every PUT
 * with its receipt; `client.waitUntilUploaded(fileId)` waits until Frame.io says so itself.
 *
 * The disk alone holds the source. An outage while the recording goes on is no failure, and a refusal is the warning
 * `UPLOAD_FAILED` until it ends; of a token or a right it is tried again with each piece. Where the call fails or is
 * aborted, all that is not stored stays in its folder, and {@link resumeV4} goes on with it. A `{ file }` is not
 * copied: with `follow` it is uploaded once it is over.
 *
 * @example
 * const { files } = await recordToV4(
 *   { command: 'ffmpeg', args },
 *   { client, folderId, name: 'A001.mp4', spool: { dir: '/media/spool' }, segment: '5m' },
 * )
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`; `ERR_SOURCE_FAILED` and `ERR_EMPTY_STREAM` as `uploadFrom`;
 *   `ERR_STREAM_TOO_LARGE` where a piece grows beyond `maxSize`, or the recording beyond a `spool.maxBytes` that no
 *   upload makes room below; `ERR_SPOOL_DAMAGED` where the disk fails, or a piece was edited while it waited; what
 *   `uploadFile` throws, at the end. An aborted signal gives an `AbortError`
 */
export const recordToV4 = async (
  source: Source,
  options: RecordToV4Options,
): Promise<RecordToV4Result> => {
  const { onSourceFailure, onStart, ...given } = object('options', options) as RecordToV4Options
  const settings = { onSourceFailure, onStart }
  const resolved = resolveTakeOptions(given)
  checkSource(source)
  if (isFile(source)) {
    if (given.segment !== undefined) {
      throw refusal('segment', String(given.segment), 'left out where the source is a file')
    }
    return recordFile(source, resolved, checkOptions(settings))
  }
  const take = new TakeStream(resolved)
  const open = () =>
    openSource(source, take, () => {
      throw new Error('a file has gone another way')
    })
  const { signal } = resolved.settings
  const end = await pourFrom(source, take, { options: settings, open, signal }).catch(error => {
    throw take.explain(error)
  })
  const { files, bytes, kept } = take.result ?? { files: [], bytes: 0, kept: undefined }
  return { files, bytes, kept, source: end }
}

const isFile = (source: Source): source is FileSource =>
  !isStream(source) && !isPulled(source) && 'file' in source

const recordFile = async (
  source: FileSource,
  resolved: ResolvedTakeOptions,
  onFailure: OnFailure,
): Promise<RecordToV4Result> => {
  const end = await whenOver(source, resolved)
  if (!end.ok && (await decide(onFailure, end)) === 'abort') throw sourceFailed(end)
  await resolved.onEvent({ type: 'end' })
  const file = await uploadSource(source, resolved)
  return { files: [file], bytes: file.bytes, kept: undefined, source: end }
}
