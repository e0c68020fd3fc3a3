/**
 * What to do about a fault: one pure table, one pure delay, one loop. Every request of this library
 * that may be made again is made through `persist`.
 */
import { definedOf, number, object, refuseUnknown, take } from '../checks.ts'
import { type ErrorCode, type ErrorDetails, RealtimeUploadError } from '../errors.ts'

/** What a fault calls for. */
export type Verdict =
  /** Transient: wait, then the same again. */
  | 'retry'
  /** The presigned URL is of no more use: register the part again. */
  | 'new-url'
  /** The token is of no more use: ask for another. */
  | 'new-token'
  /** Trying again would not help. */
  | 'fatal'

export interface Ruling {
  readonly verdict: Verdict
  readonly code: ErrorCode
}

/** How long and how often transient faults are met with another try. */
export interface RetryOptions {
  /**
   * Give up when a part or call has failed for this long while nothing on the upload moved, in ms;
   * `Infinity` never gives up. At least three attempts are made. Default 600,000 (ten minutes).
   */
  readonly giveUpAfter: number
  /** Shortest wait before another try, in ms. Default 500. */
  readonly minDelay: number
  /** Longest wait before another try, in ms. Default 30,000. */
  readonly maxDelay: number
}

const HOUR = 3_600_000

/** Complete retry options, with `defaults` for what was not given. */
export const checkRetry = (value: unknown, defaults: RetryOptions): RetryOptions => {
  const given: Partial<RetryOptions> = value === undefined ? {} : object('retry', value)
  refuseUnknown('retry.', given, ['giveUpAfter', 'minDelay', 'maxDelay'])
  const { giveUpAfter, minDelay, maxDelay } = { ...defaults, ...definedOf(given) }
  const patience = number('a number of ms, 0 or more, or Infinity', 0, Number.POSITIVE_INFINITY)
  take('retry.giveUpAfter', giveUpAfter, patience)
  take('retry.minDelay', minDelay, number('a number of ms from 0 to one hour', 0, HOUR))
  const least = `a number of ms from retry.minDelay (${minDelay}) to one hour`
  take('retry.maxDelay', maxDelay, number(least, minDelay, HOUR))
  return { giveUpAfter, minDelay, maxDelay }
}

/** Fewest attempts before the budget of time may end the matter. */
const MIN_ATTEMPTS = 3

/** Answers that another try may better, whoever gave them. */
const TRANSIENT_STATUS: Readonly<Record<number, ErrorCode>> = {
  408: 'ERR_TIMEOUT',
  429: 'ERR_RATE_LIMITED',
  500: 'ERR_SERVER',
  502: 'ERR_SERVER',
  503: 'ERR_SERVER',
  504: 'ERR_SERVER',
}

const rule = (verdict: Verdict, code: ErrorCode): Ruling => ({ verdict, code })

/**
 * The ruling on an answer of Frame.io other than 2xx.
 *
 * @param genuine whether the body is one of Frame.io's two error shapes. A 403 or 404 without may
 *   come from a captive portal or a proxy on the way, which goes away.
 */
export const judgeApiAnswer = (status: number, genuine: boolean): Ruling => {
  const transient = TRANSIENT_STATUS[status]
  if (transient) return rule('retry', transient)
  if (status === 401) return rule('new-token', 'ERR_UNAUTHORIZED')
  if (status === 403)
    return genuine ? rule('fatal', 'ERR_FORBIDDEN') : rule('retry', 'ERR_BAD_RESPONSE')
  if (status === 404)
    return genuine ? rule('fatal', 'ERR_ASSET_NOT_FOUND') : rule('retry', 'ERR_BAD_RESPONSE')
  if (status >= 500) return rule('fatal', 'ERR_SERVER')
  return rule('fatal', status >= 400 ? 'ERR_REQUEST_REJECTED' : 'ERR_BAD_RESPONSE')
}

/** The ruling on an answer of S3 other than 200, by S3's own code where there is one. */
export const judgeStorageAnswer = (status: number, code: string, message: string): Ruling => {
  const transient = TRANSIENT_STATUS[status]
  if (transient) return rule('retry', transient)
  if (code === 'ExpiredToken' || (status === 403 && /expired/i.test(code + message))) {
    return rule('new-url', 'ERR_URL_EXPIRED')
  }
  // S3 says 400 when a body came too slowly or stopped: the one 400 that is transient.
  if (code === 'RequestTimeout') return rule('retry', 'ERR_TIMEOUT')
  // What arrived is not what was hashed: once may be the network, again and again is the memory.
  if (code === 'BadDigest') return rule('retry', 'ERR_CORRUPTED')
  // May be an expired URL in other words (some servers leave the message empty), or a proxy's page.
  if (status === 403 && (code === 'AccessDenied' || code === '')) {
    return rule('new-url', 'ERR_STORAGE_REJECTED')
  }
  if (status >= 500) return rule('fatal', 'ERR_SERVER')
  return rule('fatal', status >= 400 ? 'ERR_STORAGE_REJECTED' : 'ERR_BAD_RESPONSE')
}

/** The connection never stood, so the request was surely not carried out. */
const NEVER_CONNECTED =
  /^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EHOSTDOWN|ENETDOWN|ENOTFOUND|EAI_AGAIN|EADDRNOTAVAIL|ERR_SOCKET_CONNECTION_TIMEOUT|UND_ERR_CONNECT_TIMEOUT)$/
/** The connection broke, timed out, or spoke something other than HTTP. */
const BROKE =
  /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|ENETRESET|ENOTCONN|UND_ERR_SOCKET|UND_ERR_INFO|UND_ERR_ABORTED|UND_ERR_(HEADERS|BODY)_TIMEOUT|UND_ERR_RES_CONTENT_LENGTH_MISMATCH|HPE_\w+|HTTPParserError)$/
