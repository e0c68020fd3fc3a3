/**
 * Why the program behind `--` could not be started, or the file of `--follow` not be found, in more
 * than the system's own word.
 */
import { existsSync } from 'node:fs'
import type { RealtimeUploadError } from '../errors.ts'

/** A sentence; undefined where it did start. */
export const whyNotStarted = ({ cause }: RealtimeUploadError): string | undefined => {
  const { code, syscall, message } = (cause ?? {}) as Partial<NodeJS.ErrnoException>
  const [, program] = /^spawn (.+)$/s.exec(syscall ?? '') ?? []
  if (program === undefined) return undefined
  const reason =
    code === 'ENOENT'
      ? whyNotFound(program)
      : code === 'EACCES'
        ? `${program} may not be run: is it a program, and executable (chmod +x)?`
        : 'the system refused'
  return `The program could not be started: ${reason} (${message})`
}

/** A sentence; undefined where the file was there. */
export const whyNotThere = ({ path, cause }: RealtimeUploadError): string | undefined =>
  path !== undefined && (cause as Partial<NodeJS.ErrnoException> | undefined)?.code === 'ENOENT'
    ? `${path} never appeared, though it was waited for: is that the path its writer writes to?`
    : undefined

const whyNotFound = (program: string): string => {
  const isPath = /[/\\]/.test(program)
  // The system says the same of both.
  if (isPath && existsSync(program))
    return `what the first line (#!) of ${program} names is not there`
  if (/\s/.test(program)) {
    return `there is no program '${program}': give its name and its arguments apart, without quotes around all of them`
  }
  return isPath ? `there is no ${program}` : `${program} was not found on the PATH`
}
