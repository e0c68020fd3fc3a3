/**
 * What users set for a pairing, and what it becomes: partial options in, complete ones out, once.
 */
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
import { checkDispatcher } from '../net/http.ts'
import { checkRetry, type Retry, type RetryOptions, sleep } from '../net/retry.ts'
import { type AuthClient, CLIENT_ID } from './auth.ts'
import type { Tokens } from './auth-answers.ts'
import { BASE_URL, checkBaseUrl, checkVersion, DEFAULTS } from './options.ts'

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
  /**
   * Keeps the tokens, such as by `saveDeviceTokens`, as the last step: once it is done the device is paired,
   * whatever the signal does. What it throws is what the pairing fails with, and then the tokens are revoked.
   * Its signal aborts with the pairing's. Default: whoever called has them.
   */
  readonly save?: ((tokens: Tokens, signal: AbortSignal) => void | Promise<void>) | undefined
  /**
   * Told before each other try, also where Frame.io could not be asked whether the code was entered: then
   * `giveUpIn` says when there will be another code. What it throws is what the pairing fails with.
   * Default: nobody is told.
   */
  readonly onRetry?: ((retry: Retry) => void) | undefined
}

/** What is shown to the person who pairs the device. */
export interface PairingCode {
  /** Six digits (Frame.io's C2C guide). */
  readonly userCode: string
  /** Where the code can be entered, if Frame.io says. */
  readonly verificationUri: string | undefined
  /** The same with the code in it: for a QR code. */
  readonly verificationUriComplete: string | undefined
  /** How long it can be entered from now on, in ms: two minutes at most. */
  readonly expiresIn: number
  /** Aborts when there is no use in showing it any more: it was entered or has expired, or the pairing ended. */
  readonly signal: AbortSignal
}

/** How time passes. */
export interface Clock {
  now(): number
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

/** The door by which tests hand in a clock. It is not exported from the package. */
export const CLOCK_DOOR: unique symbol = Symbol('clock')

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolvePairing = (options: PairDeviceOptions) => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { clientId, clientSecret, dispatcher, retry, signal, onCode } = options
  const { clientVersion = '0.0.0', baseUrl = BASE_URL } = definedOf(options)
  const { onRetry = () => {}, save = () => {} } = definedOf(options)
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
    onRetry: take('onRetry', onRetry, aFunction) as (retry: Retry) => void,
    save: take('save', save, aFunction) as NonNullable<PairDeviceOptions['save']>,
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
  'save',
  'onRetry',
] as const satisfies (keyof PairDeviceOptions)[]
