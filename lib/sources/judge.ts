/**
 * What to do with a file that is found in a folder: a pure function of what is known of it.
 */
import { type FileFacts, type FileRecord, isSame } from '../spool/ledger.ts'

/** What came to nothing since this process began. */
export interface Failure {
  readonly file: FileFacts
  /** May it pass by itself? */
  readonly isPassing: boolean
  /** On the monotonic clock, in ms. */
  readonly at: number
}

export interface Found {
  readonly file: FileFacts
  /** The last word on it of this process or another. */
  readonly record: FileRecord | undefined
  readonly failure: Failure | undefined
  /** Has nothing changed for so long that it counts as over, and does nobody write? */
  readonly isOver: boolean
  /** On the monotonic clock, in ms. */
  readonly now: number
  /** Once: what failed waits for the next time. */
  readonly isOnce: boolean
}

/**
 * `'done'`: nothing, as long as it stays as it is. `'wait'`: it may still grow, or be changed.
 * `'empty'`: no byte will come. `'again'`: a new take where one was done. `'go on'`: what was begun.
 */
export type Verdict = 'done' | 'wait' | 'empty' | 'begin' | 'again' | 'go on'

/** How long what may pass by itself is left alone, in ms. */
const RETRY_AFTER = 60_000

export const judge = (found: Found): Verdict => {
  const { file, record, failure, isOver, now, isOnce } = found
  const isKnown = record?.t === 'done'
  if (isKnown && isSame(record, file)) return 'done'
  if (failure?.isPassing) {
    if (isOnce || now - failure.at < RETRY_AFTER) return 'done'
  } else if (failure && isSame(failure.file, file)) {
    return 'done'
  } else if ((isKnown || (failure && failure.file.size > 0)) && !isOver) {
    // While somebody changes it each change would be a take of its own.
    return 'wait'
  }
  if (file.size === 0) return isOver ? 'empty' : 'wait'
  if (isKnown) return 'again'
  return record?.assetId !== undefined && !record.isLost ? 'go on' : 'begin'
}
