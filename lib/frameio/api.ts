/**
 * How a call to Frame.io is made: token, version header, deadline, the rate gate, another try, and
 * what a refusal becomes. Which calls there are stands in client.ts.
 */
import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import { type ErrorDetails, quote, RealtimeUploadError } from '../errors.ts'
import { type OwnAgent, openAgent } from '../net/agents.ts'
import { DEADLINE, withDeadline } from '../net/deadline.ts'
import { type Answer, exchange } from '../net/http.ts'
import { Failure, Pulse, type RetryContext, readRetryAfter, withRetries } from '../net/retry.ts'
import { judgeApiAnswer, neverSent, RULINGS, type Ruling } from '../net/rulings.ts'
import { unlessAborted } from '../net/signals.ts'
import type { Dialect } from './dialect.ts'
import type { ConnectionOptions, ResolvedClientOptions } from './options.ts'
import { Presence } from './presence.ts'
import { parseJson, readFailure, urlOf } from './protocol.ts'
import { RateGate, type RateLimit } from './rate-gate.ts'
import { TokenSource } from './token.ts'

export interface ApiRequest<T> {
  readonly method: Dispatcher.HttpMethod
  /** Below the base URL, beginning with a slash. */
  readonly path: string
  /** A function makes it anew at each try. */
  readonly body?: object | (() => object)
  /** Makes sense of the answer's JSON, or throws. Absent: the answer has none. */
  readonly read: ((body: unknown, headers: Answer['headers']) => T) | undefined
  /** Whether it does no harm to carry the call out twice. */
  readonly idempotent: boolean
  /** Undoes what a try may have done whose answer was lost: then another does no harm either. */
  readonly undo?: () => Promise<void>
  /** Which calls Frame.io counts together with this one, where it counts them by kind, as in V4. */
  readonly kind?: string
  /** What is being done, as the beginning of an error message. */
  readonly what: string
  readonly details: ErrorDetails
  /** What to do about a refusal, where it is another thing than after other calls. */
  readonly advice?: Dialect['advice']
}

/** Whose call it is: what ends it, what renews its budget, and who is told of another try. */
export type CallContext = Pick<RetryContext, 'signal' | 'pulse' | 'isPatient' | 'onRetry'>

/** Bytes of an answer that are read. Presigned URLs take some 2 KB each, and V4 gives up to 2,500 at once. */
const READ_AT_MOST = 16 * 2 ** 20

/** Says that a device is there (Frame.io's C2C guide). */
const HEARTBEAT: ApiRequest<void> = {
  method: 'POST',
  path: '/v2/devices/heartbeat',
  read: undefined,
  idempotent: true,
  what: 'The heartbeat failed',
  details: {},
}

/** Would a token function only say the same again: it gives no token, or it was refused one? */
const isFinal = (error: unknown): boolean =>
  error instanceof RealtimeUploadError &&
  ['ERR_INVALID_OPTION', 'ERR_UNAUTHORIZED', 'ERR_NOT_PAIRED'].includes(error.code)

const readRateLimit = ({ headers }: Answer): RateLimit => ({
  limit: Number(headers['x-ratelimit-limit'] ?? Number.NaN),
  remaining: Number(headers['x-ratelimit-remaining'] ?? Number.NaN),
  window: Number(headers['x-ratelimit-window'] ?? Number.NaN),
})

export class Api {
  readonly options: ResolvedClientOptions
  readonly dispatcher: Dispatcher
  readonly #own: OwnAgent | undefined
  readonly #token: TokenSource
  readonly #gates: Gates
  readonly #presence: Presence
  readonly #closing: AbortController

  /** @param lender whose connections, token and gate to use, as far as `overrides` leaves them */
  constructor(options: ResolvedClientOptions, lender?: Api, overrides: ConnectionOptions = {}) {
    this.options = options
    const given = options.dispatcher ?? lender?.dispatcher
    this.#own = given ? undefined : openAgent()
    this.dispatcher = given ?? (this.#own as OwnAgent).dispatcher
    const sameToken = lender && overrides.token === undefined
    this.#token = sameToken ? lender.#token : new TokenSource(options.token)
    this.#gates =
      sameToken && overrides.baseUrl === undefined ? lender.#gates : new Gates(options.dialect)
    this.#presence = sameToken ? lender.#presence : new Presence(options.presence)
    this.#closing = lender ? lender.#closing : new AbortController()
    setMaxListeners(0, this.#closing.signal)
  }

  /** A context for a call that belongs to no upload: it ends with the client. */
  get alone(): CallContext {
    return { signal: this.#closing.signal, pulse: new Pulse(), onRetry: () => {} }
  }

  /** Aborts when the client is closed. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Until the signal aborts, a device lets Frame.io know that it is there: see Presence. */
  stayPresent(signal: AbortSignal): void {
    if (this.options.device) this.#presence.enter(signal, () => this.#beat(signal))
  }

  /** One attempt, beside the rate gate: it must hold up no call of the upload's, nor wait for any. */
  async #beat(signal: AbortSignal): Promise<void> {
    const token = await this.#askToken(HEARTBEAT, signal)
    const { status } = await this.#exchange(HEARTBEAT, signal, token)
    if (status === 401) this.#token.refuse(token)
    else if (status < 400) this.#presence.heard()
  }

  /** Ends the calls that belong to no upload, and all connections unless they are the caller's. */
  async close(): Promise<void> {
    this.#closing.abort(
      new RealtimeUploadError('ERR_CLIENT_CLOSED', 'The FrameioClient was closed'),
    )
    await this.#own?.close()
  }

  /** @throws {RealtimeUploadError} as the README's table says; the signal's reason when it aborts */
  call<T>(request: ApiRequest<T>, context: CallContext): Promise<T> {
    const gate = this.#gates.of(request.kind)
    const attempt = async () => {
      const { token, answer } = await this.#ask(request, context.signal, gate)
      // Who was refused, or was not heard, has not been seen.
      if (answer.status < 400) this.#presence.heard()
      if (answer.status === 429) {
        gate.close(this.options.retry, readRetryAfter(answer.headers['retry-after']))
      }
      gate.heed(readRateLimit(answer), this.options.retry)
      if (answer.status >= 200 && answer.status < 300) {
        gate.opened()
        return this.#read(request, answer)
      }
      const failure = this.#refusal(request, answer, token)
      if (failure.ruling.verdict !== 'new-token') throw failure
      this.#token.refuse(token)
      throw this.#token.renewable ? failure : failure.asFatal()
    }
    const { undo } = request
    const { retry } = this.options
    return withRetries(attempt, { ...context, retry, gate, ...(undo && { undo }) })
  }

  async #ask(request: ApiRequest<unknown>, signal: AbortSignal, gate: RateGate) {
    try {
      const token = await this.#askToken(request, signal)
      return { token, answer: await this.#exchange(request, signal, token) }
    } catch (error) {
      gate.missed()
      throw error
    }
  }

  async #askToken({ what, details }: ApiRequest<unknown>, signal: AbortSignal): Promise<string> {
    const { apiTimeout } = this.options
    const fail = (reason: string, cause?: unknown) => {
      return new Failure(RULINGS.tokenNotHad, `${what}: the token function ${reason}`, {
        ...details,
        cause,
      })
    }
    const asked = this.#token.get()
    try {
      return await withDeadline(signal, { allowed: () => apiTimeout }, signal =>
        unlessAborted(signal, asked),
      )
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (error !== DEADLINE) throw isFinal(error) ? error : fail('failed', error)
      this.#token.giveUpWaiting(asked)
      throw fail(`did not answer within apiTimeout (${apiTimeout} ms)`)
    }
  }

