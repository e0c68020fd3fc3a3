/**
 * Bytes go on unchanged while they are uploaded, so that a recording on the local disk does not
 * depend on whether the upload succeeds.
 */
import { Transform } from 'node:stream'
import { object, oneOf, refuseUnknown, take } from '../checks.ts'
import { checkUpload, type RealtimeUpload } from '../upload/realtime-upload.ts'
import { whenUploaded } from './uploaded.ts'

export interface TeeOptions {
  /**
   * When the upload fails, `'stop'` fails this stream with the same error, and `'continue'` lets
   * the bytes go on without it: look at `upload.errored` afterwards. Default `'stop'`.
   */
  readonly onUploadError?: 'stop' | 'continue' | undefined
}

/**
 * A `Transform` that passes bytes through unchanged and writes them to `upload` as well. It ends
 * when the upload has finished, or failed with `'continue'`. While the upload's memory is full it
 * holds its source, and both wait, until the network is back or the upload gives up
 * (`retry.giveUpAfter`). Destroyed, as by a failure downstream, it aborts the upload.
 *
 * @example
 * const through = tee(upload, { onUploadError: 'continue' })
 * await pipeline(camera, through, createWriteStream('A001.mp4'))
 * if (upload.errored) console.error('Only the local file is whole:', upload.errored)
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const tee = (upload: RealtimeUpload, options: TeeOptions = {}): Transform => {
  checkUpload(upload)
  object('options', options)
  refuseUnknown('', options, ['onUploadError'])
  const { onUploadError = 'stop' } = options
  take('onUploadError', onUploadError, oneOf('stop', 'continue'))
  const uploaded = whenUploaded(upload)
  const through = new Transform({
    transform(chunk, _encoding, callback) {
      const goOn = () => callback(null, chunk)
      // Whether it failed is for the upload to say, once and for all.
      if (!upload.destroyed) upload.write(chunk, goOn)
      else if (onUploadError === 'continue') goOn()
      // Not a byte more: a source that is always ready would leave it no time to say so.
      else uploaded.then(goOn, callback)
    },
    flush(callback) {
      if (!upload.destroyed) upload.end()
      const done = () => callback()
      uploaded.then(done, onUploadError === 'continue' ? done : callback)
    },
    destroy(error, callback) {
      if (!upload.destroyed) upload.destroy(error ?? undefined)
      callback(error)
    },
  })
  uploaded.catch(error => {
    if (onUploadError === 'stop') through.destroy(error)
  })
  return through
}
