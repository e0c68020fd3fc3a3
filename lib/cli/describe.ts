/**
 * Where an upload stands, and what happened to it, in a line.
 */
import type { Retry } from '../net/retry.ts'
import type { State } from './rates.ts'
import { showSize, showTime } from './units.ts'

/** What matters most comes first: a narrow terminal cuts the rest. */
export const describeState = (state: State): string =>
  [
    `in ${showSize(state.bytesReceived)} (${showSize(state.rateIn)}/s)`,
    `up ${showSize(state.bytesUploaded)} (${showSize(state.rateOut)}/s)`,
    state.behind === undefined ? describeHeadroom(state) : `behind ${showSize(state.behind)}`,
    `retries ${state.retries}`,
    `lanes ${state.partsInFlight}`,
    ...(state.behind === undefined ? [`buffered ${showSize(state.bytesBuffered)}`] : []),
    ...(state.bytesSpooled > 0 ? [`on disk ${showSize(state.bytesSpooled)}`] : []),
  ].join(', ')

export const describeHeadroom = ({ headroom }: State): string =>
  `headroom ${headroom == null ? 'no end' : showTime(headroom)}`

/** Parts that are named one by one. */
const NAMED = 5

export const describeChanged = (partNumbers: readonly number[]): string => {
  const which =
    partNumbers.length > NAMED
      ? `${partNumbers.length} parts have`
      : `part ${partNumbers.join(', ')} ${partNumbers.length > 1 ? 'have' : 'has'}`
  return `${which} other bytes in the file than were sent, and will be sent again`
}

/** @param what failed */
export const describeRetry = (
  what: string,
  { delay, giveUpIn, error }: Pick<Retry, 'delay' | 'giveUpIn' | 'error'>,
): string => {
  const { cause } = error
  const why = cause instanceof Error && !error.message.includes(cause.message) ? cause.message : ''
  const end = giveUpIn === Infinity ? '' : `; given up in ${showTime(giveUpIn / 1_000)}`
  return `${what} failed, again in ${showDelay(delay)}: ${error.message}${why && ` (${why})`}${end}`
}

const showDelay = (ms: number) => (ms < 1_000 ? `${Math.round(ms)} ms` : showTime(ms / 1_000))
