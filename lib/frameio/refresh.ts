/**
 * The call that gets new tokens for a refresh token, which is dead from then on.
 */
import type { Dispatcher } from 'undici'
import { RealtimeUploadError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { Failure } from '../net/retry.ts'
import { judgeApiAnswer } from '../net/rulings.ts'
import { type AuthAnswer, type AuthClient, askAuth } from './auth.ts'
import { readTokens, type Tokens } from './auth-answers.ts'

const WHAT = 'Refreshing the token failed'

/** What a refusal of Frame.io's becomes. */
export type Refused = (
  message: string,
  statusCode: number,
  reason: string | undefined,
) => RealtimeUploadError

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
export const refresh = async (
  client: AuthClient,
  dispatcher: Dispatcher | undefined,
  refreshToken: string,
  refused: Refused = authoriseAnew,
): Promise<Tokens> => {
  if (dispatcher) return refreshBy(dispatcher, client, refreshToken, refused)
  // Not undici's global dispatcher: that may be the one of Node's own undici, of another version. And
  // not one that is kept: refreshes are hours apart, and nobody would ever close it.
  const agent = openAgent()
  try {
    return await refreshBy(agent.dispatcher, client, refreshToken, refused)
  } finally {
    await agent.close()
  }
}

const refreshBy = async (
  dispatcher: Dispatcher,
  client: AuthClient,
  refreshToken: string,
  refused: Refused,
): Promise<Tokens> => {
  const answer = await askAuth(client, {
    dispatcher,
    path: '/v2/auth/token',
    form: { grant_type: 'refresh_token', refresh_token: refreshToken },
    secrets: [refreshToken],
    signal: new AbortController().signal,
    what: WHAT,
  }).catch(error => {
    throw error instanceof Failure ? failed(error.message, error.details.cause) : error
  })
  if (answer.status === 200) return readTokens(answer.body)
  throw failureOf(answer, refused)
}

const failed = (message: string, cause: unknown) =>
  new RealtimeUploadError('ERR_NETWORK', message, { cause })

/** Frame.io's own word that this refresh token gets no more tokens is final; all else may pass. */
const failureOf = ({ status, reason }: AuthAnswer, refused: Refused): RealtimeUploadError => {
  const { verdict } = judgeApiAnswer(status, reason !== undefined)
  const final = reason !== undefined && status < 500 && verdict !== 'retry'
  const message = `${WHAT}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}`
  if (final) return refused(message, status, reason)
  return new RealtimeUploadError('ERR_SERVER', message, { statusCode: status })
}
