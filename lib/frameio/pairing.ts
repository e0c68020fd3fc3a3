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
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { Failure, Pulse, type RetryOptions, withRetries } from '../net/retry.ts'
import { judgeAuthAnswer } from '../net/rulings.ts'
import { followSignal, unlessAborted } from '../net/signals.ts'
import { Api } from './api.ts'
import { type AuthAnswer, type AuthClient, askAuth } from './auth.ts'
import { type DeviceCode, readDeviceCode, readTokens, type Tokens } from './auth-answers.ts'
import { askDevice, type DeviceInfo } from './device-info.ts'
import { resolveClientOptions } from './options.ts'
import { type Clock, type PairDeviceOptions, resolvePairing } from './pairing-options.ts'

export type { PairDeviceOptions, PairingCode } from './pairing-options.ts'

export interface Pairing {
  /** To be kept where nobody else can read them: `saveDeviceTokens` does. */
  readonly tokens: Tokens
  /** Undefined where Frame.io could not be asked any more: the device is paired all the same. */
  readonly device: DeviceInfo | undefined
}

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
  const { client, dispatcher, retry, signal, onCode, clock } = resolvePairing(options)
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
