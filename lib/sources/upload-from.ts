/**
 * From a source to the end of its upload, with an eye on how the source ended: the stdout of a
 * program that died ends like any other, and eleven hours that arrived are worth keeping although
 * the twelfth failed.
 */
import type { ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { aFunction, object, refuseUnknown, rule, take, takeIfGiven } from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import type { FileSource } from '../follow/options.ts'
import { followSignal } from '../net/signals.ts'
import type { UploadResult } from '../upload/events.ts'
import { checkUpload, type RealtimeUpload, signalOf } from '../upload/realtime-upload.ts'
import { checkSource } from './check-source.ts'
import { openFile } from './file.ts'
import { type Flow, openSource, type Source, stop } from './source.ts'
import { endOfStream, type SourceEnd, sourceFailed, withLastWords } from './source-end.ts'
import { whenUploaded } from './uploaded.ts'

/**
 * What to do with what arrived when its source failed: `'finalise'` the asset with it, so that
 * nothing is lost, or `'abort'`, and leave the asset unfinished.
 */
export type OnSourceFailure = 'finalise' | 'abort'

type Verdict = OnSourceFailure | PromiseLike<OnSourceFailure>
/** Not exported from the package. */
export type OnFailure = OnSourceFailure | ((end: SourceEnd) => Verdict)

export interface UploadFromOptions {
  /**
   * Or a function that decides once it is known how the source failed; it may return a promise.
   * What it throws is what the call fails with. Default `'finalise'`.
   */
  readonly onSourceFailure?: OnFailure | undefined
  /**
   * Told of a program that was started here, to pass signals on to it. Where it throws, or a
   * promise that it returns rejects, the program is ended, and that is what the call fails with.
   */
  readonly onStart?: ((program: ChildProcess) => unknown) | undefined
}

export interface UploadFromResult extends UploadResult {
  /** How the source ended: look at `source.ok`. */
  readonly source: SourceEnd
}

/** How long a program that closed its stdout without a byte may go on, in ms. */
const LAST_CHANCE = 3_000

/**
 * Uploads everything from a source: a program to be started, or a file descriptor, which both are
 * read at a third of the processor time that streams take; a `ChildProcess` that runs; any stream of
 * Node's kind; a web `ReadableStream`; a `Blob`; or bytes in pieces, from whatever can be iterated.
 * See {@link Source}.
 *
 * Chunks are bytes however they are held (`Buffer`, `Uint8Array`, any other view, `ArrayBuffer`), or
 * strings, which become UTF-8; but a stream that was told to decode text (`setEncoding`) is refused,
 * for its bytes are not those that came. While the upload's memory is full the source is held: of
 * what is iterated the next chunk is asked for once the one before was copied.
 *
 * @example
 * const { source } = await uploadFrom({ command: 'ffmpeg', args }, upload)
 * if (!source.ok) console.error('The recording may be cut short:', source.stderr)
 *
 * @example
 * const { body } = await fetch(url)
 * if (body) await uploadFrom(body, upload)
 *
 * @returns once Frame.io has every byte and a program has ended
 * @throws {RealtimeUploadError} what the upload fails with; `ERR_SOURCE_FAILED` where the source
 *   failed before its first byte, or `onSourceFailure` says `'abort'`: of what a program said the
 *   message has the line that tells most, and `stderr` the last lines, also with `ERR_EMPTY_STREAM`.
 *   The source is destroyed then (a web stream and an iterator are cancelled), an `{ fd }` closed, and
 *   a program that was started here gets a SIGTERM. `ERR_INVALID_OPTION` where an argument is wrong,
 *   or the source is one that has ended, was destroyed, is locked, or decodes text: then it stays as
 *   it is. In every case the upload is over
 * @throws {AbortError} where the signal of the upload aborts, also when the upload has finished
 *   and its program goes on
 */
export const uploadFrom = async (
  source: Source,
  upload: RealtimeUpload,
  options: UploadFromOptions = {},
): Promise<UploadFromResult> => {
  checkUpload(upload)
  const open = () => openSource(source, upload, () => openFile(source as FileSource, upload))
  const end = await pourFrom(source, upload, { options, open, signal: signalOf(upload) })
  return { ...(upload.result as UploadResult), source: end }
}

export interface PourFrom {
  readonly options: UploadFromOptions
  /** Lets the bytes flow to the sink. */
  readonly open: () => Promise<Flow>
  /** Aborts the sink. */
  readonly signal: AbortSignal | undefined
}

/**
 * The same with any sink whose `finish` means that Frame.io has all of it. Not exported from the package.
 *
 * @returns how the source ended
 */
export const pourFrom = async (
  source: Source,
  sink: Writable,
  { options, open, signal }: PourFrom,
): Promise<SourceEnd> => {
  const uploaded = whenUploaded(sink)
  uploaded.catch(() => {}) // It is awaited once the source has ended.
  let flow: Flow | undefined
  try {
    const onFailure = checkOptions(options)
    checkSource(source)
    flow = await open()
    const { ended, end, program, started } = flow
    // Whatever fails first is told: the upload, or a callback.
    const going = Promise.all([uploaded, started && tellOf(started, options.onStart)])
    // Not for the end of the source when the upload fails: some cannot be cut off amid a read.
    const error = await unlessFailed(going, ended)
    const ending = end?.() ?? program?.end(error) ?? Promise.resolve(endOfStream(error))
    // A program may have more to do after its stdout: where it cannot matter it is not waited for.
    const known = onFailure === 'finalise' ? undefined : await unlessFailed(going, ending)
    if (known && !known.ok) {
      const verdict = await unlessFailed(going, decide(onFailure, known))
      if (verdict === 'abort') throw sourceFailed(known)
    }
    sink.end()
    // The upload hears its signal while it lives; the program may outlive it.
    await unlessFailed(going, uploaded).catch(async failure => {
      throw isEmpty(failure) ? await unlessAborted(signal, whyEmpty(failure, ending)) : failure
    })
    return await unlessAborted(signal, unlessFailed(going, ending))
  } catch (error) {
    if (flow) stop(flow)
    sink.destroy(error as Error)
    await uploaded.catch(() => {}) // Nothing is in flight any more when this fails.
    throw error
  }
}

/** What the second promise gives, unless the first rejects before. Not exported from the package. */
export const unlessFailed = <T>(first: Promise<unknown>, second: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    first.catch(reject)
    second.then(resolve, reject)
  })

