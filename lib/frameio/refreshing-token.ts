/**
 * Access tokens of Camera to Cloud devices and apps that renew themselves, so that a recording of
 * twelve hours outlives its first token without anybody noticing.
 */
import type { Dispatcher } from 'undici'
import { aFunction, object, refuseUnknown, rule, secret, take } from '../checks.ts'
import { quote, RealtimeUploadError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { type Answer, checkDispatcher, exchange } from '../net/http.ts'
import { Failure } from '../net/retry.ts'
import { judgeApiAnswer } from '../net/rulings.ts'
import { BASE_URL, checkBaseUrl } from './options.ts'
import { parseJson, readFailure, readTokens, type Tokens, urlOf } from './protocol.ts'
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

/** A token is replaced when a tenth of its life is left, but at most so many ms ahead. */
const LONGEST_LEAD = 300_000

/** Longest a refresh may take, in ms. */
const TIMEOUT = 30_000

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
  const settings = resolve(options)
  const { save } = settings
  let { refreshToken } = settings
  /** The token in force. */
  let current: string | undefined
  /** Tokens that came and are not saved yet: the refresh token they replaced is dead already. */
  let unsaved: Tokens | undefined
  let running: Promise<string> | undefined
  let renewAt = Number.POSITIVE_INFINITY
  let expiresAt = Number.POSITIVE_INFINITY

  const renew = async (): Promise<string> => {
    unsaved ??= await refresh(settings, refreshToken)
    const { accessToken, lifetime } = unsaved
    await save(unsaved.refreshToken)
    refreshToken = unsaved.refreshToken
    unsaved = undefined
    const now = performance.now()
    expiresAt = now + lifetime
    renewAt = expiresAt - Math.min(lifetime / 10, LONGEST_LEAD)
    current = accessToken
    return accessToken
  }
  // Two refreshes at once would each use up the same refresh token, and one of them would lose.
  const renewOnce = (): Promise<string> => {
    running ??= renew().finally(() => {
      running = undefined
    })
    return running
  }
  const token = async (refused?: string): Promise<string> => {
    if (refused !== undefined && secret('refused', refused) === current) current = undefined
    if (current !== undefined && performance.now() < renewAt) return current
    return renewOnce().catch(error => {
      // Ahead of expiry a refresh may fail: the token that still lives serves on.
      if (current === undefined || performance.now() >= expiresAt) throw error
      return current
    })
  }
  return Object.defineProperty(token, 'renewAt', { get: () => renewAt }) as RefreshingToken
}

type Settings = Omit<RefreshingTokenOptions, 'baseUrl' | 'dispatcher'> & {
  readonly url: string
  readonly dispatcher: Dispatcher | undefined
}

const refresh = async (settings: Settings, refreshToken: string): Promise<Tokens> => {
  if (settings.dispatcher) return refreshBy(settings.dispatcher, settings, refreshToken)
  // Not undici's global dispatcher: that may be the one of Node's own undici, of another version. And
  // not one that is kept: refreshes are hours apart, and nobody would ever close it.
  const agent = openAgent()
  try {
    return await refreshBy(agent.dispatcher, settings, refreshToken)
  } finally {
    await agent.close()
  }
}

const refreshBy = async (
  dispatcher: Dispatcher,
  { url, clientId, clientSecret }: Settings,
  refreshToken: string,
): Promise<Tokens> => {
  const form = new URLSearchParams({
    client_id: clientId,
    ...(clientSecret !== undefined && { client_secret: clientSecret }),
    grant_type: 'refresh_token',
    refresh_token: refreshToken,
  })
  const answer = await exchange({
    dispatcher,
    method: 'POST',
    url,
    headers: {
      accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: form.toString(),
    signal: new AbortController().signal,
    allowed: () => TIMEOUT,
    readAtMost: 64 * 2 ** 10,
    what: WHAT,
    details: {},
  }).catch(error => {
    throw error instanceof Failure ? failed(error.message, error.details.cause) : error
  })
  const body = parseJson(answer.text)
  if (answer.status === 200) return readTokens(body)
  const reason = readFailure(body)
  const secrets = [refreshToken, ...(clientSecret === undefined ? [] : [clientSecret])]
  throw refused(answer, reason && quote(reason, ...secrets))
}

const WHAT = 'Refreshing the token failed'

const failed = (message: string, cause: unknown) =>
  new RealtimeUploadError('ERR_NETWORK', message, { cause })

/** Frame.io's own word that this refresh token gets no more tokens is final; all else may pass. */
const refused = ({ status }: Answer, reason: string | undefined) => {
  const { verdict } = judgeApiAnswer(status, reason !== undefined)
  const final = reason !== undefined && status < 500 && verdict !== 'retry'
  return new RealtimeUploadError(
    final ? 'ERR_UNAUTHORIZED' : 'ERR_SERVER',
    `${WHAT}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}${final ? '; the device or app must be authorised anew' : ''}`,
    { statusCode: status },
  )
}

const resolve = (options: RefreshingTokenOptions): Settings => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { clientId, clientSecret, refreshToken, save, baseUrl, dispatcher } = options
  return {
    clientId: take('clientId', clientId, NON_EMPTY),
    clientSecret: clientSecret === undefined ? undefined : secret('clientSecret', clientSecret),
    refreshToken: secret('refreshToken', refreshToken),
    save: take('save', save, aFunction) as typeof save,
    url: urlOf(checkBaseUrl(baseUrl === undefined ? BASE_URL : baseUrl), '/v2/auth/token'),
    dispatcher: dispatcher === undefined ? undefined : checkDispatcher('dispatcher', dispatcher),
  }
}

const KNOWN = ['clientId', 'clientSecret', 'refreshToken', 'save', 'baseUrl', 'dispatcher']

const NON_EMPTY = rule<string>('a non-empty string', v => typeof v === 'string' && v !== '')
