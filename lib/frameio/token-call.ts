/**
 * One call that gets a token: on connections of its own where none are given, and with what its failures
 * become. Whoever asks decides whether there is another.
 */
import type { Dispatcher } from 'undici'
import { RealtimeUploadError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { Failure } from '../net/retry.ts'
import { judgeApiAnswer } from '../net/rulings.ts'
import { type AuthAnswer, type AuthClient, type AuthRequest, askAuth } from './auth.ts'

/** What a refusal becomes. */
export type Refused = (
  message: string,
  statusCode: number,
  reason: string | undefined,
) => RealtimeUploadError

export interface TokenCall<T> extends Omit<AuthRequest, 'dispatcher' | 'signal' | 'headers'> {
  readonly dispatcher: Dispatcher | undefined
  /** Who answers, as messages call them. */
  readonly from: string
  readonly read: (body: unknown) => T
  readonly refused: Refused
}

/**
 * One attempt.
 *
 * @throws {RealtimeUploadError} what `refused` makes of it where no token is given; `ERR_NETWORK` and
 *   `ERR_SERVER` of what may pass; `ERR_BAD_RESPONSE`
 */
export const callForToken = async <T>(client: AuthClient, call: TokenCall<T>): Promise<T> => {
  if (call.dispatcher) return callBy(call.dispatcher, client, call)
  // Not undici's global dispatcher: that may be the one of Node's own undici, of another version. And
  // not one that is kept: such calls are hours apart, and nobody would ever close it.
  const agent = openAgent()
  try {
    return await callBy(agent.dispatcher, client, call)
  } finally {
    await agent.close()
  }
}

const callBy = async <T>(
  dispatcher: Dispatcher,
  client: AuthClient,
  { path, form, secrets, what, from, read, refused }: TokenCall<T>,
): Promise<T> => {
  const { signal } = new AbortController()
  const answer = await askAuth(client, { dispatcher, path, form, secrets, signal, what }).catch(
    error => {
      throw error instanceof Failure ? failed(error.message, error.details.cause) : error
    },
  )
  if (answer.status === 200) return read(answer.body)
  throw failureOf(answer, `${what}: ${from} answered`, refused)
}

const failed = (message: string, cause: unknown) =>
  new RealtimeUploadError('ERR_NETWORK', message, { cause })

/** The own word of who was asked that there is no token is final; all else may pass. */
const failureOf = (
  { status, reason }: AuthAnswer,
  answered: string,
  refused: Refused,
): RealtimeUploadError => {
  const { verdict } = judgeApiAnswer(status, reason !== undefined)
  const final = reason !== undefined && status < 500 && verdict !== 'retry'
  const message = `${answered} ${status}${reason ? ` (${reason})` : ''}`
  if (final) return refused(message, status, reason)
  return new RealtimeUploadError('ERR_SERVER', message, { statusCode: status })
}
