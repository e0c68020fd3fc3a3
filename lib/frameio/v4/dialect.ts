/**
 * How V4 wants to be called (Frame.io's V4 guide on rate limits and errors): 30 s at least after a 5xx, a
 * second that doubles after a 429, and calls counted by kind, account and user.
 */
import { ADVICE, type Dialect, FOR_CALLERS, type Rate } from '../dialect.ts'

/** Times in ms. */
export interface V4Waits {
  /** Least wait after a 5xx. */
  readonly afterServerError: number
  /** Wait after a first 429; it doubles. */
  readonly afterRateLimit: number
}

const WAITS: V4Waits = { afterServerError: 30_000, afterRateLimit: 1_000 }

/** The door by which tests shorten them. It is not exported from the package. */
export const V4_WAITS_DOOR: unique symbol = Symbol('v4 waits')

export const v4WaitsOf = (options: object): V4Waits => ({
  ...WAITS,
  ...(options as { [V4_WAITS_DOOR]?: Partial<V4Waits> })[V4_WAITS_DOOR],
})

/** Five calls a second (Frame.io's V4 API reference); of a kind that is not documented too. */
const RATE: Rate = { limit: 5, window: 1_000 }

/** Those that are counted otherwise (Frame.io's V4 API reference). */
const RATES: Readonly<Record<string, Rate>> = { children: { limit: 100, window: 60_000 } }

export const dialectOfV4 = (isLegacy: boolean, waits: V4Waits): Dialect => ({
  // Developer tokens of accounts that the Adobe Admin Console does not manage (Frame.io's V4 guide).
  headers: isLegacy ? { 'x-frameio-legacy-token-auth': 'true' } : {},
  advice: {
    ...ADVICE,
    ERR_UNAUTHORIZED: `${FOR_CALLERS.token}; ${FOR_CALLERS.legacy}`,
    ERR_ASSET_NOT_FOUND: FOR_CALLERS.ids,
  },
  ...waits,
  rateOf: kind => RATES[kind] ?? RATE,
})
