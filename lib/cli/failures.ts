/**
 * What people are told when something failed: one sentence, and what to do about it.
 */
import { type ErrorCode, RealtimeUploadError } from '../errors.ts'

const HINTS: Partial<Record<ErrorCode, string>> = {
  ERR_UNAUTHORIZED: 'Put a valid token into FRAMEIO_TOKEN, or into the file of --token-file.',
  ERR_ASSET_NOT_FOUND: 'Check the id; give --device exactly if a C2C device made the asset.',
  ERR_STORAGE_REJECTED: '--filetype must be the media type that the asset was created with.',
  ERR_NETWORK: '--give-up-after says how long to go on trying.',
  ERR_TIMEOUT: '--give-up-after says how long to go on trying.',
  ERR_SERVER: '--give-up-after says how long to go on trying.',
  ERR_EMPTY_STREAM: 'Look at what the source itself had to say.',
  ERR_STREAM_TOO_LARGE: 'Raise --max-size.',
}

/** Options of the library, as the command calls them. */
const FLAGS: Readonly<Record<string, string>> = {
  assetId: '--asset',
  parentId: '--parent',
  assetName: '--name',
  partSize: '--part-size',
  memoryLimit: '--memory',
  maxSize: '--max-size',
  baseUrl: '--base-url',
  'device.clientVersion': '--device',
  'retry.giveUpAfter': '--give-up-after',
}

/** Those that are words as well, which only stand for an option where a message begins with them. */
const WORDS: Readonly<Record<string, string>> = {
  token: 'the token',
  name: '--name',
  extension: '--extension',
  filetype: '--filetype',
  concurrency: '--concurrency',
}

/** A message of the library in the command's own words. */
export const inFlags = (message: string): string =>
  message
    .replace(/^\w+(?= must be)/, word => WORDS[word] ?? word)
    .replace(/\b[a-z]+(\.[a-z]+)?[A-Z]\w+/g, option => FLAGS[option] ?? option)

export const hintOf = (error: unknown): string | undefined =>
  error instanceof RealtimeUploadError ? HINTS[error.code] : undefined

/** The errors underneath, one a line. */
export const causesOf = (error: unknown): string[] => {
  const lines: string[] = []
  for (let at = (error as Error).cause; at instanceof Error; at = at.cause) {
    const { name, message, code } = at as Error & { code?: unknown }
    lines.push(`caused by ${name}${code === undefined ? '' : ` ${code}`}: ${message}`)
  }
  return lines
}
