/**
 * One request and its answer, with a deadline and a bound on what is read. How a fault of the
 * network becomes a Failure stands here, for calls to Frame.io and PUTs alike.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { type Dispatcher, request } from 'undici'
import { rule, take } from '../checks.ts'
import { describeCause, type ErrorDetails, RealtimeUploadError } from '../errors.ts'
import { requestBy } from './agents.ts'
import { DEADLINE, withDeadline } from './deadline.ts'
import { Failure } from './retry.ts'
import { judgeNetworkError, judgeUnreadable, RULINGS } from './rulings.ts'
import { unlessAborted } from './signals.ts'

export const checkDispatcher = (option: string, value: unknown): Dispatcher =>
  take(option, value, DISPATCHER)

const DISPATCHER = rule<Dispatcher>(
  'an undici Dispatcher',
  v => typeof v === 'object' && v !== null && 'dispatch' in v && typeof v.dispatch === 'function',
)

export interface Exchange {
  readonly dispatcher: Dispatcher
  readonly method: Dispatcher.HttpMethod
  readonly url: string | URL
  readonly headers: Record<string, string>
  readonly body: string | Iterable<Uint8Array> | AsyncIterable<Uint8Array> | null
  readonly signal: AbortSignal
  /** How long it may take in all, in ms; asked again and again. */
  readonly allowed: () => number
  /**
   * Told at once when it took longer, after how many ms: what others are allowed may depend on it.
   * Whether that is reason enough to give up; if not, it is none however often it happens.
   */
  readonly onCut?: (after: number) => boolean
  /** Bytes of the answer that are read; what comes after is dropped with the connection. */
  readonly readAtMost: number
  /** What is being done, as the beginning of an error message. */
  readonly what: string
  readonly details: ErrorDetails
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** @throws {Failure} when no answer came; the signal's reason when it aborted */
export const exchange = async (options: Exchange): Promise<Answer> => {
  const {
    dispatcher,
    method,
    url,
    headers,
    body,
    signal,
    allowed,
    onCut,
    readAtMost,
    what,
    details,
  } = options
  let cut = { after: 0, isFinal: false }
  const onDeadline = (after: number) => {
    cut = { after, isFinal: onCut?.(after) ?? false }
  }
  /** What our own body failed with: no fault of the network. */
  let bodyFault: unknown
  const watched = async function* (bytes: Iterable<Uint8Array> | AsyncIterable<Uint8Array>) {
    try {
      yield* bytes
    } catch (error) {
      bodyFault = error
      throw error
    }
  }
  const isPlain = body === null || typeof body === 'string'
  try {
    return await withDeadline(signal, { allowed, onDeadline }, signal => {
      const ask = async () => {
        const answer = await request(url, {
          dispatcher,
          method,
          headers,
          // undici types only Node's streams and buffers, but takes any iterable of bytes.
          body: (isPlain ? body : watched(body)) as NonNullable<Dispatcher.DispatchOptions['body']>,
          signal,
          // Its own timers have other rules than ours: two clocks would make faults hard to explain.
          headersTimeout: 0,
          bodyTimeout: 0,
        })
        const text = await readText(answer.body, readAtMost)
        return { status: answer.statusCode, headers: answer.headers, text }
      }
      return requestBy(dispatcher, signal, unlessStuck(signal, ask()))
    })
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error === DEADLINE) {
      const message = `${what}: no answer within ${(cut.after / 1_000).toFixed(1)} s`
      const failure = new Failure(RULINGS.timeout, message, details, { isExcused: !!onCut })
      throw cut.isFinal ? failure.asFatal() : failure
    }
    if (bodyFault instanceof RealtimeUploadError) throw notHad(bodyFault, what, details)
    const ruling = bodyFault === undefined ? judgeNetworkError(error) : RULINGS.misuse
    const why = ruling === RULINGS.misuse ? ', which another try would not better' : ''
    throw new Failure(ruling, `${what}: ${whose(error)}${describeCause(error)}${why}`, {
      ...details,
      cause: error,
    })
  }
}

/** What a request fails with whose bytes could not be had where they lie. */
export const notHad = (error: RealtimeUploadError, what: string, details: ErrorDetails): Error => {
  // Of a file that is followed and was cut: no other try betters that.
  if (error.code === 'ERR_SOURCE_TRUNCATED') return error
  const { message, path, offset, cause } = error
  const known = { ...details, path, offset, cause }
  return new Failure(judgeUnreadable(error), `${what}: ${message}`, known)
}

/** Of a login that a SOCKS proxy refuses undici does not say whose it is: people would look at the token. */
const whose = (error: unknown): string =>
  /^UND_ERR_SOCKS5/.test(String((error as { code?: unknown } | undefined)?.code))
    ? 'SOCKS proxy: '
    : ''

/** How long an aborted request gets to come to its own end, in ms. */
const LINGER = 100

/**
 * undici heeds an abort only once it is connected, which takes long where the network is gone. Until
 * then it does not touch the body, and once aborted it never will: so it need not be waited for.
 */
const unlessStuck = async <T>(signal: AbortSignal, answer: Promise<T>): Promise<T> => {
  const end = answer.then(
    () => {},
    () => {},
  )
  try {
    return await unlessAborted(signal, answer)
  } catch (error) {
    if (signal.aborted) await Promise.race([end, wait(LINGER, undefined, { ref: false })])
    throw error
  }
}

/** The text of a body, cut after so many bytes. */
const readText = async (body: Dispatcher.ResponseData['body'], readAtMost: number) => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    size += chunk.length
    if (size >= readAtMost) break
  }
  return Buffer.concat(chunks).toString('utf8')
}
