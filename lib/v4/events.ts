/**
 * What an upload of a finished file tells while it runs, and what it comes to.
 */
import type { Retry } from '../net/retry.ts'
import type { StoredPart } from '../upload/events.ts'

/** A file that Frame.io has. */
export interface UploadedFile {
  /** Frame.io's id of it. */
  readonly fileId: string
  /** As Frame.io calls it. */
  readonly name: string
  /** Its length. */
  readonly bytes: number
  /** Slices that it was sent in. */
  readonly parts: number
  /** Where a person sees it; undefined where Frame.io did not say. */
  readonly viewUrl: string | undefined
}

/** Another try is about to be made. */
export interface FileRetry extends Retry {
  /** A call to Frame.io, a PUT to S3, or a look whether the file is as it was. */
  readonly stage: 'create' | 'status' | 'delete' | 'put' | 'read'
  /** The parts concerned. */
  readonly partNumbers: readonly number[]
}

/** Something that does not end the upload but should be known. */
export interface FileWarning {
  /**
   * `URLS_EXPIRED`: the URLs are past their 24 hours and nothing renews them: the file is created anew, and
   * all of it sent again. `BEGUN_ANEW`: so it is, since the unfinished file is gone or of no use.
   * `LEFT_BEHIND`: an unfinished file could not be deleted at Frame.io. `SPOOL_FAILED`: the disk of the
   * spool failed: what is stored from now on is not noted, and would be sent again.
   */
  readonly code: 'URLS_EXPIRED' | 'BEGUN_ANEW' | 'LEFT_BEHIND' | 'SPOOL_FAILED'
  readonly message: string
}

/** What happens to an upload of a file. */
export type FileUploadEvent =
  /** A part is stored. */
  | ({ readonly type: 'part' } & StoredPart)
  /** A call, a PUT or a look failed and will be tried again. */
  | ({ readonly type: 'retry' } & FileRetry)
  /** Something that should be known. */
  | ({ readonly type: 'warning' } & FileWarning)
