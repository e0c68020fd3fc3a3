/**
 * What every source comes down to once its bytes flow.
 */
import { types } from 'node:util'
import { describeCause } from '../errors.ts'

/** A source whose bytes go to an upload, which is not ended. */
export interface Outlet {
  /** Resolves when no more comes: to its error, where it failed. It never rejects. */
  readonly ended: Promise<Error | undefined>
  /** Ends the source, be it silent, and does not wait for it. */
  readonly cancel: () => void
}

/** What a source failed with, as an error: some throw anything, or nothing at all. */
export const failureOf = (reason: unknown): Error =>
  types.isNativeError(reason) || reason instanceof Error
    ? reason
    : new Error(describeCause(reason), { cause: reason })
