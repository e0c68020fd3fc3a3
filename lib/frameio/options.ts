/**
 * What users may set for calls to Frame.io, and what it becomes: partial options in, complete ones
 * out, once.
 */
import type { Dispatcher } from 'undici'
import {
  aFunction,
  definedOf,
  flag,
  integer,
  invalid,
  number,
  object,
  positive,
  refusal,
  refuseUnknown,
  rule,
  take,
  text,
} from '../checks.ts'
import { checkDispatcher } from '../net/http.ts'
import { checkRetry, type Retry, type RetryOptions } from '../net/retry.ts'
import { type Dialect, dialectOfV2 } from './dialect.ts'
import { MEMORY_LIMIT } from './memory-limit.ts'
import { type PresenceRules, presenceRulesOf } from './presence.ts'
import { type Limits, limitsOf } from './protocol.ts'
import { checkTokenOption, type Token } from './token.ts'

/** Use the Camera to Cloud paths (`/v2/devices/assets`) instead of the platform's. */
export interface Device {
  /** Semantic version of your device or app, sent as `x-client-version`. Default `'0.0.0'`. */
  readonly clientVersion?: string | undefined
}

/** Where a recording is kept on the disk until Frame.io has it. */
export interface SpoolOptions {
  /** A folder on a local disk. Each upload gets a folder of its own in it, named after its asset. */
  readonly dir: string
  /**
   * `true`: every byte goes to the disk while it goes to Frame.io, and outlives this process and a
   * power cut. `false`: only what memory cannot hold, which outlives an outage and nothing else.
   * Default true.
   */
  readonly durable?: boolean | undefined
  /**
   * Bytes on the disk, of each upload at most. Default `Infinity`. Beyond that memory fills, and then
   * the source is held.
   */
  readonly maxBytes?: number | undefined
  /** Bytes that are left free on the volume. Default 1,073,741,824 (1 GiB). */
  readonly keepFree?: number | undefined
  /**
   * `true`: what was uploaded stays, as one file a take, `<dir>/<assetId>/<name>`. It is called
   * `assetName`, or else after the asset's id; a string is a name of its own. While it is not whole
   * `.partial` stands behind that, and `.incomplete` where the disk did not take all of it. What stays
   * does not count towards `maxBytes`. Default false.
   */
  readonly keep?: boolean | string | undefined
  /** Greatest age of bytes that a power cut may take, in ms: 10..60,000. Default 1,000. */
  readonly syncEvery?: number | undefined
}

export interface ResolvedSpoolOptions {
  readonly dir: string
  readonly durable: boolean
  readonly maxBytes: number
  readonly keepFree: number
  readonly keep: boolean | string
  readonly syncEvery: number
}

/** How calls to Frame.io are made: options that a client and an upload have in common. */
export interface ConnectionOptions {
  /** Bearer token for Frame.io, sent nowhere else. See {@link Token}. */
  readonly token?: Token | undefined
  /**
   * Frame.io's API: `https`, or `http` on a loopback host. Default `'https://api.frame.io'`. On an
   * upload, one of another origin than its client's needs a `token` beside it.
   */
  readonly baseUrl?: string | URL | undefined
  /** Present: Camera to Cloud. Absent: the platform's paths. */
  readonly device?: Device | undefined
  /** An undici `Dispatcher` for proxies, custom TLS or tests. It is never closed for you. */
  readonly dispatcher?: Dispatcher | undefined
  /** Another try after transient faults. */
  readonly retry?: Partial<RetryOptions> | undefined
  /** Longest a single call to Frame.io may take to the end of its answer, in ms. Default 30,000. */
  readonly apiTimeout?: number | undefined
  /**
   * Bytes held for parts that fill, wait or are in flight. Default 268,435,456 (256 MiB), or a
   * quarter of what the process may use where a container limits that, if that is less. An upload may
   * always hold two parts of its current size; with `lateHead` part 1 as well.
   */
  readonly memoryLimit?: number | undefined
  /** Keep each recording on the disk until Frame.io has it, so that it outlives this process. Default: not. */
  readonly spool?: SpoolOptions | undefined
}

/** A call of a client failed, and will be tried again. */
export interface CallRetry extends Retry {
  /** The method that was called. */
  readonly call:
    | 'createRealtimeAsset'
    | 'registerParts'
    | 'getAsset'
    | 'deleteAsset'
    | 'waitUntilUploaded'
    | 'getDevice'
  /** The asset concerned, where there is one already. */
  readonly assetId: string | undefined
}

export interface FrameioClientOptions extends ConnectionOptions {
  readonly token: Token
  /** PUTs in flight at once, over all uploads of this client: 1..1000. Default 64. */
  readonly concurrency?: number | undefined
  /**
   * Told before each wait for another try of a call of the client's own, which may go on for ten
   * minutes (`retry.giveUpAfter`). An upload tells of its own by its `retry` event. What it throws is
   * what the call fails with. Default: nobody is told.
   */
  readonly onRetry?: ((retry: CallRetry) => void) | undefined
}

export interface ResolvedClientOptions {
  readonly token: Token
  readonly baseUrl: URL
  readonly device: Required<{ [K in keyof Device]: string }> | undefined
  readonly dialect: Dialect
  readonly dispatcher: Dispatcher | undefined
  readonly retry: RetryOptions
  readonly apiTimeout: number
  readonly memoryLimit: number
  readonly concurrency: number
  readonly onRetry: (retry: CallRetry) => void
  readonly spool: ResolvedSpoolOptions | undefined
  readonly limits: Limits
  readonly presence: PresenceRules
}

