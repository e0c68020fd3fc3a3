/**
 * What `pair`, `unpair` and `devices` work with, and what they come to.
 */
import type { Dispatcher } from 'undici'
import type { RealtimeUploadError } from '../../errors.ts'
import type { Display } from '../display.ts'
import { messageOf } from '../failures.ts'
import type { Secrets } from '../secrets.ts'
import type { Credentials } from './credentials.ts'

/** Who the device is, and how Frame.io is reached. */
export interface Device extends Credentials {
  readonly clientVersion: string | undefined
  readonly baseUrl: string | undefined
  readonly dispatcher: Dispatcher | undefined
}

export interface Session {
  readonly device: Device
  readonly secrets: Secrets
  readonly display: Display
  /** Aborts when somebody presses Ctrl-C. */
  readonly signal: AbortSignal
}

/** What a command has found or done, for stdout. */
export interface Told {
  readonly result: object
  readonly line: string
}

/** Says that something is tried again: a reason once, however often it comes. */
export const retrySayer = (display: Display) => {
  let said = ''
  return ({ error }: { readonly error: RealtimeUploadError }): void => {
    const text = messageOf(error)
    if (text !== said) display.say('retry', `${text}; it is tried again`, { code: error.code })
    said = text
  }
}
