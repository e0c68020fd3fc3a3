/**
 * Pairing a Camera to Cloud device: a person lets it into a project (RFC 8628, the device grant).
 *
 *   1. Ask for a code.
 *   2. Show it: `onCode`. A person types it in the project's C2C Connections, or opens the link.
 *   3. Ask every few seconds whether that has been done. The code expires: back to 1.
 *   4. With the tokens, ask who the device is now, and in which project.
 *
 * All times are on the monotonic clock, for that of a camera jumps when it first has a network.
 */
import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import {
  abortSignal,
  aFunction,
  definedOf,
  object,
  refuseUnknown,
  secret,
  take,
  takeIfGiven,
} from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { checkDispatcher } from '../net/http.ts'
import { checkRetry, Failure, Pulse, type RetryOptions, sleep, withRetries } from '../net/retry.ts'
import { judgeAuthAnswer } from '../net/rulings.ts'
import { followSignal, unlessAborted } from '../net/signals.ts'
import { Api } from './api.ts'
import { type AuthAnswer, type AuthClient, askAuth, CLIENT_ID } from './auth.ts'
import { askDevice } from './device-info.ts'
import { BASE_URL, checkBaseUrl, checkVersion, DEFAULTS, resolveClientOptions } from './options.ts'
import {
  type DeviceCode,
  type DeviceInfo,
  readDeviceCode,
  readTokens,
  type Tokens,
} from './protocol.ts'

export interface PairDeviceOptions {
  /** Of this very device: unique and lasting, such as a UUID; no mail or MAC address (Frame.io's C2C guide). */
  readonly clientId: string
  /** Of the device's model. Frame.io gives it to its maker. */
  readonly clientSecret: string
  /** Semantic version of your device or app, sent as `x-client-version`. Default `'0.0.0'`. */
  readonly clientVersion?: string | undefined
  /** Frame.io's API: `https`, or `http` on a loopback host. Default `'https://api.frame.io'`. */
  readonly baseUrl?: string | URL | undefined
  /** An undici `Dispatcher`. It is never closed for you. Default: connections of its own. */
  readonly dispatcher?: Dispatcher | undefined
  /** Another try after transient faults, as of a client. */
  readonly retry?: Partial<RetryOptions> | undefined
  /** Ends the pairing at whatever step: it rejects with an `AbortError`, and nothing is in flight any more. */
  readonly signal?: AbortSignal | undefined
  /**
   * Shows the code to a person. Called again with another each time that one has expired. What it
   * throws is what the pairing fails with, and a promise that it returns is awaited.
   */
  readonly onCode: (code: PairingCode) => void | Promise<void>
}

/** What is shown to the person who pairs the device. */
export interface PairingCode {
  /** Six digits (Frame.io's C2C guide). */
  readonly userCode: string
  /** Where the code can be entered, if Frame.io says. */
  readonly verificationUri: string | undefined
  /** The same with the code in it: for a QR code. */
  readonly verificationUriComplete: string | undefined
  /** When it ends, on the clock of `performance.now()`: two minutes at most. */
  readonly expiresAt: number
}

export interface Pairing {
  /** To be kept where nobody else can read them: `saveDeviceTokens` does. */
  readonly tokens: Tokens
  /** Undefined where Frame.io could not be asked any more: the device is paired all the same. */
  readonly device: DeviceInfo | undefined
}

