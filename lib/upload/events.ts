/**
 * The events of an upload, and what each carries, as types alone.
 */
import type { Readable } from 'node:stream'
import type { Progress } from './realtime-upload.ts'
import type { RetryInfo } from './transfer.ts'

/** A part that is stored. */
export interface StoredPart {
  /** Counted from 1. */
  readonly number: number
  /** Bytes. */
  readonly size: number
  /** PUTs that it took. */
  readonly attempts: number
}

/** Something that does not end the upload but should be known. Each code comes once. */
export interface UploadWarning {
  /**
   * `PARTS_OUTGROW_MEMORY`: the stream is so long that two parts no longer fit `memoryLimit`.
   * `NOT_STREAMABLE`: see `warnIfNotStreamable`.
   */
  readonly code: 'PARTS_OUTGROW_MEMORY' | 'NOT_STREAMABLE'
  readonly message: string
}

export interface EventMap {
  /** Where the upload stands: at most ten times a second, and once before `finish`. */
  progress: [progress: Progress]
  /** A part is stored. */
  part: [part: StoredPart]
  /** A call or PUT failed and will be tried again. */
  retry: [info: RetryInfo]
  /** Something that should be known. */
  warning: [warning: UploadWarning]
  /** The memory is full: the source is held. */
  stall: []
  /** The source flows again. */
  resume: []
  /** Frame.io has every byte. */
  finish: []
  /** The upload failed or was aborted. */
  error: [error: Error]
  /** All is over; no request, timer or own socket is left. */
  close: []
  drain: []
  pipe: [source: Readable]
  unpipe: [source: Readable]
}
