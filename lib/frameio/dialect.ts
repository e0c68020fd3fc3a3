/**
 * In what calls to Frame.io differ from version to version of its API: what every call bears, how long to
 * wait after a refusal, what is known of the limits, and what to do about an error.
 */
import type { ErrorCode } from '../errors.ts'
import type { RateLimit } from './rate-gate.ts'

/** A bucket as it is documented. */
export type Rate = Omit<RateLimit, 'remaining'>

export interface Dialect {
  /** Beside the token, on every call. */
  readonly headers: Readonly<Record<string, string>>
  /** What to do about a refusal. */
  readonly advice: Partial<Record<ErrorCode, string>>
  /** Least wait after a 5xx, in ms. */
  readonly afterServerError: number
  /** Wait after a first 429, in ms; it doubles. */
  readonly afterRateLimit: number
  /** What is known of the bucket of a kind of calls, before an answer tells. */
  rateOf(kind: string): Rate | undefined
}

/** Advice that names what a call was given: the command has words of its own for that. */
export const FOR_CALLERS = {
  token: 'pass a valid token, or a function that fetches a fresh one',
  legacy: 'a legacy developer token needs `legacyToken: true`, any other must not have it',
  asset: 'check the id, and pass `device` exactly if the asset was made by a C2C device',
  id: 'check the id',
  ids: 'check the ids of account, folder and file',
  parent: 'check parentId, the id of a folder or project root',
  base: "check baseUrl: V4's API must be below it",
  client: 'check clientId and clientSecret',
} as const

/** Of a device's calls that name no asset. */
export const DEVICE_GONE =
  "the device may have been removed in the project's C2C Connections: then pair it again"

/** Whatever the call, but for those that have advice of their own. */
export const ADVICE: Dialect['advice'] = {
  ERR_UNAUTHORIZED: FOR_CALLERS.token,
  ERR_FORBIDDEN: 'the token lacks the right to do this',
  ERR_ASSET_NOT_FOUND: FOR_CALLERS.id,
  ERR_PLAN_LIMIT:
    "the account's plan allows no more: delete what it need not hold, or change the plan",
  ERR_CHANNEL_PAUSED:
    "a person has paused the device or its channel: resume it in the project's C2C Connections; what was recorded meanwhile is not taken",
  ERR_BAD_RESPONSE: "this answer is not Frame.io's: is a proxy or a captive portal on the way?",
}

const unknown = () => undefined

/** V2, on the platform's paths or a device's. */
export const dialectOfV2 = (device: { readonly clientVersion: string } | undefined): Dialect => ({
  // Demanded of C2C integrations on every call (Frame.io's C2C guide).
  headers: device ? { 'x-client-version': device.clientVersion } : {},
  advice: ADVICE,
  afterServerError: 0,
  afterRateLimit: 1_000,
  rateOf: unknown,
})
