/**
 * The call that ends the tokens of a device.
 */
import { Pulse, withRetries } from '../net/retry.ts'
import { type AuthAnswer, askAuth } from './auth.ts'
import { type AuthLine, refusalOf } from './auth-line.ts'

/**
 * With a refresh token ends what was made of it as well (RFC 7009 §2.1).
 *
 * @param what is being done, as the beginning of a message
 * @throws {RealtimeUploadError} where Frame.io could not be told; the signal's reason when it aborts
 */
export const revoke = (
  { client, dispatcher, retry, signal }: AuthLine,
  refreshToken: string,
  what: string,
): Promise<void> => {
  const attempt = async () => {
    const answer = await askAuth(client, {
      dispatcher,
      path: '/v2/auth/revoke',
      form: { token: refreshToken },
      secrets: [refreshToken],
      signal,
      what,
    })
    if (!isOver(answer)) throw refusalOf(what, answer)
  }
  return withRetries(attempt, { retry, signal, pulse: new Pulse(), onRetry: () => {} })
}

/**
 * Is the token of no use any more? An unknown one should be no failure (RFC 7009 §2.2); what Frame.io says
 * of one is not documented. So every refusal in its own words counts, but where those are about the client.
 */
const isOver = ({ status, headers, reason }: AuthAnswer): boolean => {
  // A portal's page may come with 200. Whether Frame.io's answer has a body is not documented.
  if (status === 200 || status === 204) return !/html/i.test(String(headers['content-type']))
  const isRefusal = status === 400 || status === 401 || status === 404
  return isRefusal && reason !== undefined && !/client|scope/i.test(reason)
}
