/**
 * How an upload ended, for whom it is an argument: always with a reason, also where it was
 * destroyed without one, for which Node's own word is "Premature close".
 */
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { AbortError } from '../errors.ts'

/** What an upload that was destroyed failed with. */
export const reasonOf = (upload: Writable): Error => upload.errored ?? new AbortError('destroyed')

/** Resolves when all is stored and nothing is in flight; rejects with the upload's own error. */
export const whenUploaded = (upload: Writable): Promise<void> =>
  finished(upload).catch(() => {
    throw reasonOf(upload)
  })
