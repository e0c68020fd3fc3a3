/**
 * How old what a file holds is. A Camera to Cloud device says so of its media (`offset`), and Frame.io
 * files a clip by that, and refuses what was recorded while the device was paused.
 *
 *     first byte written ─────────── offset, in whole seconds ───────────► asked for an asset
 */
import type { Stats } from 'node:fs'

/** Times of a file, in ms since the epoch. */
export type FileTimes = {
  readonly [K in keyof Pick<Stats, 'birthtimeMs' | 'mtimeMs' | 'ctimeMs'>]: number | bigint
}

/** Earlier times are those of clocks that were never set: they begin in 1970, and FAT's in 1980. */
const SET_SINCE = Date.UTC(2000)

/**
 * When the first byte was written, as nearly as the times of its file tell, in ms since the epoch: the
 * earliest of them. A copy that keeps its times is younger than its bytes; and where a file system knows no
 * birth, Node gives 0 or the time of the last change for it.
 */
export const bornAt = ({ birthtimeMs, mtimeMs, ctimeMs }: FileTimes): number | undefined => {
  const told = [birthtimeMs, mtimeMs, ctimeMs].map(Number).filter(time => time >= SET_SINCE)
  return told.length > 0 ? Math.min(...told) : undefined
}

/** Whole seconds since then. 0 where nobody knows, or the clock of a network drive is ahead. */
export const ageOf = (born: number | undefined, now = Date.now()): number =>
  born === undefined ? 0 : Math.max(0, Math.floor((now - born) / 1_000))
