/**
 * How a call to Frame.io is made: token, version header, deadline, the rate gate, another try, and
 * what a refusal becomes. Which calls there are stands in client.ts.
 */
import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import { type ErrorCode, type ErrorDetails, quote, RealtimeUploadError } from '../errors.ts'
import { type OwnAgent, openAgent } from '../net/agents.ts'
import { DEADLINE, withDeadline } from '../net/deadline.ts'
import { type Answer, exchange } from '../net/http.ts'
import { Failure, Pulse, type RetryContext, readRetryAfter, withRetries } from '../net/retry.ts'
import { judgeApiAnswer, neverSent, RULINGS, type Ruling } from '../net/rulings.ts'
import { unlessAborted } from '../net/signals.ts'
import type { ConnectionOptions, ResolvedClientOptions } from './options.ts'
import { Presence } from './presence.ts'
import { parseJson, readFailure, urlOf } from './protocol.ts'
import { RateGate, type RateLimit } from './rate-gate.ts'
import { TokenSource } from './token.ts'

export interface ApiRequest<T> {
  readonly method: Dispatcher.HttpMethod
  /** Below the base URL, beginning with a slash. */
  readonly path: string
  readonly body?: object
  /** Makes sense of the answer's JSON, or throws. Absent: the answer has none. */
  readonly read: ((body: unknown) => T) | undefined
  /** Whether it does no harm to carry the call out twice. */
  readonly idempotent: boolean
  /** What is being done, as the beginning of an error message. */
  readonly what: string
  readonly details: ErrorDetails
}

/** Whose call it is: what ends it, what renews its budget, and who is told of another try. */
export type CallContext = Pick<RetryContext, 'signal' | 'pulse' | 'isPatient' | 'onRetry'>

/** Bytes of an answer that are read. A hundred presigned URLs take some 200 KB. */
const READ_AT_MOST = 4 * 2 ** 20

/** What to do about a refusal. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  ERR_UNAUTHORIZED: 'pass a valid token, or a function that fetches a fresh one',
  ERR_FORBIDDEN: 'the token lacks the right to do this',
  ERR_ASSET_NOT_FOUND:
    'check the id, and pass `device` exactly if the asset was made by a C2C device',
  ERR_PLAN_LIMIT:
    "the account's plan allows no more: delete what it need not hold, or change the plan",
  ERR_CHANNEL_PAUSED:
    "a person has paused the device or its channel: resume it in the project's C2C Connections; what was recorded meanwhile is not taken",
  ERR_BAD_RESPONSE: "this answer is not Frame.io's: is a proxy or a captive portal on the way?",
}

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
  readonly #gate: RateGate
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
    this.#gate = sameToken && overrides.baseUrl === undefined ? lender.#gate : new RateGate()
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
    const attempt = async () => {
      const { token, answer } = await this.#ask(request, context.signal)
      // Who was refused, or was not heard, has not been seen.
      if (answer.status < 400) this.#presence.heard()
      if (answer.status === 429) {
        this.#gate.close(this.options.retry, readRetryAfter(answer.headers['retry-after']))
      }
      this.#gate.heed(readRateLimit(answer), this.options.retry)
      if (answer.status >= 200 && answer.status < 300) {
        this.#gate.opened()
        return this.#read(request, answer)
      }
      const failure = this.#refusal(request, answer, token)
      if (failure.ruling.verdict !== 'new-token') throw failure
      this.#token.refuse(token)
      throw this.#token.renewable ? failure : failure.asFatal()
    }
    return withRetries(attempt, { ...context, retry: this.options.retry, gate: this.#gate })
  }

  async #ask(request: ApiRequest<unknown>, signal: AbortSignal) {
    try {
      const token = await this.#askToken(request, signal)
      return { token, answer: await this.#exchange(request, signal, token) }
    } catch (error) {
      this.#gate.missed()
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
    const { baseUrl, device, apiTimeout } = this.options
    const { method, path, body, idempotent, what, details } = request
    try {
      return await exchange({
        dispatcher: this.dispatcher,
        method,
        url: urlOf(baseUrl, path),
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          ...(body && { 'content-type': 'application/json' }),
          // Demanded of C2C integrations on every call (Frame.io's C2C guide).
          ...(device && { 'x-client-version': device.clientVersion }),
        },
        body: body ? JSON.stringify(body) : null,
        signal,
        allowed: () => apiTimeout,
        readAtMost: READ_AT_MOST,
        what,
        details,
      })
    } catch (error) {
      if (idempotent || !(error instanceof Failure) || neverSent(error.details.cause)) throw error
      throw this.#ambiguous(error)
    }
  }

  #read<T>({ read, what, details, idempotent }: ApiRequest<T>, { status, text }: Answer): T {
    // A deletion has no answer to be read; a portal's page is none all the same.
    if (!read && !/^\s*</.test(text)) return undefined as T
    const body = parseJson(text)
    if (body === undefined) {
      const failure = this.#failure(RULINGS.notTheirs, what, details, {
        status,
        reason: 'its body is no JSON',
      })
      throw idempotent ? failure : this.#ambiguous(failure)
    }
    if (!read) return undefined as T
    try {
      return read(body)
    } catch (error) {
      if (!(error instanceof RealtimeUploadError)) throw error
      throw new Failure(RULINGS.nonsense, `${what}: ${error.message}`, {
        ...details,
        statusCode: status,
      })
    }
  }

  #refusal(
    { what, details, idempotent }: ApiRequest<unknown>,
    answer: Answer,
    token: string,
  ): Failure {
    const { status, headers, text } = answer
    const said = readFailure(parseJson(text))
    const reason = said === undefined ? undefined : quote(said, token)
    const ruling = judgeApiAnswer(status, said !== undefined, said)
    const failure = this.#failure(
      ruling,
      what,
      details,
      { status, reason },
      readRetryAfter(headers['retry-after']),
    )
    // A 429 was surely not carried out; of a 5xx nobody knows.
    const safe = idempotent || ruling.verdict !== 'retry' || ruling.code === 'ERR_RATE_LIMITED'
    return safe ? failure : this.#ambiguous(failure)
  }

  #failure(
    ruling: Ruling,
    what: string,
    details: ErrorDetails,
    { status, reason }: { status: number; reason: string | undefined },
    retryAfter?: number,
  ): Failure {
    const advice = ADVICE[ruling.code]
    const message = `${what}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}${advice ? `; ${advice}` : ''}`
    return new Failure(ruling, message, { ...details, statusCode: status }, { retryAfter })
  }

  /** A call that must not be made twice may have been carried out. */
  #ambiguous(failure: Failure): Failure {
    return failure.asFatal(
      `${failure.message}; it may have been carried out all the same, so it was not tried again`,
    )
  }
}
