/**
 * From a source to the end of its upload, with an eye on how the source ended: the stdout of a
 * program that died ends like any other, and eleven hours that arrived are worth keeping although the
 * twelfth failed.
 */
import { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as wait } from 'node:timers/promises'
import { aFunction, invalid, object, refuseUnknown, rule, take, takeIfGiven } from '../checks.ts'
import { RealtimeUploadError } from '../errors.ts'
import type { UploadResult } from '../upload/events.ts'
import { checkUpload, type RealtimeUpload } from '../upload/realtime-upload.ts'
import { readDescriptor } from './descriptor.ts'
import { type Producer, startProducer } from './producer.ts'

/** How a source ended. */
export interface SourceEnd {
  /** Well: a program with exit code 0, a stream without an error? */
  readonly ok: boolean
  /** Of a program that ended by itself. */
  readonly exitCode: number | undefined
  /** What ended a program that did not. */
  readonly signal: NodeJS.Signals | undefined
  /** The last lines a program wrote to its stderr, where that is a pipe; '' elsewhere. */
  readonly stderr: string
  /** The error of a stream, or of a program that could not be started. */
  readonly error: Error | undefined
}

/**
 * What to do with what arrived when its source failed: `'finalise'` the asset with it, so that
 * nothing is lost, or `'abort'`, and leave the asset unfinished.
 */
export type OnSourceFailure = 'finalise' | 'abort'

type OnFailure = OnSourceFailure | ((end: SourceEnd) => OnSourceFailure)

export interface UploadFromOptions {
  /** Or a function that decides once it is known how the source failed. Default `'finalise'`. */
  readonly onSourceFailure?: OnFailure | undefined
  /** Told of a program that was started here, to pass signals on to it. */
  readonly onStart?: ((program: ChildProcess) => void) | undefined
}

/** A pipe or a file that is open for reading, such as 0, which is stdin. */
export interface Descriptor {
  readonly fd: number
}

type Source = Producer | Descriptor | ChildProcess | Readable

export interface UploadFromResult extends UploadResult {
  /** How the source ended: look at `source.ok`. */
  readonly source: SourceEnd
}

/** How long the stderr of a program that has ended is read on, in ms: another may hold it open. */
const LAST_WORDS = 500
/** Characters of stderr that are kept. */
const TAIL = 4_096

/**
 * Uploads everything from a source. The source is a program to be started, or a file descriptor, which
 * both are read at a third of the processor time that streams take; a `ChildProcess` that runs, of
 * which nobody has read the stdout; or any `Readable`.
 *
 * @example
 * const { source } = await uploadFrom({ command: 'ffmpeg', args }, upload)
 * if (!source.ok) console.error('The recording may be cut short:', source.stderr)
 *
 * @returns once Frame.io has every byte and a program has ended
 * @throws {RealtimeUploadError} what the upload fails with; `ERR_SOURCE_FAILED` where the source
 *   failed before its first byte, or `onSourceFailure` says `'abort'`; `ERR_INVALID_OPTION`.
 *   The source is destroyed, and a program that was started here gets a SIGTERM.
 */
export const uploadFrom = async (
  source: Source,
  upload: RealtimeUpload,
  options: UploadFromOptions = {},
): Promise<UploadFromResult> => {
  const onFailure = checkArguments(source, upload, options)
  const uploaded = finished(upload)
  uploaded.catch(() => {}) // It is awaited once the source has ended.
  try {
    const { stream, program } = await open(source, upload, uploaded, options.onStart)
    // What failed has ended the source as well, but some cannot be cut off in the middle of a read.
    const error = await unlessFailed(uploaded, errorOf(stream))
    const ending = program?.end(error) ?? Promise.resolve(endOfStream(error))
    // A program may have more to do after its stdout: where it cannot matter it is not waited for.
    const end = onFailure === 'finalise' ? undefined : await unlessFailed(uploaded, ending)
    if (end && !end.ok && decide(onFailure, end) === 'abort') throw sourceFailed(end)
    upload.end()
    await uploaded.catch(async failure => {
      const isEmpty = failure instanceof RealtimeUploadError && failure.code === 'ERR_EMPTY_STREAM'
      throw isEmpty && !(await ending).ok ? sourceFailed(await ending) : failure
    })
    return { ...(upload.result as UploadResult), source: await ending }
  } catch (error) {
    upload.destroy(error as Error)
    await uploaded.catch(() => {}) // Nothing is in flight any more when this fails.
    throw error
  }
}

/** What the second promise gives, unless the first rejects before. */
const unlessFailed = <T>(first: Promise<unknown>, second: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    first.catch(reject)
    second.then(resolve, reject)
  })

const decide = (onFailure: OnFailure, end: SourceEnd) =>
  typeof onFailure === 'function' ? onFailure(end) : onFailure