/** A TLS handshake failed: a captive portal shows its own certificate, for as long as it stands. */
const TLS =
  /^(EPROTO|UND_ERR_PRX_TLS|ERR_TLS_\w+|ERR_SSL_\w+|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|HOSTNAME_MISMATCH)$/

/** What a network error calls itself: its code, or its name where it has none. */
const errorCode = (error: unknown): string => {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name)
}

/** The ruling on a request that ended without an answer. What is not in the table is fatal. */
export const judgeNetworkError = (error: unknown): Ruling => {
  const code = errorCode(error)
  const known = NEVER_CONNECTED.test(code) || BROKE.test(code) || TLS.test(code)
  return rule(known ? 'retry' : 'fatal', 'ERR_NETWORK')
}

/** Did a request fail before it can have reached the server? */
export const neverSent = (error: unknown): boolean => {
  const code = errorCode(error)
  if (TLS.test(code)) return true
  // A route may also be lost in the middle of a request: then it is `read` or `write` that fails.
  const { syscall = 'connect' } = (error ?? {}) as { syscall?: string }
  return NEVER_CONNECTED.test(code) && !/^(read|write)/.test(syscall)
}

/** How long a `Retry-After` header asks to wait, in ms: seconds or an HTTP date. */
export const readRetryAfter = (header: unknown, now = Date.now()): number | undefined => {
  if (typeof header !== 'string') return undefined
  const wait = /^\s*\d+\s*$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - now
  return Number.isNaN(wait) ? undefined : Math.max(0, wait)
}

/**
 * The wait before the next attempt, in ms: anywhere between `minDelay` and a ceiling that doubles
 * with each attempt up to `maxDelay` (full jitter, so that many uploads do not come back as one).
 */
export const backoff = (attempt: number, retry: RetryOptions, random = Math.random()): number => {
  const ceiling = Math.min(retry.maxDelay, retry.minDelay * 2 ** Math.min(attempt, 30))
  return Math.round(retry.minDelay + random * (ceiling - retry.minDelay))
}

/** What an attempt throws: a fault that was judged. */
export class Failure extends Error {
  readonly ruling: Ruling
  readonly details: ErrorDetails
  /** Wait that the server asked for, in ms. */
  readonly retryAfter: number | undefined

  constructor(ruling: Ruling, message: string, details: ErrorDetails = {}, retryAfter?: number) {
    super(message)
    this.ruling = ruling
    this.details = details
    this.retryAfter = retryAfter
  }

  /** The same, but no other try is to be made. */
  asFatal(message = this.message): Failure {
    return new Failure({ ...this.ruling, verdict: 'fatal' }, message, this.details)
  }
}

/** When something last moved on an upload, on the monotonic clock. */
export class Pulse {
  last = -Infinity
  beat(): void {
    this.last = performance.now()
  }
}

/** A gate that holds calls back: see RateGate. */
export interface Gate {
  /** Waits until the gate is open; says for how many ms. */
  pass(signal: AbortSignal): Promise<number>
  /** Closes the gate; says for how many ms. */
  close(retry: RetryOptions, retryAfter?: number): number
}

export interface Persistence {
  readonly retry: RetryOptions
  readonly signal: AbortSignal
  /** Renews the budget when anything on the upload moves. */
  readonly pulse: Pulse
  /** Where calls wait when the server told us to slow down. */
  readonly gate?: Gate
  /** Told before each wait: the attempt that failed, the wait in ms, and why. */
  readonly onRetry: (attempt: number, delay: number, error: RealtimeUploadError) => void
}

/**
 * Attempts until one succeeds, the fault is fatal, or the budget is spent: time since the first
 * failure during which nothing on the upload moved. Waits at the gate do not count.
 *
 * @throws {RealtimeUploadError} the last failure, with its number of attempts; or the signal's
 *   reason once it aborts
 */
export const persist = async <T>(
  attempt: (number: number) => Promise<T>,
  { retry, signal, pulse, gate, onRetry }: Persistence,
): Promise<T> => {
  let failingSince = Infinity
  let last: Verdict | undefined
  for (let number = 1; ; number++) {
    const held = (await gate?.pass(signal)) ?? 0
    failingSince += held
    try {
      signal.throwIfAborted()
      return await attempt(number)
    } catch (failure) {
      if (signal.aborted) throw signal.reason
      if (!(failure instanceof Failure)) throw failure
      const { verdict, code } = failure.ruling
      const error = new RealtimeUploadError(code, failure.message, {
        ...failure.details,
        attempts: number,
      })
      const now = performance.now()
      failingSince = Math.max(Math.min(failingSince, now), pulse.last)
      const left = failingSince + retry.giveUpAfter - now
      if (verdict === 'fatal' || (left <= 0 && number >= MIN_ATTEMPTS)) throw error

      const gated = gate !== undefined && code === 'ERR_RATE_LIMITED'
      // A new URL or token is asked for at once, but not for ever at that pace.
      const asked = Math.min(failure.retryAfter ?? 0, retry.maxDelay)
      let delay =
        verdict === 'retry' || verdict === last ? Math.max(backoff(number, retry), asked) : 0
      // The last wait is cut to the budget, so that the end comes when it was promised.
      if (left > 0) delay = Math.min(delay, left)
      if (gated) delay = gate.close(retry, failure.retryAfter)
      last = verdict
      onRetry(number, delay, error)
      if (!gated) await sleep(delay, signal)
    }
  }
}

/** Waits, in ms; rejects with the signal's reason as soon as it aborts. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted()
    const abort = () => {
      clearTimeout(timer)
      reject(signal.reason)
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    }, ms)
    signal.addEventListener('abort', abort, { once: true })
  })
