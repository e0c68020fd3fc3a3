/**
 * Pairing a Camera to Cloud device: a person lets it into a project (RFC 8628, the device grant).
 *
 *   1. Ask for a code.
 *   2. Show it: `onCode`. A person types it in the project's C2C Connections, or opens the link.
 *   3. Ask every few seconds whether that has been done. The code expires: back to 1.
 *   4. With the tokens, ask who the device is now, and in which project; save them, or revoke them.
 *
 * All times are on the monotonic clock, for that of a camera jumps when it first has a network.
 */
import { RealtimeUploadError } from '../errors.ts'
import { Failure, Pulse, withRetries } from '../net/retry.ts'
import { outliving, unlessAborted } from '../net/signals.ts'
import { askAuth } from './auth.ts'
import { type DeviceCode, readDeviceCode, readTokens, type Tokens } from './auth-answers.ts'
import { openLine, refusalOf } from './auth-line.ts'
import type { DeviceInfo } from './device-info.ts'
import { keep, type PairingLine } from './newly-paired.ts'
import { type Clock, type PairDeviceOptions, resolvePairing } from './pairing-options.ts'

export type { PairDeviceOptions, PairingCode } from './pairing-options.ts'

export interface Pairing {
  /** To be kept where nobody else can read them, unless `save` has: `saveDeviceTokens` does. */
  readonly tokens: Tokens
  /** Undefined where Frame.io could not be asked any more, for 10 s at most, or did not say: it is paired all the same. */
  readonly device: DeviceInfo | undefined
}

/**
 * Pairs a device with a project of Frame.io's: shows a code until a person has entered it, and a new one
 * each time it expires, until the signal aborts. Where it rejects after Frame.io has given tokens, they are
 * revoked first, within 5 s; where that fails, the error's message says so, and what to do.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`; `ERR_UNAUTHORIZED` where Frame.io knows no such
 *   client (`invalid_client`), `ERR_FORBIDDEN` where the person declined, `ERR_REQUEST_REJECTED` where
 *   it refuses anything else (`invalid_request`); `ERR_NETWORK`, `ERR_TIMEOUT`, `ERR_SERVER` and
 *   `ERR_BAD_RESPONSE` where no code is to be had within `retry.giveUpAfter`; an `AbortError`; and what
 *   `onCode`, `onRetry` and `save` throw
 *
 * @example
 * const { device } = await pairDevice({
 *   clientId, clientSecret, clientVersion: '1.0.0',
 *   onCode: ({ userCode }) => console.log(userCode.slice(0, 3), userCode.slice(3)),
 *   save: (tokens, signal) => saveDeviceTokens({ file: 'tokens.json', tokens, signal }),
 * })
 */
export const pairDevice = async (options: PairDeviceOptions): Promise<Pairing> => {
  const { onCode, onRetry, save, clock, ...settings } = resolvePairing(options)
  const { line: common, close } = openLine(settings, 'The pairing was aborted')
  const line: Line = { ...common, onRetry, clock }
  try {
    for (;;) {
      const code = await requestCode(line)
      const over = new AbortController()
      try {
        const { userCode, verificationUri, verificationUriComplete } = code
        const shown = { userCode, verificationUri, verificationUriComplete, signal: over.signal }
        const expiresIn = Math.max(0, code.expiresAt - clock.now())
        await unlessAborted(line.signal, (async () => onCode({ ...shown, expiresIn }))())
        const tokens = await waitForPerson(line, code)
        over.abort()
        if (tokens) return { tokens, device: await keep(line, tokens, save) }
      } finally {
        over.abort()
      }
    }
  } finally {
    await close()
  }
}

interface Line extends PairingLine {
  readonly clock: Clock
}

/** A code, and when it ends. */
type Code = DeviceCode & { readonly expiresAt: number }

/** Write, stay paired, and nothing else (Frame.io's C2C guide). */
const SCOPE = 'asset_create offline'

const requestCode = (line: Line): Promise<Code> => {
  const { client, dispatcher, retry, signal, onRetry, clock } = line
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
    if (answer.status !== 200 || answer.body === undefined) throw refusalOf(what, answer, NO_CODE)
    const code = readDeviceCode(answer.body)
    return { ...code, expiresAt: askedAt + code.lifetime }
  }
  return withRetries(attempt, { retry, signal, pulse: new Pulse(), onRetry })
}

const NO_CODE = {
  invalid_request: 'clientId must be unique to the device, and no mail or MAC address',
}

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code'

/** RFC 8628 §3.5: after a `slow_down` so many ms more between polls, of this code. */
const SLOWER_BY = 5_000

/** The tokens, once a person has entered the code; undefined where it has expired. */
const waitForPerson = async (line: Line, code: Code): Promise<Tokens | undefined> => {
  const { signal, clock, onRetry } = line
  let { interval } = code
  let failures = 0
  // Frame.io has the last word on its end, for clocks differ: ours only where nothing is heard.
  for (const end = code.expiresAt + interval; clock.now() < end; ) {
    await clock.sleep(interval, signal)
    const said = await poll(line, code.deviceCode).catch(error => {
      if (signal.aborted) throw signal.reason
      if (!(error instanceof Failure) || error.ruling.verdict === 'fatal') throw final(error)
      // RFC 8628 §3.5: less often while the network is in trouble, such as twice as long each time.
      interval *= 2
      failures += 1
      const giveUpIn = Math.max(0, end - clock.now())
      onRetry({ attempt: failures, delay: interval, giveUpIn, error: toldOf(error) })
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

/** How long an answer that is under way is waited for when the signal aborts, in ms: tokens may be in it. */
const LAST_ANSWER = 1_000

const poll = async ({ client, dispatcher, signal: aborting }: Line, deviceCode: string) => {
  const what = 'Pairing failed'
  const answer = await outliving(aborting, LAST_ANSWER, signal =>
    askAuth(client, {
      dispatcher,
      path: '/v2/auth/token',
      form: { grant_type: GRANT, device_code: deviceCode },
      secrets: [deviceCode],
      signal,
      what,
    }),
  )
  if (answer.status === 200 && answer.body !== undefined) return readTokens(answer.body)
  const word = answer.reason === undefined ? undefined : WORDS[answer.reason]
  if (word === undefined || answer.status >= 500) throw refusalOf(what, answer, DECLINED)
  return word
}

const DECLINED = { access_denied: 'the person declined' }

const final = (error: unknown) => (error instanceof Failure ? toldOf(error) : error)

const toldOf = ({ ruling, message, details }: Failure) =>
  new RealtimeUploadError(ruling.code, message, details)
