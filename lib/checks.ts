/**
 * The rules for single options. Each fails with the option, its rule, and the value received.
 */
import { inspect } from 'node:util'
import type { Dispatcher } from 'undici'
import { RealtimeUploadError } from './errors.ts'
import type { RetryOptions } from './net/retry.ts'
import type { Device, ResolvedClientOptions, Token } from './upload/options.ts'

type Check<T> = (value: unknown) => value is T

/** Fails with the option, its rule, and the value received: cut short, and of an object its kind. */
export const invalid = (option: string, rule: string, value: unknown): RealtimeUploadError =>
  refusal(option, rule, kindOf(value) ?? inspect(value).slice(0, 120))

const refusal = (option: string, rule: string, received: string) =>
  new RealtimeUploadError('ERR_INVALID_OPTION', `${option} must be ${rule}; received ${received}`)

/** What an object is, but never what it holds: that may be a token. */
const kindOf = (value: unknown) =>
  typeof value === 'object' && value !== null
    ? `an object (${value.constructor?.name ?? 'without a prototype'})`
    : undefined

export const take = <T>(option: string, value: unknown, rule: string, check: Check<T>): T => {
  if (!check(value)) throw invalid(option, rule, value)
  return value
}

export const integer = (option: string, value: unknown, low: number, high: number, unit: string) =>
  take(
    option,
    value,
    `an integer from ${low} to ${high}${unit && ` (${unit})`}`,
    (v): v is number => Number.isInteger(v) && (v as number) >= low && (v as number) <= high,
  )

export const duration = (option: string, value: unknown, rule: string, low: number, high: number) =>
  take(option, value, rule, (v): v is number => typeof v === 'number' && v >= low && v <= high)

export const object = (option: string, value: unknown, rule: string): object => {
  // Not the value: whoever mixes up arguments may have passed a token.
  if (typeof value !== 'object' || value === null)
    throw refusal(option, rule, typeof value === 'string' ? 'a string' : inspect(value))
  return value
}

/** No control character: they would end a header or change a request. */
const isText = (value: unknown): value is string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  typeof value === 'string' && value !== '' && !/[\x00-\x1f\x7f]/.test(value)

const text = (option: string, value: unknown, rule: string, pattern: RegExp) =>
  take(option, value, rule, (v): v is string => isText(v) && pattern.test(v))

/** An asset's or folder's id: letters, digits, `-` and `_`, so that none can change the path. */
export const checkId = (option: string, value: unknown): string =>
  text(option, value, "an id of Frame.io's: letters, digits, - and _ only", /^[\w-]{1,128}$/)

export const checkFiletype = (value: unknown): string =>
  text(
    'filetype',
    value,
    'a media type such as video/mp4',
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *;[ -~]*)?$/,
  )

/** Frame.io takes names that match `\..+`: with an extension. */
export const checkName = (option: string, value: unknown): string =>
  text(option, value, 'a name with an extension, such as A001.mp4', /\..+/)

/** A bearer token fit for a header. What was received is never shown. */
export const checkToken = (value: unknown): string => {
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value
  const rule = 'a non-empty string of visible ASCII characters, or a function that returns one'
  throw refusal('token', rule, typeof value === 'string' ? 'another string (hidden)' : typeof value)
}

export const checkTokenOption = (value: unknown): Token =>
  typeof value === 'function' ? (value as Token) : checkToken(value)

/** Frame.io's API (Frame.io's API reference). */
export const BASE_URL = 'https://api.frame.io'

const isLoopback = (host: string) =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

export const checkBaseUrl = (value: unknown): URL => {
  const rule = 'an https URL (http only on a loopback host) without user, query or fragment'
  if (!(value instanceof URL) && !(typeof value === 'string' && URL.canParse(value))) {
    throw invalid('baseUrl', rule, value)
  }
  const url = new URL(value)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  if (!safe || url.username || url.password || url.search || url.hash) {
    // Not the value as it came: it may hold a password.
    throw invalid('baseUrl', rule, `${url.protocol}//${url.host}${url.pathname}`)
  }
  return url
}

export const checkDispatcher = (value: unknown): Dispatcher =>
  take(
    'dispatcher',
    value,
    'an undici Dispatcher',
    (v): v is Dispatcher => typeof v === 'object' && v !== null && 'dispatch' in v,
  )

export const checkDevice = (value: unknown): ResolvedClientOptions['device'] => {
  const device: Device = object('device', value, 'an object such as { clientVersion: "1.0.0" }')
  refuseUnknown('device.', device, ['clientVersion'])
  return {
    clientVersion: text(
      'device.clientVersion',
      device.clientVersion ?? '0.0.0',
      'a semantic version such as 1.0.0',
      /^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/,
    ),
  }
}

export const checkRetry = (value: unknown, defaults: RetryOptions): RetryOptions => {
  const retry: Partial<RetryOptions> = object(
    'retry',
    value === undefined ? {} : value,
    'an object',
  )
  refuseUnknown('retry.', retry, ['giveUpAfter', 'minDelay', 'maxDelay'])
  const { giveUpAfter, minDelay, maxDelay } = { ...defaults, ...definedOf(retry) }
  duration('retry.giveUpAfter', giveUpAfter, 'a number of ms, 0 or more, or Infinity', 0, Infinity)
  duration('retry.minDelay', minDelay, 'a number of ms from 0 to one hour', 0, 3_600_000)
  const rule = `a number of ms from retry.minDelay (${minDelay}) to one hour`
  duration('retry.maxDelay', maxDelay, rule, minDelay, 3_600_000)
  return { giveUpAfter, minDelay, maxDelay }
}

/** A misspelt option must not pass for one that was left out. */
export const refuseUnknown = (prefix: string, options: object, known: readonly string[]) => {
  const stranger = Object.keys(options).find(key => !known.includes(key))
  if (stranger === undefined) return
  const alike = known.find(key => key.toLowerCase() === stranger.toLowerCase())
  throw new RealtimeUploadError(
    'ERR_INVALID_OPTION',
    `${prefix}${stranger} is not an option; ${alike ? `did you mean ${prefix}${alike}?` : `there are ${known.join(', ')}`}`,
  )
}

/** The options that were given: one that is undefined counts as left out. */
export const definedOf = <T extends object>(options: T) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
