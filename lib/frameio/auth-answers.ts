/**
 * What `/v2/auth` answers: tokens, and the codes that a device is paired with.
 */
import { object, positive, refuseUnknown, secret, take } from '../checks.ts'
import { isObject, nonsense } from './protocol.ts'

/** What a refresh of tokens gives. */
export interface Tokens {
  readonly accessToken: string
  readonly refreshToken: string
  /** How long the access token lives, in ms. */
  readonly lifetime: number
}

/** Life of a C2C device's access token, in seconds (Frame.io's C2C guide). */
const TOKEN_LIFETIME = 28_800

/**
 * The tokens in the answer to a refresh.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` without both tokens.
 */
export const readTokens = (body: unknown): Tokens => {
  const { access_token, refresh_token, expires_in } = isObject(body) ? body : {}
  if (typeof access_token !== 'string' || typeof refresh_token !== 'string') {
    throw nonsense('a refresh must give an access_token and a refresh_token', body)
  }
  return {
    accessToken: access_token,
    refreshToken: refresh_token,
    lifetime: secondsIn(expires_in, TOKEN_LIFETIME) * 1_000,
  }
}

/**
 * Tokens that somebody passes on.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const checkTokens = (option: string, value: unknown): Tokens => {
  const tokens = object(option, value) as { readonly [K in keyof Tokens]: unknown }
  refuseUnknown(`${option}.`, tokens, ['accessToken', 'refreshToken', 'lifetime'])
  return {
    accessToken: secret(`${option}.accessToken`, tokens.accessToken),
    refreshToken: secret(`${option}.refreshToken`, tokens.refreshToken),
    lifetime: take(`${option}.lifetime`, tokens.lifetime, positive('ms')),
  }
}

/** What a device is given to be paired with. */
export interface DeviceCode {
  readonly deviceCode: string
  readonly userCode: string
  readonly verificationUri: string | undefined
  readonly verificationUriComplete: string | undefined
  /** In ms. */
  readonly lifetime: number
  /** Between two polls, in ms. */
  readonly interval: number
}

/** Life of a code, in seconds, at most (Frame.io's C2C guide). */
const CODE_LIFETIME = 120

/** Between two polls, in seconds, where nothing is said (RFC 8628 §3.2). */
const POLL_INTERVAL = 5

/**
 * The code in the answer to a device that wants to be paired.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` without a code that can be shown
 */
export const readDeviceCode = (body: unknown): DeviceCode => {
  const { device_code, user_code, expires_in, interval, ...links } = isObject(body) ? body : {}
  if (typeof device_code !== 'string' || !/^[\w -]{1,32}$/.test(String(user_code))) {
    throw nonsense('a device_code and a user_code must be given', body)
  }
  return {
    deviceCode: device_code,
    userCode: String(user_code),
    verificationUri: linkIn(links.verification_uri),
    verificationUriComplete: linkIn(links.verification_uri_complete),
    lifetime: secondsIn(expires_in, CODE_LIFETIME) * 1_000,
    interval: secondsIn(interval, POLL_INTERVAL) * 1_000,
  }
}

const secondsIn = (value: unknown, otherwise: number): number =>
  Number(value) > 0 ? Number(value) : otherwise

/** It is shown, and opened by a person: nothing but a web page. */
const linkIn = (value: unknown): string | undefined =>
  typeof value === 'string' && URL.canParse(value) && new URL(value).protocol === 'https:'
    ? new URL(value).href
    : undefined
