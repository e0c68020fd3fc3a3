/**
 * The door for sources that bring parts, with a home of their own, in place of bytes that are written.
 * Not exported from the package.
 */
import type { FileLog } from '../spool/home.ts'
import type { EventMap } from './events.ts'
import type { ResolvedUploadOptions } from './options.ts'
import type { Transfer } from './transfer.ts'

/** Parts that are brought, as far as their upload is concerned. */
export interface Bringer {
  /** Bytes of the source that are known to be there; never fewer than before. */
  readonly bytes: number
  /** Is an outage no failure now, however long it lasts? */
  readonly isPatient: boolean
  /** No more comes: brings what is left. Resolves once all of it was admitted, with what there is. */
  end(): Promise<{ readonly bytes: number; readonly parts: number }>
  /** All is stored. @throws where what is stored is not what the source holds any more */
  confirm(): Promise<void>
  /** An error in the words of the source, where it comes of that. */
  explain(error: Error): Error
  /** The upload is over, and nothing is read any more. */
  close(): Promise<void>
}

/** What stands inside an upload. */
export interface Inside {
  readonly options: ResolvedUploadOptions
  readonly transfer: Pick<Transfer, 'admit' | 'reading'>
  /** Open once `opened` has resolved. */
  readonly spool: FileLog | undefined
  /** Resolves when the upload is ready to take parts; never where it fails before. */
  readonly opened: Promise<void>
  /** From now on the parts of this one are those of the upload. */
  bring(bringer: Bringer): void
  emit<E extends keyof EventMap>(event: E, ...args: EventMap[E]): void
}

/** By upload, so that nobody else reaches it. */
export const insides = new WeakMap<object, Inside>()