/** Lets the bytes of a source flow to the upload, which is not ended. Its failure ends the source. */
const open = async (
  source: Source,
  upload: RealtimeUpload,
  uploaded: Promise<unknown>,
  onStart: UploadFromOptions['onStart'],
) => {
  const flow = (stream: Readable, program?: Program, started?: ChildProcess) => {
    uploaded.catch(() => {
      stream.destroy()
      started?.kill()
    })
    return { stream, program }
  }
  if (source instanceof Readable) {
    const bytes = source.readableObjectMode ? bytesOf(source) : source
    bytes.pipe(upload, { end: false })
    return flow(bytes)
  }
  if (source instanceof ChildProcess) {
    const stdout = source.stdout as Readable
    stdout.pipe(upload, { end: false })
    return flow(stdout, new Program(source))
  }
  if ('fd' in source) return flow(readDescriptor(source.fd, upload))
  // Watched from the moment it is spawned: what cannot be started says so in the next one.
  let program: Program | undefined
  const { child, stdout } = await startProducer(source, upload, started => {
    program = new Program(started)
  })
  const flowing = flow(stdout, program, child)
  onStart?.(child)
  return flowing
}

/** What is no bytes ends the source: written to the upload it would be an error that nobody catches. */
const bytesOf = (source: Readable): Readable => {
  const chunks = async function* () {
    for await (const chunk of source) {
      if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) {
        throw invalid('source', chunk, 'a stream of bytes or strings')
      }
      yield chunk
    }
  }
  return Readable.from(chunks(), { objectMode: false })
}

/** The error that a stream ends with; undefined where all of it came. */
const errorOf = (stream: Readable): Promise<Error | undefined> =>
  finished(stream, { writable: false }).then(
    () => undefined,
    error => error,
  )

/** A program, watched from the start: it may end before its stdout does. */
class Program {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #error: Error | undefined
  readonly #decoder = new StringDecoder('utf8')
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer | string) => {
      const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
      this.#stderr = (this.#stderr + text).slice(-TAIL)
    })
    this.#exited = new Promise<void>(resolve => {
      child.once('exit', () => resolve())
      child.on('error', error => {
        if (child.pid !== undefined) return // A signal that could not be sent, say.
        this.#error = error
        resolve()
      })
    })
  }

  /** @param streamError what its stdout ended with */
  async end(streamError: Error | undefined): Promise<SourceEnd> {
    await this.#exited
    const { stderr, exitCode, signalCode } = this.#child
    if (stderr && !stderr.closed) {
      const closed = new Promise(resolve => stderr.once('close', resolve))
      await Promise.race([closed, wait(LAST_WORDS, undefined, { ref: false })])
      // Nor does it keep this process, whoever holds it open.
      if (stderr instanceof Socket) stderr.unref()
    }
    const error = this.#error ?? streamError
    return {
      ok: exitCode === 0 && error === undefined,
      // Where it could not be started Node makes a number of the reason.
      exitCode: this.#error ? undefined : (exitCode ?? undefined),
      signal: signalCode ?? undefined,
      // A line that was drawn again and again counts once, as it was last.
      stderr: this.#stderr.replace(/[^\n]*\r(?!\n)/g, '').trim(),
      error,
    }
  }
}

const endOfStream = (error: Error | undefined): SourceEnd => ({
  ok: error === undefined,
  exitCode: undefined,
  signal: undefined,
  stderr: '',
  error,
})

/** How a source that failed ended, as the end of a sentence. Not exported from the package. */
export const describeEnd = ({ exitCode, signal, error }: SourceEnd): string =>
  signal ?? (exitCode === undefined ? String(error?.message) : `exit code ${exitCode}`)

const sourceFailed = (end: SourceEnd): RealtimeUploadError => {
  const [lastLine] = end.stderr.split('\n').slice(-1)
  const message = `The source failed: ${describeEnd(end)}${lastLine && ` (${lastLine})`}`
  return new RealtimeUploadError('ERR_SOURCE_FAILED', message, { cause: end.error })
}

const checkArguments = (
  source: unknown,
  upload: unknown,
  options: UploadFromOptions,
): OnFailure => {
  checkUpload(upload)
  object('options', options)
  refuseUnknown('', options, ['onSourceFailure', 'onStart'])
  const { onSourceFailure = 'finalise', onStart } = options
  takeIfGiven('onStart', onStart, aFunction)
  const { command, fd } = (source ?? {}) as Partial<Producer & Descriptor>
  const isOther = typeof command === 'string' || Number.isInteger(fd)
  if (source instanceof ChildProcess) {
    if (!source.stdout) throw invalid('source', source, 'a ChildProcess whose stdout is a pipe')
    // Node throws away what nobody had asked for when a child ends.
    if (source.exitCode !== null || source.signalCode !== null) {
      throw invalid('source', source, 'a ChildProcess that has not ended: what it wrote is gone')
    }
  }
  if (!isOther && !(source instanceof Readable || source instanceof ChildProcess)) {
    throw invalid('source', source, 'a Readable, a ChildProcess, { command, args } or { fd }')
  }
  return take('onSourceFailure', onSourceFailure, ON_FAILURE)
}

const ON_FAILURE = rule<OnFailure>(
  "'finalise', 'abort', or a function that returns one of them",
  value => value === 'finalise' || value === 'abort' || typeof value === 'function',
)
