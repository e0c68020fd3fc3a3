/**
 * What many uploads come to: one snapshot, and one error that says what is stored all the same.
 */
import { RealtimeUploadError } from '../errors.ts'
import type { Progress } from '../upload/events.ts'

const NOTHING: Progress = {
  bytesReceived: 0,
  bytesUploaded: 0,
  bytesResent: 0,
  bytesBuffered: 0,
  partsFilled: 0,
  partsRegistered: 0,
  partsUploaded: 0,
  partsInFlight: 0,
  retries: 0,
  bytesSpooled: 0,
  bytesDurable: 0,
}

const FIGURES = Object.keys(NOTHING) as (keyof Progress)[]

/** Each figure of all of them together. */
export const sumOf = (all: readonly Progress[]): Progress => {
  const entries = FIGURES.map(key => [key, all.reduce((sum, one) => sum + one[key], 0)] as const)
  return Object.fromEntries(entries) as Record<keyof Progress, number>
}

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