/** What the promise gives, unless the signal aborts before. */
const unlessAborted = <T>(signal: AbortSignal | undefined, promise: Promise<T>): Promise<T> => {
  if (!signal) return promise
  let unfollow = () => {}
  const aborted = new Promise<never>((_, reject) => {
    const abort = (reason: unknown) => reject(new AbortError(reason))
    if (signal.aborted) abort(signal.reason)
    else unfollow = followSignal(signal, abort)
  })
  return unlessFailed(aborted, promise).finally(unfollow)
}

const isEmpty = (error: unknown): error is RealtimeUploadError =>
  error instanceof RealtimeUploadError && error.code === 'ERR_EMPTY_STREAM'

/** A program of which not a byte came may say why, if it ends soon. */
const whyEmpty = async (empty: RealtimeUploadError, ending: Promise<SourceEnd>) => {
  const end = await Promise.race([ending, wait(LAST_CHANCE, undefined, { ref: false })])
  if (!end || (end.ok && end.stderr === '')) return empty
  return end.ok ? withLastWords(empty, end) : sourceFailed(end)
}

/** Not exported from the package. */
export const decide = async (onFailure: OnFailure, end: SourceEnd) =>
  typeof onFailure === 'function' ? onFailure(end) : onFailure

/** spawn reports a missing program in the next tick: until then a listener misses nothing. */
const tellOf = async (program: ChildProcess, onStart: UploadFromOptions['onStart']) =>
  onStart?.(program)

/** Not exported from the package. */
export const checkOptions = (options: UploadFromOptions): OnFailure => {
  object('options', options)
  refuseUnknown('', options, ['onSourceFailure', 'onStart'])
  const { onSourceFailure = 'finalise', onStart } = options
  takeIfGiven('onStart', onStart, aFunction)
  return take('onSourceFailure', onSourceFailure, ON_FAILURE)
}

const ON_FAILURE = rule<OnFailure>(
  "'finalise', 'abort', or a function that returns one of them",
  value => value === 'finalise' || value === 'abort' || typeof value === 'function',
)
