/**
 * Server-to-server tokens of Adobe's: a client that was given rights in the Adobe Developer Console asks for
 * one with its secret alone, and for the next before the first ends. There is no refresh token, and nothing
 * to keep.
 */
import type { Dispatcher } from 'undici'
import { object, refuseUnknown, secret, take, text } from '../../checks.ts'
import { RealtimeUploadError } from '../../errors.ts'
import { checkDispatcher } from '../../net/http.ts'
import { type AuthClient, CLIENT_ID } from '../auth.ts'
import { checkBaseUrl } from '../options.ts'
import { isObject, nonsense } from '../protocol.ts'
import { type Renewed, renewing } from '../renewing.ts'
import type { RefreshingToken } from '../token.ts'
import { callForToken, type Refused } from '../token-call.ts'

export interface ServerToServerTokenOptions {
  /** Of a server-to-server credential in the Adobe Developer Console. */
  readonly clientId: string
  readonly clientSecret: string
  /** Default `'openid,AdobeID,frame.s2s.all'`. */
  readonly scope?: string | undefined
  /** Adobe's IMS: `https`, or `http` on a loopback host. Default `'https://ims-na1.adobelogin.com'`. */
  readonly baseUrl?: string | URL | undefined
  /** An undici `Dispatcher`. It is never closed for you. Default: connections of its own. */
  readonly dispatcher?: Dispatcher | undefined
}

/**
 * A `token` for clients and uploads of V4, by Adobe's `POST /ims/token/v3`: before the first call, ahead of
 * expiry (such a token lives 24 h), and after a 401. All that share it have one token. For accounts that
 * the Adobe Admin Console manages (Frame.io's V4 guide).
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`. Its calls reject with `ERR_UNAUTHORIZED` where Adobe
 *   refuses the client, which ends the upload; anything else is tried again.
 */
export const serverToServerToken = (options: ServerToServerTokenOptions): RefreshingToken => {
  const { client, scope, dispatcher } = resolve(options)
  return renewing(() =>
    callForToken(client, {
      dispatcher,
      path: '/ims/token/v3',
      form: { grant_type: 'client_credentials', scope },
      secrets: [],
      what: 'Getting a server-to-server token failed',
      from: 'Adobe',
      read: readToken,
      refused,
    }),
  )
}

/** Life of such a token, in seconds (Frame.io's V4 guide). */
const LIFETIME = 86_400

const readToken = (body: unknown): Renewed => {
  const { access_token, expires_in } = isObject(body) ? body : {}
  if (typeof access_token !== 'string') throw nonsense('there must be an access_token', body)
  const lifetime = (Number(expires_in) > 0 ? Number(expires_in) : LIFETIME) * 1_000
  return { accessToken: access_token, lifetime, left: lifetime }
}

const refused: Refused = (message, statusCode) =>
  new RealtimeUploadError(
    'ERR_UNAUTHORIZED',
    `${message}; check clientId, clientSecret and scope in the Adobe Developer Console`,
    { statusCode },
  )

const SCOPE = text('a list of scopes such as openid,AdobeID,frame.s2s.all', /^[\w., -]+$/)

const resolve = (options: ServerToServerTokenOptions) => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { clientId, clientSecret, dispatcher } = options
  const { scope = 'openid,AdobeID,frame.s2s.all' } = options
  const { baseUrl = 'https://ims-na1.adobelogin.com' } = options
  const client: AuthClient = {
    baseUrl: checkBaseUrl(baseUrl),
    clientId: take('clientId', clientId, CLIENT_ID),
    clientSecret: secret('clientSecret', clientSecret),
  }
  return {
    client,
    scope: take('scope', scope, SCOPE),
    dispatcher: dispatcher === undefined ? undefined : checkDispatcher('dispatcher', dispatcher),
  }
}

const KNOWN = [
  'clientId',
  'clientSecret',
  'scope',
  'baseUrl',
  'dispatcher',
] as const satisfies (keyof ServerToServerTokenOptions)[]
