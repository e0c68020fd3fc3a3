/**
 * Access tokens of Camera to Cloud devices and apps that renew themselves, so that a recording of
 * twelve hours outlives its first token without anybody noticing.
 */
import type { Dispatcher } from 'undici'
import { aFunction, object, refuseUnknown, secret, take } from '../checks.ts'
import { checkDispatcher } from '../net/http.ts'
import { type AuthClient, CLIENT_ID } from './auth.ts'
import type { Tokens } from './auth-answers.ts'
import { BASE_URL, checkBaseUrl } from './options.ts'
import { refresh } from './refresh.ts'
import { renewing } from './renewing.ts'
import type { RefreshingToken } from './token.ts'

export interface RefreshingTokenOptions {
  /** Your C2C client's id. */
  readonly clientId: string
  /** Your C2C client's secret; hardware devices have one. */
  readonly clientSecret?: string | undefined
  /** The refresh token that was saved last. Each works once. */
  readonly refreshToken: string
  /**
   * Keeps the new refresh token where a crash cannot reach it. It is awaited before anything uses
   * the new access token; while it fails it is called again, and nothing else is refreshed.
   */
  readonly save: (refreshToken: string) => void | Promise<void>
  /** Frame.io's API: `https`, or `http` on a loopback host. Default `'https://api.frame.io'`. */
  readonly baseUrl?: string | URL | undefined
  /** An undici `Dispatcher`. It is never closed for you. Default: connections of its own. */
  readonly dispatcher?: Dispatcher | undefined
}

/**
 * A `token` for clients and uploads that refreshes itself with Frame.io's `POST /v2/auth/token`:
 * before the first call, ahead of expiry (a C2C device's token lives eight hours), and after a 401.
 * All that share it have one token, and one refresh where it expires or is refused. Give it as it is:
 * from inside another function it does not hear of a refusal, unless that passes its argument on and
 * has a `renewAt` too. The refresh token rotates at each refresh (Frame.io's C2C guide).
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`. Its calls reject with `ERR_UNAUTHORIZED` where
 *   Frame.io refuses the refresh token, which ends the upload; anything else is tried again.
 */
export const refreshingToken = (options: RefreshingTokenOptions): RefreshingToken => {
  const { client, dispatcher, save, ...settings } = resolve(options)
  let { refreshToken } = settings
  /** Tokens that came and are not saved yet: the refresh token they replaced is dead already. */
  let unsaved: Tokens | undefined

  return renewing(async () => {
    unsaved ??= await refresh(client, dispatcher, refreshToken)
    const { accessToken, lifetime } = unsaved
    await save(unsaved.refreshToken)
    refreshToken = unsaved.refreshToken
    unsaved = undefined
    return { accessToken, lifetime, left: lifetime }
  })
}

const resolve = (options: RefreshingTokenOptions) => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { clientId, clientSecret, refreshToken, save, baseUrl, dispatcher } = options
  const client: AuthClient = {
    baseUrl: checkBaseUrl(baseUrl === undefined ? BASE_URL : baseUrl),
    clientId: take('clientId', clientId, CLIENT_ID),
    clientSecret: clientSecret === undefined ? undefined : secret('clientSecret', clientSecret),
  }
  return {
    client,
    refreshToken: secret('refreshToken', refreshToken),
    save: take('save', save, aFunction) as typeof save,
    dispatcher: dispatcher === undefined ? undefined : checkDispatcher('dispatcher', dispatcher),
  }
}

const KNOWN = ['clientId', 'clientSecret', 'refreshToken', 'save', 'baseUrl', 'dispatcher']
