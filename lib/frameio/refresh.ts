/**
 * The call that gets new tokens for a refresh token, which is dead from then on.
 */
import type { Dispatcher } from 'undici'
import { RealtimeUploadError } from '../errors.ts'
import type { AuthClient } from './auth.ts'
import { readTokens, type Tokens } from './auth-answers.ts'
import { callForToken, type Refused } from './token-call.ts'

const authoriseAnew: Refused = (message, statusCode) =>
  new RealtimeUploadError(
    'ERR_UNAUTHORIZED',
    `${message}; the device or app must be authorised anew`,
    { statusCode },
  )

/**
 * One attempt.
 *
 * @throws {RealtimeUploadError} what `refused` makes of it where Frame.io refuses the refresh token;
 *   `ERR_NETWORK` and `ERR_SERVER` of what may pass; `ERR_BAD_RESPONSE`
 */
export const refresh = (
  client: AuthClient,
  dispatcher: Dispatcher | undefined,
  refreshToken: string,
  refused: Refused = authoriseAnew,
): Promise<Tokens> =>
  callForToken(client, {
    dispatcher,
    path: '/v2/auth/token',
    form: { grant_type: 'refresh_token', refresh_token: refreshToken },
    secrets: [refreshToken],
    what: 'Refreshing the token failed',
    from: 'Frame.io',
    read: readTokens,
    refused,
  })
