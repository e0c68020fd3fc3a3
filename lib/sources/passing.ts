/**
 * Errors that may pass by themselves: the network does, a token is renewed, a network drive comes back,
 * a disk gets room, and whoever changes a file comes to an end.
 */
import type { RealtimeUploadError } from '../errors.ts'
import { shortageIn } from '../shortage.ts'

const CODES = new Set([
  ...['ERR_NETWORK', 'ERR_TIMEOUT', 'ERR_SERVER', 'ERR_RATE_LIMITED', 'ERR_UNAUTHORIZED'],
  ...['ERR_SOURCE_CHANGED', 'ERR_SOURCE_REPLACED', 'ERR_SPOOL_IN_USE'],
])
const SYSTEM_CODES = new Set([
  ...['EIO', 'ESTALE', 'ENOENT', 'ENOTCONN', 'ENODEV', 'ENXIO', 'ETIMEDOUT', 'EHOSTDOWN'],
  ...['EHOSTUNREACH', 'EBUSY', 'ENOSPC', 'EDQUOT'],
])

export const isPassing = (error: Error): boolean =>
  CODES.has(codeOf(error)) ||
  SYSTEM_CODES.has(codeOf(error.cause ?? error)) ||
  shortageIn(error) !== undefined

const codeOf = (error: unknown): string => (error as { code?: string } | undefined)?.code ?? ''

/**
 * Was no token to be had, for want of the network, say? Where it was refused there is a status, and what
 * will not pass is thrown as it is, without a number of attempts.
 */
export const isTokenLate = (error: unknown): boolean => {
  const { code, statusCode, attempts, cause } = error as Partial<RealtimeUploadError>
  const isTried = code === 'ERR_UNAUTHORIZED' && statusCode === undefined && attempts !== undefined
  return isTried && (cause === undefined || isPassing(cause as Error))
}

/** Would each other file of a folder fail with the same? Without an asset it is no file's own. */
export const isForAll = (error: unknown, assetId: string | undefined): boolean => {
  const isDead =
    ['ERR_UNAUTHORIZED', 'ERR_NOT_PAIRED'].includes(codeOf(error)) && !isTokenLate(error)
  const isRefused = ['ERR_FORBIDDEN', 'ERR_ASSET_NOT_FOUND'].includes(codeOf(error))
  return isDead || (isRefused && assetId === undefined)
}
