/**
 * How a source ended, and how that is told.
 */
import { RealtimeUploadError } from '../errors.ts'
import type { Reason } from '../follow/over.ts'

/** How a source ended. */
export interface SourceEnd {
  /** Well: a program with exit code 0, a stream without an error? */
  readonly ok: boolean
  /** Of a program that ended by itself. */
  readonly exitCode: number | undefined
  /** What ended a program that did not. */
  readonly signal: NodeJS.Signals | undefined
  /**
   * The last lines that a program wrote to its stderr, where that is a pipe: up to 4,096 characters;
   * '' elsewhere. Of a line that was drawn again and again the last is one.
   */
  readonly stderr: string
  /**
   * The error of a stream, or of a program that could not be started; of a file that is over and says
   * itself that it is not finished.
   */
  readonly error: Error | undefined
  /**
   * Why a file that was followed is over: who wrote it has closed it, nothing changed for long, or
   * `follow.ended` said so. Undefined for all else.
   */
  readonly reason?: Reason | undefined
}

export const endOfStream = (error: Error | undefined): SourceEnd => ({
  ok: error === undefined,
  exitCode: undefined,
  signal: undefined,
  stderr: '',
  error,
})

/** How a source that failed ended, as the end of a sentence. Not exported from the package. */
export const describeEnd = ({ exitCode, signal, error }: SourceEnd): string =>
  signal ?? (exitCode === undefined ? String(error?.message) : `exit code ${exitCode}`)

/** Characters of a program's line that become part of a message. */
const LONGEST_LINE = 500

/** What ffmpeg says of an MP4 that is to go into a pipe; its last line names no reason then. */
const NOT_SEEKABLE = /does not support non.seekable output/

/** What to do about what a program said, where that is known. Not exported from the package. */
export const hintAt = (stderr: string): string | undefined =>
  NOT_SEEKABLE.test(stderr)
    ? 'For ffmpeg, to write MP4 or MOV into a pipe: -movflags frag_keyframe+empty_moov+default_base_moof'
    : undefined

/** With the line that tells most in its message, and all that was kept of stderr beside it. */
export const sourceFailed = (end: SourceEnd): RealtimeUploadError => {
  const { stderr, error: cause } = end
  const lines = stderr.split('\n')
  const telling = lines.find(line => NOT_SEEKABLE.test(line)) ?? lines.at(-1) ?? ''
  const line = telling.slice(0, LONGEST_LINE)
  const hint = hintAt(stderr)
  const message = `The source failed: ${describeEnd(end)}${line && ` (${line})`}${hint ? `. ${hint}` : ''}`
  return new RealtimeUploadError('ERR_SOURCE_FAILED', message, {
    cause,
    stderr: stderr || undefined,
  })
}

/** A program that ended well, and yet wrote not a byte, may have said why as well. */
export const withLastWords = (
  { code, message, assetId }: RealtimeUploadError,
  { stderr }: SourceEnd,
): RealtimeUploadError =>
  new RealtimeUploadError(code, message, { assetId, stderr: stderr || undefined })
