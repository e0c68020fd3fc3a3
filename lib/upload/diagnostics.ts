/**
 * Channels of `node:diagnostics_channel`, for monitoring from outside: what a message holds is made
 * only where somebody listens. Messages hold no token and no URL.
 */
import { channel } from 'node:diagnostics_channel'
import type { RetryInfo } from './events.ts'

/** What each channel carries; all durations in ms, all sizes in bytes. */
export interface DiagnosticMessages {
  /** A call registered parts. */
  'frameio-realtime-upload:register': {
    readonly assetId: string
    readonly partNumbers: readonly number[]
    /** To the end of the answer, with all attempts and waits. */
    readonly duration: number
  }
  /** A part is stored. */
  'frameio-realtime-upload:put': {
    readonly assetId: string
    readonly partNumber: number
    readonly size: number
    readonly attempts: number
    /** Of the attempt that succeeded. */
    readonly duration: number
  }
  /** A call or a PUT failed and will be tried again. */
  'frameio-realtime-upload:retry': RetryInfo & { readonly assetId: string }
  /** The memory is full and the source is held, or flows again. */
  'frameio-realtime-upload:stall': { readonly assetId: string; readonly stalled: boolean }
  /** A part lies whole and durable in the spool. */
  'frameio-realtime-upload:spooled': {
    readonly assetId: string
    readonly partNumber: number
    readonly size: number
  }
  /** An upload that was cut off goes on: what the spool still has of it; of a file what S3 has. */
  'frameio-realtime-upload:resumed': {
    readonly assetId: string
    readonly bytes: number
    readonly parts: number
  }
  /** An upload is over: with an error, or all is stored. */
  'frameio-realtime-upload:done': {
    readonly assetId: string
    readonly bytes: number
    readonly parts: number
    readonly error: Error | undefined
  }
  /**
   * Why no named pipes could be made for a program, so that it cannot open `/dev/stdout`, or no pair
   * of sockets either, so that its stdout is read at three times the processor time; or why the
   * folder they were made in was left behind.
   */
  'frameio-realtime-upload:pair': { readonly error: Error }
}

type Name = keyof DiagnosticMessages

const channels = {
  'frameio-realtime-upload:register': channel('frameio-realtime-upload:register'),
  'frameio-realtime-upload:put': channel('frameio-realtime-upload:put'),
  'frameio-realtime-upload:retry': channel('frameio-realtime-upload:retry'),
  'frameio-realtime-upload:stall': channel('frameio-realtime-upload:stall'),
  'frameio-realtime-upload:spooled': channel('frameio-realtime-upload:spooled'),
  'frameio-realtime-upload:resumed': channel('frameio-realtime-upload:resumed'),
  'frameio-realtime-upload:done': channel('frameio-realtime-upload:done'),
  'frameio-realtime-upload:pair': channel('frameio-realtime-upload:pair'),
} satisfies Record<Name, unknown>

/** Tells whoever listens; where nobody does, `message` is not even made. */
export const tell = <N extends Name>(name: N, message: () => DiagnosticMessages[N]): void => {
  if (channels[name].hasSubscribers) channels[name].publish(message())
}
