/**
 * Bytes go on unchanged while they are uploaded, so that a recording on the local disk does not
 * depend on whether the upload succeeds, nor the upload on whether the disk has room.
 *
 *   pipeline(camera, tee(upload), file)             a file that fails ends all three: pipeline()
 *                                                   destroys the camera before it comes to the tee
 *   pipeline(camera, tee(upload, { copy: file }))   the file is no part of the pipeline, and so the
 *                                                   upload can go on without it
 */
import { Transform, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { invalid, object, oneOf, refuseUnknown, rule, take, takeIfGiven } from '../checks.ts'
import { refuseDecoded } from '../upload/decoded.ts'
import { checkUpload, type RealtimeUpload } from '../upload/realtime-upload.ts'
import { whenUploaded } from './uploaded.ts'

type OnError = 'stop' | 'continue'

export interface TeeOptions {
  /**
   * When the upload fails, `'stop'` fails this stream with the same error, and `'continue'` lets
   * the bytes go on without it: look at `upload.errored` afterwards. Default `'stop'`.
   */
  readonly onUploadError?: OnError | undefined
  /**
   * Where the bytes go on to, such as a file; it is ended and destroyed with this stream, which is
   * then the last of its pipeline: nothing comes out of it. Default: they come out.
   */
  readonly copy?: Writable | undefined
  /**
   * When what comes after fails, as a file does on a full disk, `'stop'` aborts the upload with the
   * same error, and `'continue'` uploads the rest without it: look at `copy.errored` afterwards. That
   * needs `copy`, for `pipeline()` destroys the source together with what comes after. Default
   * `'stop'`.
   */
  readonly onCopyError?: OnError | undefined
}

/**
 * A `Transform` that passes bytes through unchanged and writes them to `upload` as well. It ends
 * when the upload has finished, or failed with `'continue'`, and a `copy` likewise; it fails where
 * both have failed. While the upload's memory is full it holds its source, and both wait, until the
 * network is back or the upload gives up (`retry.giveUpAfter`). Destroyed, as by a failure
 * downstream, it aborts the upload.
 *
 * @example
 * const through = tee(upload, { onUploadError: 'continue' })
 * await pipeline(camera, through, createWriteStream('A001.mp4'))
 * if (upload.errored) console.error('Only the local file is whole:', upload.errored)
 *
 * @example
 * const copy = createWriteStream('A001.mp4')
 * await pipeline(camera, tee(upload, { copy, onCopyError: 'continue' }))
 * if (copy.errored) console.error('Only the upload is whole:', copy.errored)
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const tee = (upload: RealtimeUpload, options: TeeOptions = {}): Transform => {
  checkUpload(upload)
  const { onUploadError, copy, onCopyError } = checkOptions(options)
  /** Ways on that have not failed: the upload, and the copy or what comes after. */
  let left = 2
  const wayTo = (stream: Writable, whenOver: Promise<void>, onError: OnError): Way => {
    const over = whenOver.catch(error => {
      left--
      if (onError === 'continue' && left > 0) return
      through.destroy(error)
      throw error
    })
    over.catch(() => {}) // Whoever asks for it is told.
    return { over, onError, stream, drained: drainsOf(stream, over) }
  }
  const ways = [wayTo(upload, whenUploaded(upload), onUploadError)]
  if (copy) ways.push(wayTo(copy, finished(copy, { readable: false }), onCopyError))
  const mayPass = () => !copy || ways.some(({ stream }) => !stream.destroyed)
  const through = new Transform({
    transform(chunk, _encoding, callback) {
      const written = ways.map(way => write(way, chunk, mayPass))
      Promise.all(written).then(() => (copy ? callback() : callback(null, chunk)), callback)
    },
    flush(callback) {
      for (const { stream } of ways) if (!stream.destroyed) stream.end()
      Promise.all(ways.map(({ over }) => over)).then(() => callback(), callback)
    },
    destroy(error, callback) {
      for (const { stream } of ways) {
        // One that has finished may still be read at its other side.
        if (!stream.destroyed && !stream.writableFinished) stream.destroy?.(error ?? undefined)
      }
      callback(error)
    },
  })
  refuseDecoded(through)
  return copy ? through.resume() : through
}

/** One of the streams that the bytes are written to. */
interface Way {
  readonly stream: Writable
  /** Rejects with its error where that is the end of the tee, and resolves where it goes on. */
  readonly over: Promise<void>
  readonly onError: OnError
  /** Resolves when it takes more, or is over. */
  readonly drained: () => Promise<void>
}

/** One listener, however often it is asked for in twelve hours. */
const drainsOf = (stream: Writable, over: Promise<void>) => {
  let wake = () => {}
  stream.on('drain', () => wake())
  let isOver = false
  const end = () => {
    isOver = true
    wake()
  }
  over.then(end, end)
  return () =>
    new Promise<void>(resolve => {
      if (isOver) resolve()
      else wake = resolve
    })
}

/** Whether a write failed is for the stream to say, once and for all. */
const write = (way: Way, chunk: Buffer, mayPass: () => boolean): Promise<void> | undefined => {
  const { stream, over, onError, drained } = way
  // Not a byte more: a source that is always ready would leave it no time to say so.
  if (stream.destroyed) return onError === 'continue' && mayPass() ? undefined : over
  if (stream instanceof Writable) {
    return new Promise<void>(resolve => void stream.write(chunk, () => resolve()))
  }
  // Of other makers not all call back: streamx does not, nor do streams from before Node's own.
  return (stream as Writable).write(chunk) === false ? drained() : undefined
}

const checkOptions = (options: TeeOptions) => {
  object('options', options)
  refuseUnknown('', options, ['onUploadError', 'copy', 'onCopyError'])
  const { onUploadError = 'stop', copy, onCopyError = 'stop' } = options
  take('onUploadError', onUploadError, oneOf('stop', 'continue'))
  take('onCopyError', onCopyError, oneOf('stop', 'continue'))
  takeIfGiven('copy', copy, WRITABLE)
  if (onCopyError === 'continue' && !copy) {
    const why = 'for pipeline() destroys the source with whatever comes after'
    throw invalid('copy', copy, `a Writable where onCopyError is 'continue', ${why}`)
  }
  return { onUploadError, copy, onCopyError }
}

/** By its shape: of other makers' streams few are of Node's class. */
const WRITABLE = rule<Writable>('a Writable that still takes bytes', value => {
  const { write, end, writable } = (value ?? {}) as Partial<Writable>
  return typeof write === 'function' && typeof end === 'function' && writable !== false
})
