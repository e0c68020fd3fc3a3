/**
 * Snapshots of uploads: of none, and of many together.
 */
import type { Progress } from './events.ts'

/** Least time between two that are told, in ms. */
export const PROGRESS_INTERVAL = 100

/** Before anything has come. */
export const NO_PROGRESS: Progress = {
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

const FIGURES = Object.keys(NO_PROGRESS) as (keyof Progress)[]

/** Each figure of all of them together. */
export const sumOf = (all: readonly Progress[]): Progress => {
  const entries = FIGURES.map(key => [key, all.reduce((sum, one) => sum + one[key], 0)] as const)
  return Object.fromEntries(entries) as Record<keyof Progress, number>
}
