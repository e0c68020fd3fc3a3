/**
 * What a recording for V4 tells while it runs, and what it comes to.
 */

import type { StoredPart } from '../upload/events.ts'
import type { FileRetry, FileWarning, UploadedFile } from './events.ts'

/** Something that does not end the recording but should be known. */
export interface TakeWarning {
  /**
   * `NOT_CUTTABLE`: of what comes not all can be cut: the message says what, and why. `SPOOL_FULL`: the disk
   * takes no more, and the source is held until it does. `UPLOAD_FAILED`: a piece was refused for good; the
   * recording goes on to the disk, and the error comes with its end. `SOURCE_UNFINISHED`: whoever wrote the file
   * that was followed did not finish it. The others are those of `uploadFile`.
   */
  readonly code:
    | FileWarning['code']
    | 'NOT_CUTTABLE'
    | 'SPOOL_FULL'
    | 'UPLOAD_FAILED'
    | 'SOURCE_UNFINISHED'
  readonly message: string
}

/** What happens to a recording. `name` is that of the piece concerned. */
export type TakeEvent =
  /** It has begun: its pieces lie in this folder. */
  | { readonly type: 'begin'; readonly folder: string }
  /** A piece lies whole and durable on the disk; counted from 1. */
  | {
      readonly type: 'piece'
      readonly number: number
      readonly name: string
      readonly bytes: number
    }
  /** The source has ended, and all of it lies on the disk: what is left of it is uploaded. */
  | { readonly type: 'end' }
  /** Frame.io has every byte of a piece. */
  | ({ readonly type: 'file'; readonly number: number } & UploadedFile)
  /** A part of a piece is stored. */
  | ({ readonly type: 'part'; readonly name: string } & StoredPart)
  /** A call or PUT failed and will be tried again. */
  | ({ readonly type: 'retry'; readonly name: string } & FileRetry)
  /** Something that should be known. */
  | ({ readonly type: 'warning'; readonly name: string | undefined } & TakeWarning)
  /** The disk takes no more and the source is held; it flows again. */
  | { readonly type: 'stall' | 'resume' }