  async #exchange(
    request: ApiRequest<unknown>,
    signal: AbortSignal,
    token: string,
  ): Promise<Answer> {
    const { baseUrl, dialect, apiTimeout } = this.options
    const { method, path, what, details } = request
    const body = typeof request.body === 'function' ? request.body() : request.body
    try {
      return await exchange({
        dispatcher: this.dispatcher,
        method,
        url: urlOf(baseUrl, path),
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          ...(body && { 'content-type': 'application/json' }),
          ...dialect.headers,
        },
        body: body ? JSON.stringify(body) : null,
        signal,
        allowed: () => apiTimeout,
        readAtMost: READ_AT_MOST,
        what,
        details,
      })
    } catch (error) {
      if (!(error instanceof Failure) || neverSent(error.details.cause)) throw error
      throw this.#unlessSafe(request, error)
    }
  }

  #read<T>(request: ApiRequest<T>, { status, headers, text }: Answer): T {
    const { read, what, details } = request
    // A deletion has no answer to be read; a portal's page is none all the same.
    if (!read && !/^\s*</.test(text)) return undefined as T
    const body = parseJson(text)
    if (body === undefined) {
      const reason = 'its body is no JSON'
      const failure = this.#failure(RULINGS.notTheirs, request, { status, reason })
      throw this.#unlessSafe(request, failure)
    }
    if (!read) return undefined as T
    try {
      return read(body, headers)
    } catch (error) {
      if (!(error instanceof RealtimeUploadError)) throw error
      throw new Failure(RULINGS.nonsense, `${what}: ${error.message}`, {
        ...details,
        statusCode: status,
      })
    }
  }

  #refusal(request: ApiRequest<unknown>, answer: Answer, token: string): Failure {
    const { status, headers, text } = answer
    const said = readFailure(parseJson(text))
    const reason = said === undefined ? undefined : quote(said, token)
    const ruling = judgeApiAnswer(status, said !== undefined, said)
    const retryAfter = readRetryAfter(headers['retry-after'])
    const failure = this.#failure(ruling, request, { status, reason }, retryAfter)
    // A 429 was surely not carried out; of a 5xx nobody knows.
    const refused = ruling.verdict !== 'retry' || ruling.code === 'ERR_RATE_LIMITED'
    return refused ? failure : this.#unlessSafe(request, failure)
  }

  #failure(
    ruling: Ruling,
    { what, details, advice: own }: ApiRequest<unknown>,
    { status, reason }: { status: number; reason: string | undefined },
    retryAfter?: number,
  ): Failure {
    const { advice: known, afterServerError } = this.options.dialect
    const advice = own?.[ruling.code] ?? known[ruling.code]
    const message = `${what}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}${advice ? `; ${advice}` : ''}`
    return new Failure(
      ruling,
      message,
      { ...details, statusCode: status },
      {
        retryAfter,
        waitAtLeast: status >= 500 ? afterServerError : 0,
      },
    )
  }

  /** A call that must not be made twice may have been carried out. */
  #unlessSafe({ idempotent, undo }: ApiRequest<unknown>, failure: Failure): Failure {
    if (idempotent) return failure
    const message = `${failure.message}; it may have been carried out all the same`
    return undo
      ? failure.asAmbiguous(message)
      : failure.asFatal(`${message}, so it was not tried again`)
  }
}

/** A gate for each kind of calls that Frame.io counts by itself. */
class Gates {
  readonly #dialect: Dialect
  readonly #gates = new Map<string, RateGate>()

  constructor(dialect: Dialect) {
    this.#dialect = dialect
  }

  of(kind = ''): RateGate {
    const known = this.#gates.get(kind)
    if (known) return known
    const { afterRateLimit } = this.#dialect
    const gate = new RateGate(this.#dialect.rateOf(kind), afterRateLimit)
    this.#gates.set(kind, gate)
    return gate
  }
}
