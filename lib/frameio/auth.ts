/**
 * How tokens are asked for: forms to `/v2/auth` or to Adobe's IMS, which bear no token, and what is said
 * there to a device. One attempt; whoever asks decides whether there is another.
 */
import type { Dispatcher } from 'undici'
import { rule } from '../checks.ts'
import { quote } from '../errors.ts'
import { type Answer, exchange } from '../net/http.ts'
import { parseJson, readFailure, urlOf } from './protocol.ts'

/** Who asks. */
export interface AuthClient {
  readonly baseUrl: URL
  readonly clientId: string
  readonly clientSecret: string | undefined
  /** Demanded of Camera to Cloud on every call (Frame.io's C2C guide); absent elsewhere. */
  readonly clientVersion?: string | undefined
}

export interface AuthRequest {
  readonly dispatcher: Dispatcher
  /** Below the base URL. */
  readonly path: `/v2/auth/${string}` | '/ims/token/v3'
  /** What is asked for. The client is added. */
  readonly form: Record<string, string>
  readonly headers?: Record<string, string>
  /** Fields of the form that must not come back in a message. */
  readonly secrets: readonly string[]
  readonly signal: AbortSignal
  /** What is being done, as the beginning of an error message. */
  readonly what: string
}

export interface AuthAnswer extends Omit<Answer, 'text'> {
  readonly body: unknown
  /** What is said of a failure, fit for a message; undefined where the body is not Frame.io's. */
  readonly reason: string | undefined
}

/** Longest that such a call may take, in ms. */
const TIMEOUT = 30_000

/** A client's id. It is no secret. */
export const CLIENT_ID = rule<string>('a non-empty string', v => typeof v === 'string' && v !== '')

/** @throws {Failure} where no answer came; the signal's reason when it aborted */
export const askAuth = async (
  { baseUrl, clientId, clientSecret, clientVersion }: AuthClient,
  { dispatcher, path, form, headers, secrets, signal, what }: AuthRequest,
): Promise<AuthAnswer> => {
  const fields = new URLSearchParams({
    client_id: clientId,
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    ...form,
  })
  const { text, ...answer } = await exchange({
    dispatcher,
    method: 'POST',
    url: urlOf(baseUrl, path),
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
      ...(clientVersion !== undefined && { 'x-client-version': clientVersion }),
      ...headers,
    },
    body: fields.toString(),
    signal,
    allowed: () => TIMEOUT,
    readAtMost: 64 * 2 ** 10,
    what,
    details: {},
  })
  const body = parseJson(text)
  const said = readFailure(body)
  const hidden = clientSecret === undefined ? secrets : [...secrets, clientSecret]
  return { ...answer, body, reason: said === undefined ? undefined : quote(said, ...hidden) }
}
