/**
 * How a source ended, and how that is told.
 */
import { RealtimeUploadError } from '../errors.ts'

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

/** Characters of a program's last line that become part of a message. */
const LONGEST_LINE = 500

export const sourceFailed = (end: SourceEnd): RealtimeUploadError => {
  const lastLine = (end.stderr.split('\n').at(-1) ?? '').slice(0, LONGEST_LINE)
  const message = `The source failed: ${describeEnd(end)}${lastLine && ` (${lastLine})`}`
  return new RealtimeUploadError('ERR_SOURCE_FAILED', message, { cause: end.error })
}
