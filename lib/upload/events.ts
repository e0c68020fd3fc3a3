/**
 * The facts of an upload, as plain types: where it stands, what happens, what is left.
 */
import type { Readable } from 'node:stream'
import type { RealtimeUploadError } from '../errors.ts'
import type { KeptFile } from '../spool/home.ts'

/** Where an upload stands. */
export interface Progress {
  /** Bytes taken from the source. */
  readonly bytesReceived: number
  /** Bytes of stored parts alone: it never goes back, and a retry never counts twice. */
  readonly bytesUploaded: number
  /** Bytes of parts that were sent once more, for their source had changed them meanwhile. */
  readonly bytesResent: number
  /** Bytes taken from the source that are not stored yet. */
  readonly bytesBuffered: number
  /** Parts that are complete and known to be the final one or not. */
  readonly partsFilled: number
  /** Parts that have got a presigned URL. */
  readonly partsRegistered: number
  readonly partsUploaded: number
  /** PUTs in flight. */
  readonly partsInFlight: number
  /** Attempts that failed and were followed by another, of calls and PUTs. */
  readonly retries: number
  /** Bytes on the disk that are not stored yet; 0 without a spool. */
  readonly bytesSpooled: number
  /** Bytes that outlive this process and a power cut: stored, or durable in the spool. */
  readonly bytesDurable: number
}

/** What stands at Frame.io once `finish` was emitted. */
export interface UploadResult {
  readonly assetId: string
  readonly bytes: number
  readonly parts: number
  /** The recording on the disk, with `spool.keep`; absent where it could not be kept. */
  readonly kept?: KeptFile
}

/** A part that is stored. */
export interface StoredPart {
  /** Counted from 1. */
  readonly number: number
  /** Bytes. */
  readonly size: number
  /** PUTs that it took. */
  readonly attempts: number
}

/** Another try is about to be made. */
export interface RetryInfo {
  /** A call to Frame.io, a PUT to S3, or a look at a file at its end. */
  readonly stage: 'register' | 'put' | 'read'
  /** The parts concerned; none where a file is looked at as a whole. */
  readonly partNumbers: readonly number[]
  /** The attempt that failed, counted from 1. */
  readonly attempt: number
  /** The wait before the next, in ms. */
  readonly delay: number
  /** How long it may go on failing while nothing on the upload moves, in ms: see `retry.giveUpAfter`. */
  readonly giveUpIn: number
  /** Why it failed. */
  readonly error: RealtimeUploadError
}

/** Something that does not end the upload but should be known. Each code comes once. */
export interface UploadWarning {
  /**
   * `PARTS_OUTGROW_MEMORY`: the stream is so long that two parts no longer fit `memoryLimit`.
   * `NOT_STREAMABLE`: see `warnIfNotStreamable`.
   * `HEAD_NOT_MENDED`: `lateHead` is `finishWav`, and what comes is no WAV: part 1 goes up as it came.
   * `SPOOL_FULL`: the disk takes no more, or too many files are open. `SPOOL_TOO_SLOW`: the disk is
   * slower than the source and the network. `SPOOL_FAILED`: the disk failed. What comes goes through
   * memory alone, and would not outlive this process; with `SPOOL_FULL` and `SPOOL_TOO_SLOW` until the
   * disk takes it again.
   * `SPOOL_NOT_KEPT`: what was to stay on the disk (`spool.keep`) is not whole.
   * `UPLOAD_FAILED`: the upload failed for good; the spool goes on until `end()`, which then fails.
   * Of a file that is followed: `SOURCE_REPLACED`: another file has its name now. `SOURCE_UNFINISHED`:
   * whoever wrote it did not finish it. `SOURCE_REWRITTEN`: more than a tenth of it was changed at the
   * end, and is sent once more.
   * `NOT_CUTTABLE`: of what `segments` is given not all can be cut: the message says what, and why.
   */
  readonly code:
    | 'PARTS_OUTGROW_MEMORY'
    | 'NOT_STREAMABLE'
    | 'HEAD_NOT_MENDED'
    | 'SPOOL_FULL'
    | 'SPOOL_TOO_SLOW'
    | 'SPOOL_FAILED'
    | 'SPOOL_NOT_KEPT'
    | 'UPLOAD_FAILED'
    | 'SOURCE_REPLACED'
    | 'SOURCE_UNFINISHED'
    | 'SOURCE_REWRITTEN'
    | 'NOT_CUTTABLE'
  readonly message: string
}

export interface EventMap {
  /** Where the upload stands: at most ten times a second, and once before `finish`. */
  progress: [progress: Progress]
  /** A part is stored. */
  part: [part: StoredPart]
  /** A call, a PUT or a look failed and will be tried again. */
  retry: [info: RetryInfo]
  /** Parts that were stored have other bytes now, and are sent once more. */
  changed: [changed: { readonly partNumbers: readonly number[] }]
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
