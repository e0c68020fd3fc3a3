/**
 * How long a piece is to be: `'5m'`, or milliseconds.
 */
import { invalid } from '../checks.ts'

/** How long: a number of ms, or one with its unit, such as `'10s'`, `'5m'` or `'1h'`. */
export type SegmentTime = number | `${number}${'ms' | 's' | 'm' | 'h'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Shortest and longest, in ms: a second, and a day. */
const SHORTEST = 1_000
const LONGEST = 86_400_000

const RULE = "a time from '1s' to '24h', such as '10s', '5m' or '1h', or as a number of ms"

/** In ms. @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const checkSegmentTime = (option: string, value: unknown): number => {
  const time = typeof value === 'string' ? readTime(value) : value
  const isWithin = typeof time === 'number' && time >= SHORTEST && time <= LONGEST
  if (!isWithin) throw invalid(option, value, RULE)
  return time
}

const readTime = (text: string): number | undefined => {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? []
  return amount === undefined ? undefined : Number(amount) * (UNITS[unit] ?? Number.NaN)
}
