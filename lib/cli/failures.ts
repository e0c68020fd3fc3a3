/**
 * What people are told when something failed: one sentence, and what to do about it.
 */
import { type ErrorCode, RealtimeUploadError } from '../errors.ts'
import { flagOf } from './flags.ts'

/** What to do about it, by code. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  ERR_UNAUTHORIZED: 'Put a valid token into FRAMEIO_TOKEN, or into the file of --token-file.',
  ERR_ASSET_NOT_FOUND: 'Check the id; give --device exactly if a C2C device made the asset.',
  ERR_STORAGE_REJECTED: '--filetype must be the media type that the asset was created with.',
  ERR_NETWORK: '--give-up-after says how long to go on trying.',
  ERR_TIMEOUT: '--give-up-after says how long to go on trying.',
  ERR_SERVER: '--give-up-after says how long to go on trying.',
  ERR_EMPTY_STREAM: 'Look at what the source itself had to say.',
  ERR_STREAM_TOO_LARGE: 'Raise --max-size.',
}

export const adviceOn = (error: unknown): string | undefined =>
  error instanceof RealtimeUploadError ? ADVICE[error.code] : undefined

/** What an error says, with the option that it names as people gave it: as a flag. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (!(error instanceof RealtimeUploadError)) return error.message
  const { message, option = error.code === 'ERR_STREAM_TOO_LARGE' ? 'maxSize' : '' } = error
  return message.replace(option, flagOf(option) ?? option)
}

/** The errors underneath, one a line. */
export const causesOf = (error: unknown): string[] => {
  const lines: string[] = []
  for (let at = (error as Error).cause; at instanceof Error; at = at.cause) {
    const { name, message, code } = at as Error & { code?: unknown }
    lines.push(`caused by ${name}${code === undefined ? '' : ` ${code}`}: ${message}`)
  }
  return lines
}
