/**
 * Times of tracks that count in different ticks, compared without rounding: some streams count from
 * 1970 in tenths of a microsecond, beyond what a number holds.
 */

import type { Run } from './moof.ts'
import type { Track } from './moov.ts'

export interface Time {
  readonly ticks: bigint
  /** Ticks a second. */
  readonly timescale: number
}

export const ZERO: Time = { ticks: 0n, timescale: 1 }

/** In ticks of another scale, rounded down. */
export const inTicks = ({ ticks, timescale }: Time, other: number): bigint =>
  (ticks * BigInt(other)) / BigInt(timescale)

/** From one time of a track to another, in ms. */
export const millisecondsFrom = (from: Time, to: Time): number =>
  Number(inTicks(to, from.timescale) - from.ticks) / (from.timescale / 1_000)

const isEarlier = (a: Time, b: Time): boolean =>
  a.ticks * BigInt(b.timescale) < b.ticks * BigInt(a.timescale)

/** A track that lags by more has ended or rests, in ms: a piece does not begin with it. */
const LARGEST_LAG = 10_000

/**
 * The time that becomes 0 in a piece: of all tracks the earliest that is decoded or shown, so that none
 * has to begin before 0, and all keep their distance.
 *
 * @param runs of the fragment that the piece begins with, that of the leading track among them
 * @param next for each track, when what is to come of it is decoded
 */
export const zeroOf = (
  runs: readonly Run[],
  leader: Run,
  next: ReadonlyMap<Track, bigint>,
): Time => {
  const cut = { ticks: leader.time + leader.track.put, timescale: leader.track.timescale }
  const starts = runs.map(({ track, time, shownAfter }) => startOf(track, time, shownAfter))
  for (const [track, time] of next) {
    // Subtitles and data rest for long, and nothing of them is to keep a piece waiting.
    const isHeardOrSeen = track.kind === 'vide' || track.kind === 'soun'
    if (!isHeardOrSeen || runs.some(run => run.track === track)) continue
    const start = startOf(track, time, 0)
    if (Math.abs(millisecondsFrom(cut, start)) <= LARGEST_LAG) starts.push(start)
  }
  const zero = starts.reduce((first, one) => (isEarlier(one, first) ? one : first), cut)
  return zero.ticks > 0n ? zero : ZERO
}

const startOf = ({ timescale, skipped, put }: Track, time: bigint, shownAfter: number): Time => {
  const before = BigInt(shownAfter) - skipped
  return { ticks: time + put + (before < 0n ? before : 0n), timescale }
}
