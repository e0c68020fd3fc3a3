/**
 * Is a recording over? A pure function of what was seen of its file, which `Follower` looks at four
 * times a second.
 *
 * Alternatives: to be told by the system (`fs.watch`) costs less, and tells nothing of a close, and on
 * network drives nothing at all. A lock that is tried would disturb the writer. A size that stays the
 * same for a while is what most watch folders go by, and takes a pause for the end.
 */
import type { Completeness } from './container.ts'

/** Why a recording is over: its writer closed it, nothing has changed for long, or somebody said so. */
export type Reason = 'closed' | 'idle' | 'told'

/** What is known of those who have the file open for writing. All times in ms on one clock. */
export interface WriterFacts {
  /** Is one there now? */
  readonly isThere: boolean
  /** When the first was seen; undefined where none ever was. */
  readonly since: number | undefined
  /** When it was first found gone, and when last; undefined while one is there. */
  readonly gone: { readonly first: number; readonly last: number } | undefined
  /** How often the file was closed and opened again. */
  readonly returns: number
}

export interface Look {
  readonly now: number
  /** Since when size and time of change are what they are. */
  readonly unchangedSince: number
  readonly writer: WriterFacts
  readonly wasToldToEnd: boolean
  /**
   * What its head says of the file, and whether that was something else than "finished" until it was
   * over: a head that is kept right while the file grows tells nothing.
   */
  readonly completeness: Completeness
  readonly wasOpen: boolean
  readonly isLocal: boolean
  /** How long nothing may change, where no writer is seen, in ms. */
  readonly idle: number
}

/** Between the looks that both find a writer gone, in ms at least. */
export const GONE_FOR = 200
/** Whoever had a file open for less may open it again for each piece that comes, in ms. */
const BRIEF = 10_000
/** What such a one gets, and one that did not finish its file, in ms. */
const GRACE = 10_000
/** How long nothing may change in a file that says that it is finished, in ms. */
const FINISHED_IDLE = 5_000

/** Why it is over; undefined where it is not. */
export const isOver = (look: Look): Reason | undefined => {
  const { now, unchangedSince, writer, wasToldToEnd, completeness } = look
  if (wasToldToEnd) return 'told'
  // A recorder that pauses keeps its file open, and may do so for hours.
  if (writer.isThere) return undefined
  const quietFor = now - unchangedSince
  const { since, gone, returns } = writer
  if (since !== undefined && gone && returns === 0) {
    const wait = gone.first - since < BRIEF || completeness === 'unfinished' ? GRACE : GONE_FOR
    return Math.min(quietFor, gone.last - gone.first) >= wait ? 'closed' : undefined
  }
  const isFinished = look.wasOpen && completeness === 'finished' && look.isLocal
  return quietFor >= (isFinished ? Math.min(FINISHED_IDLE, look.idle) : look.idle)
    ? 'idle'
    : undefined
}
