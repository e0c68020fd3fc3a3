/**
 * What becomes of the tokens of a new pairing: they are kept, or revoked. For Frame.io the device is paired
 * as soon as it has given them, and whoever has lost them cannot end that any more.
 *
 *   tokens ──► who is it? ──► save ──► paired
 *                  │           │
 *                  └───────────┴── aborted, refused, not to be saved ──► revoke ──► not paired
 */
import { AbortError, describeCause, RealtimeUploadError } from '../errors.ts'
import { DEADLINE, withDeadline } from '../net/deadline.ts'
import { Pulse, type Retry } from '../net/retry.ts'
import { Api } from './api.ts'
import type { Tokens } from './auth-answers.ts'
import type { AuthLine } from './auth-line.ts'
import { askDevice, type DeviceInfo } from './device-info.ts'
import { resolveClientOptions } from './options.ts'
import type { PairDeviceOptions } from './pairing-options.ts'
import { revoke } from './revoking.ts'

export interface PairingLine extends AuthLine {
  readonly onRetry: (retry: Retry) => void
}

/**
 * @returns who the device is; undefined where Frame.io could not be asked
 * @throws what it failed with, once the tokens are revoked
 */
export const keep = async (
  line: PairingLine,
  tokens: Tokens,
  save: NonNullable<PairDeviceOptions['save']>,
): Promise<DeviceInfo | undefined> => {
  const { signal } = line
  try {
    const device = await whoIs(line, tokens)
    signal.throwIfAborted()
    await save(tokens, signal)
    return device
  } catch (error) {
    const left = await takeBack(line, tokens)
    throw left ? both(line, error, left) : signal.aborted ? signal.reason : error
  }
}

/** How long it may take, with all tries, in ms: until it is over the tokens are nowhere but in memory. */
const LONGEST_ASKING = 10_000

/**
 * Who the device is. A person has done their part: not for want of this must that be lost. What Frame.io answers
 * a device that may not ask, or that it does not know yet, is not documented; a 401 alone is about the tokens.
 */
const whoIs = async (line: PairingLine, tokens: Tokens): Promise<DeviceInfo | undefined> => {
  const { client, dispatcher, retry } = line
  const { baseUrl, clientVersion } = client
  const device = { clientVersion }
  const token = tokens.accessToken
  const api = new Api(resolveClientOptions({ token, baseUrl, device, dispatcher, retry }))
  let isCallers = false
  const onRetry = (retry: Retry) => {
    try {
      line.onRetry(retry)
    } catch (error) {
      isCallers = true
      throw error
    }
  }
  try {
    return await withDeadline(line.signal, { allowed: () => LONGEST_ASKING }, signal =>
      askDevice(api, { signal, pulse: new Pulse(), onRetry }),
    )
  } catch (error) {
    if (error === DEADLINE) return undefined
    const isAnswer = !isCallers && error instanceof RealtimeUploadError
    if (isAnswer && error.code !== 'ERR_UNAUTHORIZED') return undefined
    throw error
  }
}

/** How long revoking may take in all, in ms: a person may have pressed Ctrl-C, and waits for the end. */
const LONGEST = 5_000
const RETRY = { giveUpAfter: 3_000, minDelay: 250, maxDelay: 1_000 }

const WHAT = 'The device stays paired at Frame.io, for revoking its tokens failed'

/** @returns why it failed, with what is to be done */
const takeBack = async (
  line: PairingLine,
  { refreshToken }: Tokens,
): Promise<RealtimeUploadError | undefined> => {
  // The caller's may have aborted: that is why it is done.
  const { signal: ours } = new AbortController()
  try {
    await withDeadline(ours, { allowed: () => LONGEST }, signal =>
      revoke({ ...line, retry: RETRY, signal }, refreshToken, WHAT),
    )
    return undefined
  } catch (error) {
    const late = `${WHAT}: no answer within ${LONGEST / 1_000} s`
    const said = error === DEADLINE ? late : describeCause(error)
    const code = error instanceof RealtimeUploadError ? error.code : 'ERR_TIMEOUT'
    return new RealtimeUploadError(code, `${said}; remove it in the project's C2C Connections`)
  }
}

/** Two failures in one error. */
const both = ({ signal }: PairingLine, error: unknown, left: RealtimeUploadError): Error => {
  if (signal.aborted)
    return new AbortError(left, `${describeCause(signal.reason)}. ${left.message}`)
  const { code, option } = error instanceof RealtimeUploadError ? error : left
  const text = `${describeCause(error)}. ${left.message}`
  return new RealtimeUploadError(code, text, { option, cause: error })
}
