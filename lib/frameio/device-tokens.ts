/**
 * The tokens of a Camera to Cloud device, in a file that all its processes share.
 *
 *     in force? ──► use it
 *        │ no
 *     another one in the file? ──► use that: another process has refreshed
 *        │ no
 *     the lock ──► look again ──► refresh ──► the new pair durable in the file ──► use it
 *
 * What holds always:
 * 1. A refresh token is sent by who has the lock, and by nobody else: it works once (Frame.io's C2C guide).
 * 2. A new pair is durable before it is used: with the answer the old pair is dead, both tokens of it.
 * 3. While a new pair is not in the file yet, the lock stays with who has it: with what is in the file
 *    nobody could do anything.
 */
import { setTimeout as wait } from 'node:timers/promises'
import type { Dispatcher } from 'undici'
import {
  abortSignal,
  definedOf,
  object,
  refuseUnknown,
  secret,
  take,
  takeIfGiven,
  text,
} from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import type { Lock } from '../lock.ts'
import { checkDispatcher } from '../net/http.ts'
import { neverSent } from '../net/rulings.ts'
import { type AuthClient, CLIENT_ID } from './auth.ts'
import { checkTokens, type Tokens } from './auth-answers.ts'
import { FOR_CALLERS } from './dialect.ts'
import { BASE_URL, checkBaseUrl, checkVersion } from './options.ts'
import { refresh } from './refresh.ts'
import { leadOf, type Renewed, renewing } from './renewing.ts'
import type { RefreshingToken } from './token.ts'
import {
  type KeptTokens,
  LONGEST_WAIT,
  LOOK_AGAIN,
  onFile,
  stuck,
  type TokenFile,
  tokenFile,
} from './token-file.ts'

export interface DeviceTokensOptions {
  /**
   * Path of a JSON file, which `saveDeviceTokens` makes after a pairing. Any number of processes may share
   * it, on a local disk. What else stands in it stays. Its lock, `<file>.lock`, lies beside it.
   */
  readonly file: string
  /** The device's, as it was paired. */
  readonly clientId: string
  /** Of the device's model. */
  readonly clientSecret?: string | undefined
  /** Semantic version of your device or app, sent as `x-client-version`. Default `'0.0.0'`. */
  readonly clientVersion?: string | undefined
  /** Frame.io's API: `https`, or `http` on a loopback host. Default `'https://api.frame.io'`. */
  readonly baseUrl?: string | URL | undefined
  /** An undici `Dispatcher`. It is never closed for you. Default: connections of its own. */
  readonly dispatcher?: Dispatcher | undefined
}

/**
 * A `token` for clients and uploads from a file of a device's tokens, refreshed ahead of expiry and after
 * a 401, by one process at a time. A call that gets a 401 since another process has refreshed takes the
 * new token from the file.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`. Its calls reject with `ERR_NOT_PAIRED` where the
 *   file has no tokens, or Frame.io takes the refresh token no more: after 14 days, a revocation, or a
 *   refresh whose answer was lost, which is tried once more first. `ERR_UNAUTHORIZED` where Frame.io
 *   does not know the client, `ERR_INVALID_OPTION` where the file never held JSON. All of these end an
 *   upload; anything else is tried again.
 */
export const deviceTokens = (options: DeviceTokensOptions): RefreshingToken => {
  const { client, dispatcher, path } = resolveTokenOptions(options)
  const file = patient(tokenFile(path))
  /** A new pair that is not in the file yet, with the lock. Holds 3. */
  let unsaved: { readonly tokens: Tokens; readonly lock: Lock } | undefined
  /** Whether a refresh may have been carried out whose answer never came. */
  let mayBeLost = false

  const refused = (message: string, statusCode: number, reason: string | undefined) => {
    if (reason === 'invalid_client') {
      const text = `${message}; ${FOR_CALLERS.client}`
      return new RealtimeUploadError('ERR_UNAUTHORIZED', text, { statusCode, option: 'clientId' })
    }
    const why = mayBeLost ? 'the answer to a refresh was lost' : 'its tokens are dead'
    return notPaired(`${message}; ${why}: pair the device again`, { path, statusCode })
  }
  const refreshTwice = async (refreshToken: string): Promise<Tokens> => {
    const once = () => refresh(client, dispatcher, refreshToken, refused)
    const tokens = await once().catch(error => {
      if (!isAmbiguous(error)) throw error
      mayBeLost = true
      // It may have been lost on its way there: then the token still works.
      return once()
    })
    mayBeLost = false
    return tokens
  }
  /** Holds 2. */
  const save = async ({ tokens, lock }: NonNullable<typeof unsaved>): Promise<Renewed> => {
    await file.write(tokens)
    unsaved = undefined
    await lock.release()
    return { ...tokens, left: tokens.lifetime }
  }
  const renewWith = async (lock: Lock, dead: string | undefined): Promise<Renewed> => {
    try {
      const kept = await file.read()
      const fresh = freshOf(kept, dead)
      if (fresh) return fresh
      if (!kept) throw notPaired(`There are no tokens in ${path}: pair the device`, { path })
      unsaved = { tokens: await refreshTwice(kept.refreshToken), lock }
    } finally {
      if (!unsaved) await lock.release()
    }
    return save(unsaved)
  }

  return renewing(async dead => {
    if (unsaved) return save(unsaved)
    for (const start = performance.now(); ; await wait(LOOK_AGAIN)) {
      const fresh = freshOf(await file.read(), dead)
      if (fresh) return fresh
      const lock = await file.tryLock()
      if (lock) return renewWith(lock, dead) // Holds 1.
      if (performance.now() - start > LONGEST_WAIT) throw stuck(path)
    }
  })
}