/** The names of `ConnectionOptions`. */
export const CONNECTION = [
  'token',
  'baseUrl',
  'device',
  'dispatcher',
  'retry',
  'apiTimeout',
  'memoryLimit',
  'spool',
] as const satisfies (keyof ConnectionOptions)[]

/** Frame.io's API (Frame.io's API reference). */
export const BASE_URL = 'https://api.frame.io'

/** PUTs in flight over all uploads of a client, unless told otherwise. */
export const DEFAULT_CAP = 64

export const DEFAULTS = {
  baseUrl: BASE_URL,
  retry: { giveUpAfter: 600_000, minDelay: 500, maxDelay: 30_000 },
  apiTimeout: 30_000,
  memoryLimit: MEMORY_LIMIT,
  concurrency: DEFAULT_CAP,
  onRetry: () => {},
}

/** How many requests may be in flight at once, for a client and an upload. */
export const CONCURRENCY = integer(1, 1_000)

/**
 * Complete client options.
 *
 * @param base the options of a client that these override; where absent, the defaults
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const resolveClientOptions = (
  options: Omit<FrameioClientOptions, 'token'> & ConnectionOptions,
  base?: ResolvedClientOptions,
): ResolvedClientOptions => {
  object('options', options)
  if (!base) refuseUnknown('', options, [...CONNECTION, 'concurrency', 'onRetry'])
  const given = definedOf(options)
  const { token, baseUrl, apiTimeout, memoryLimit, concurrency, onRetry } = {
    ...DEFAULTS,
    ...base,
    ...given,
  }
  const { dispatcher } = given
  const device = given.device === undefined ? base?.device : checkDevice(given.device)
  const url = checkBaseUrl(baseUrl)
  if (base && given.token === undefined) checkOrigin(url, base.baseUrl)
  take('onRetry', onRetry, aFunction)
  return {
    token: checkTokenOption(token),
    baseUrl: url,
    device,
    dialect: base && given.device === undefined ? base.dialect : dialectOfV2(device),
    dispatcher:
      dispatcher === undefined ? base?.dispatcher : checkDispatcher('dispatcher', dispatcher),
    retry: checkRetry(given.retry, base?.retry ?? DEFAULTS.retry),
    apiTimeout: take('apiTimeout', apiTimeout, positive('ms')),
    memoryLimit: take('memoryLimit', memoryLimit, integer(1, Number.MAX_SAFE_INTEGER, 'bytes')),
    concurrency: take('concurrency', concurrency, CONCURRENCY),
    onRetry,
    spool: given.spool === undefined ? base?.spool : checkSpool(given.spool),
    limits: limitsOf(options),
    presence: presenceRulesOf(options),
  }
}

const FOLDER = text('the path of a folder', /./)
const BYTES = number('a number of bytes, 0 or more, or Infinity', 0, Number.POSITIVE_INFINITY)

const KEEP = rule<boolean | string>(
  'true, false, or a name for the file',
  v => typeof v === 'boolean' || (typeof v === 'string' && v !== ''),
)
const SPOOL = [
  'dir',
  'durable',
  'maxBytes',
  'keepFree',
  'keep',
  'syncEvery',
] as const satisfies (keyof SpoolOptions)[]

export const checkSpool = (value: unknown): ResolvedSpoolOptions => {
  const text = 'an object such as { dir: "/media/spool" }'
  const spool: { readonly [K in keyof SpoolOptions]: unknown } = {
    dir: undefined,
    ...object('spool', value, text),
  }
  refuseUnknown('spool.', spool, SPOOL)
  const {
    dir,
    durable = true,
    maxBytes = Number.POSITIVE_INFINITY,
    keepFree = 2 ** 30,
    keep = false,
    syncEvery = 1_000,
  } = spool
  const checked = {
    dir: take('spool.dir', dir, FOLDER),
    durable: take('spool.durable', durable, flag),
    maxBytes: take('spool.maxBytes', maxBytes, BYTES),
    keepFree: take('spool.keepFree', keepFree, BYTES),
    keep: take('spool.keep', keep, KEEP),
    syncEvery: take(
      'spool.syncEvery',
      syncEvery,
      number('a number of ms from 10 to 60,000', 10, 60_000),
    ),
  }
  if (checked.durable || checked.keep === false) return checked
  const without = 'false with spool.durable: false, where most bytes never reach the disk'
  throw invalid('spool.keep', keep, without)
}

const isLoopback = (host: string) =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

export const checkBaseUrl = (value: unknown): URL => {
  const rule = 'an https URL (http only on a loopback host) without user, query or fragment'
  if (!(value instanceof URL) && !(typeof value === 'string' && URL.canParse(value))) {
    throw invalid('baseUrl', value, rule)
  }
  const url = new URL(value)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  if (!safe || url.username || url.password || url.search || url.hash) {
    // Not the value as it came: it may hold a password.
    throw invalid('baseUrl', `${url.protocol}//${url.host}${url.pathname}`, rule)
  }
  return url
}

/** A client's token goes to the client's own origin only. */
const checkOrigin = ({ origin }: URL, { origin: home }: URL): void => {
  if (origin === home) return
  const text = `of the client's own origin (${home}) where no token is given beside it`
  throw refusal('baseUrl', origin, text)
}

const VERSION = text('a semantic version such as 1.0.0', /^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/)

export const checkVersion = (option: string, value: unknown): string => take(option, value, VERSION)

const checkDevice = (value: unknown): ResolvedClientOptions['device'] => {
  const device: Device = object('device', value, 'an object such as { clientVersion: "1.0.0" }')
  refuseUnknown('device.', device, ['clientVersion'])
  const { clientVersion = '0.0.0' } = device
  return { clientVersion: checkVersion('device.clientVersion', clientVersion) }
}
