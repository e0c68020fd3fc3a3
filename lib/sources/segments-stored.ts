/**
 * What is stored all the same where a segment fails: an error that says so.
 */
import { RealtimeUploadError } from '../errors.ts'

/** Segments that are named one by one. */
const NAMED = 8

/** An error of a segment, with those that are stored and stay. */
export const withStored = (
  error: Error,
  stored: readonly ({ readonly name: string; readonly assetId: string } | undefined)[],
): Error => {
  const names = stored.flatMap(one => (one ? [`${one.name} (${one.assetId})`] : []))
  if (!(error instanceof RealtimeUploadError) || names.length === 0) return error
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more before` : ''
  const { code, message, cause, ...details } = error
  const text = `${message}. Stored and complete: ${names.slice(-NAMED).join(', ')}${more}`
  return new RealtimeUploadError(code, text, { ...details, cause })
}