/** How time passes. */
interface Clock {
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The door by which tests hand in a clock. It is not exported from the package. */
export const CLOCK_DOOR: unique symbol = Symbol('clock')

/**
 * Pairs a device with a project of Frame.io's: shows a code until a person has entered it, and a new one
 * each time it expires, until the signal aborts.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`; `ERR_UNAUTHORIZED` where Frame.io knows no such
 *   client (`invalid_client`), `ERR_FORBIDDEN` where the person declined, `ERR_REQUEST_REJECTED` where
 *   it refuses anything else (`invalid_request`); `ERR_NETWORK`, `ERR_TIMEOUT`, `ERR_SERVER` and
 *   `ERR_BAD_RESPONSE` where no code is to be had within `retry.giveUpAfter`; an `AbortError`
 *
 * @example
 * const { tokens, device } = await pairDevice({
 *   clientId, clientSecret, clientVersion: '1.0.0',
 *   onCode: ({ userCode }) => console.log(userCode.slice(0, 3), userCode.slice(3)),
 * })
 * await saveDeviceTokens({ file: 'tokens.json', tokens })
 */
export const pairDevice = async (options: PairDeviceOptions): Promise<Pairing> => {
  const { client, dispatcher, retry, signal, onCode, clock } = resolve(options)
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  const abort = (reason: unknown) => ending.abort(new AbortError(reason, 'The pairing was aborted'))
  const unfollow = signal ? followSignal(signal, abort) : () => {}
  if (signal?.aborted) abort(signal.reason)
  const own = dispatcher ? undefined : openAgent()
  const line: Line = {
    client,
    dispatcher: dispatcher ?? (own as NonNullable<typeof own>).dispatcher,
    retry,
    signal: ending.signal,
    clock,
  }
  try {
    for (;;) {
      const code = await requestCode(line)
      const { userCode, verificationUri, verificationUriComplete, expiresAt } = code
      const shown = { userCode, verificationUri, verificationUriComplete, expiresAt }
      await unlessAborted(line.signal, (async () => onCode(shown))())
      const tokens = await waitForPerson(line, code)
      if (tokens) return { tokens, device: await whoIs(line, tokens) }
    }
  } finally {
    unfollow()
    await own?.close()
  }
}

interface Line {
  readonly client: AuthClient
  readonly dispatcher: Dispatcher
  readonly retry: RetryOptions
  readonly signal: AbortSignal
  readonly clock: Clock
}

/** A code, and when it ends. */
type Code = DeviceCode & { readonly expiresAt: number }

/** Write, stay paired, and nothing else (Frame.io's C2C guide). */
const SCOPE = 'asset_create offline'

const requestCode = ({ client, dispatcher, retry, signal, clock }: Line): Promise<Code> => {
  const what = 'Asking for a code failed'
  const attempt = async () => {
    // It ends at Frame.io before it ends here, however long the answer was under way.
    const askedAt = clock.now()
    const answer = await askAuth(client, {
      dispatcher,
      path: '/v2/auth/device/code',
      form: { scope: SCOPE },
      // Else no link comes with the code (Frame.io's C2C guide).
      headers: { 'x-client-platypus-enabled': 'true' },
      secrets: [],
      signal,
      what,
    })
    // A portal's page may come with 200.
    if (answer.status !== 200 || answer.body === undefined) throw refusal(what, answer)
    const code = readDeviceCode(answer.body)
    return { ...code, expiresAt: askedAt + code.lifetime }
  }
  return withRetries(attempt, { retry, signal, pulse: new Pulse(), onRetry: () => {} })
}

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** RFC 8628 §3.5: after a `slow_down` so many ms more between polls, of this code. */
const SLOWER_BY = 5_000

/** The tokens, once a person has entered the code; undefined where it has expired. */
const waitForPerson = async (line: Line, code: Code): Promise<Tokens | undefined> => {
  const { signal, clock } = line
  let { interval } = code
  // Frame.io has the last word on its end, for clocks differ: ours only where nothing is heard.
  for (const end = code.expiresAt + interval; clock.now() < end; ) {
    await clock.sleep(interval, signal)
    const said = await poll(line, code.deviceCode).catch(error => {
      if (!(error instanceof Failure) || error.ruling.verdict === 'fatal') throw final(error)
      // RFC 8628 §3.5: less often while the network is in trouble, such as twice as long each time.
      interval *= 2
      return 'pending' as const
    })
    if (said === 'slower') interval += SLOWER_BY
    else if (said === 'over') return undefined
    else if (said !== 'pending') return said
  }
  return undefined
}

/** What the words of RFC 8628 §3.5 mean, but for those that end it all. */
const WORDS: Readonly<Record<string, 'pending' | 'slower' | 'over'>> = {
  authorization_pending: 'pending',
  slow_down: 'slower',
  expired_token: 'over',
  // Frame.io says so of a code that it knows no more (Frame.io's C2C guide).
  invalid_grant: 'over',
}

const poll = async ({ client, dispatcher, signal }: Line, deviceCode: string) => {
  const what = 'Pairing failed'
  const answer = await askAuth(client, {
    dispatcher,
    path: '/v2/auth/token',
    form: { grant_type: GRANT, device_code: deviceCode },
    secrets: [deviceCode],
    signal,
    what,
  })
  if (answer.status === 200 && answer.body !== undefined) return readTokens(answer.body)
  const word = answer.reason === undefined ? undefined : WORDS[answer.reason]
  if (word === undefined || answer.status >= 500) throw refusal(what, answer)
  return word
}

const refusal = (what: string, { status, reason }: AuthAnswer): Failure => {
  const ruling = judgeAuthAnswer(status, reason)
  const advice = ADVICE[reason ?? ''] ?? ''
  const message = `${what}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}${advice}`
  return new Failure(ruling, message, { statusCode: status })
}

const ADVICE: Readonly<Record<string, string>> = {
  invalid_client: "; check clientId and clientSecret, which is that of the device's model",
  invalid_request: '; the clientId must be unique to the device, and no mail or MAC address',
  access_denied: '; the person declined',
}

const final = (error: unknown) =>
  error instanceof Failure
    ? new RealtimeUploadError(error.ruling.code, error.message, error.details)
    : error

/** Who the device is. A person has done their part: not for want of this must that be lost. */
const whoIs = async (line: Line, tokens: Tokens): Promise<DeviceInfo | undefined> => {
  const { client, dispatcher, retry, signal } = line
  const { baseUrl, clientVersion } = client
  const device = { clientVersion }
  const token = tokens.accessToken
  const api = new Api(resolveClientOptions({ token, baseUrl, device, dispatcher, retry }))
  try {
    return await askDevice(api, { signal, pulse: new Pulse(), onRetry: () => {} })
  } catch (error) {
    if (error instanceof RealtimeUploadError && MAY_PASS.has(error.code)) return undefined
    throw error
  }
}

/** Faults of the way to Frame.io, or of its own. */
const MAY_PASS: ReadonlySet<string> = new Set([
  'ERR_NETWORK',
  'ERR_TIMEOUT',
  'ERR_SERVER',
  'ERR_RATE_LIMITED',
  'ERR_BAD_RESPONSE',
])

const resolve = (options: PairDeviceOptions) => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { clientId, clientSecret, dispatcher, retry, signal, onCode } = options
  const { clientVersion = '0.0.0', baseUrl = BASE_URL } = definedOf(options)
  const client: AuthClient = {
    baseUrl: checkBaseUrl(baseUrl),
    clientId: take('clientId', clientId, CLIENT_ID),
    clientSecret: secret('clientSecret', clientSecret),
    clientVersion: checkVersion('clientVersion', clientVersion),
  }
  const { [CLOCK_DOOR]: clock } = options as { [CLOCK_DOOR]?: Clock }
  return {
    client,
    dispatcher: dispatcher === undefined ? undefined : checkDispatcher('dispatcher', dispatcher),
    retry: checkRetry(retry, DEFAULTS.retry),
    signal: takeIfGiven('signal', signal, abortSignal),
    onCode: take('onCode', onCode, aFunction) as PairDeviceOptions['onCode'],
    clock: clock ?? { now: () => performance.now(), sleep },
  }
}

const KNOWN = [
  'clientId',
  'clientSecret',
  'clientVersion',
  'baseUrl',
  'dispatcher',
  'retry',
  'signal',
  'onCode',
] as const satisfies (keyof PairDeviceOptions)[]