/**
 * Keeps the tokens of a pairing in a file: 0600, durable when this is over. What else stands in the file
 * stays. Processes that use it go on with the new tokens.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where options are bad or the file cannot be written;
 *   `ERR_TIMEOUT` where another process has its lock for more than two minutes; an `AbortError`
 */
export const saveDeviceTokens = async (options: {
  readonly file: string
  readonly tokens: Tokens
  /** Ends the wait for the file's lock, and then nothing is written. What is being written is finished. */
  readonly signal?: AbortSignal | undefined
}): Promise<void> => {
  object('options', options)
  refuseUnknown('', options, ['file', 'tokens', 'signal'])
  const path = take('file', options.file, FILE)
  const tokens = checkTokens('tokens', options.tokens)
  const signal = takeIfGiven('signal', options.signal, abortSignal)
  const file = tokenFile(path)
  await onFile(path, async () => {
    const lock = await file.lock(signal).catch(error => {
      throw signal?.aborted ? new AbortError(signal.reason, 'The saving was aborted') : error
    })
    await file.write(tokens).finally(() => lock.release())
  })
}

/**
 * A file that was read once is one of tokens. Where it is none later on, somebody is editing it: that passes,
 * and must end no take.
 */
const patient = (file: TokenFile): Pick<TokenFile, 'read' | 'write' | 'tryLock'> => {
  let wasRead = false
  const passing = (error: Error) => {
    const isOdd = error instanceof RealtimeUploadError && error.code === 'ERR_INVALID_OPTION'
    return wasRead && isOdd ? new Error(error.message, { cause: error }) : error
  }
  const within = <T>(work: Promise<T>) =>
    work.catch(error => {
      throw passing(error)
    })
  return {
    async read() {
      const kept = await within(file.read())
      wasRead = true
      return kept
    },
    write: tokens => within(file.write(tokens)),
    tryLock: file.tryLock,
  }
}

/** What is kept, where its access token is in force for a while yet. */
const freshOf = (kept: KeptTokens | undefined, dead: string | undefined): KeptTokens | undefined =>
  kept && kept.accessToken !== dead && kept.left > leadOf(kept.lifetime) ? kept : undefined

/** May a refresh that failed so have been carried out? */
const isAmbiguous = (error: unknown): boolean => {
  if (!(error instanceof RealtimeUploadError)) return false
  const { code, statusCode = 0, cause } = error
  return code === 'ERR_SERVER' ? statusCode >= 500 : code === 'ERR_NETWORK' && !neverSent(cause)
}

const notPaired = (message: string, details: { path: string; statusCode?: number }) =>
  new RealtimeUploadError('ERR_NOT_PAIRED', message, details)

const FILE = text('the path of a file', /./)

/** @param more names of options that others take as well */
export const resolveTokenOptions = (options: DeviceTokensOptions, more: readonly string[] = []) => {
  object('options', options)
  refuseUnknown('', options, [...KNOWN, ...more])
  const { file, clientId, clientSecret, dispatcher } = options
  const { clientVersion = '0.0.0', baseUrl = BASE_URL } = definedOf(options)
  const client: AuthClient = {
    baseUrl: checkBaseUrl(baseUrl),
    clientId: take('clientId', clientId, CLIENT_ID),
    clientSecret: clientSecret === undefined ? undefined : secret('clientSecret', clientSecret),
    clientVersion: checkVersion('clientVersion', clientVersion),
  }
  return {
    client,
    path: take('file', file, FILE),
    dispatcher: dispatcher === undefined ? undefined : checkDispatcher('dispatcher', dispatcher),
  }
}

const KNOWN = [
  'file',
  'clientId',
  'clientSecret',
  'clientVersion',
  'baseUrl',
  'dispatcher',
] as const satisfies (keyof DeviceTokensOptions)[]
