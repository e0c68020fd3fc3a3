/**
 * When what is uploaded was begun, where it lies in a file: what a Camera to Cloud device says of it.
 */
import { fstatSync, type Stats, statSync } from 'node:fs'
import { bornAt } from '../follow/age.ts'
import type { Settings } from './settings.ts'

/** In ms since the epoch; undefined for what is being recorded now, as what comes through a pipe is. */
export const begunAt = ({ producer, follow }: Settings): number | undefined => {
  if (producer) return undefined
  const found = look(() => (follow ? statSync(follow.file) : fstatSync(0)))
  return found?.isFile() ? bornAt(found) : undefined
}

/** What is not there yet is waited for, and what cannot be read says so when it is opened. */
const look = (stat: () => Stats): Stats | undefined => {
  try {
    return stat()
  } catch {
    return undefined
  }
}
