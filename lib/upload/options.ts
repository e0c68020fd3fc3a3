/**
 * What users may set, and what it becomes: partial options in, complete ones out, once. Below this
 * file nothing is optional.
 */
import type { Dispatcher } from 'undici'
import {
  BASE_URL,
  checkBaseUrl,
  checkDevice,
  checkDispatcher,
  checkFiletype,
  checkId,
  checkName,
  checkRetry,
  checkTokenOption,
  definedOf,
  duration,
  integer,
  object,
  refuseUnknown,
  take,
} from '../checks.ts'
import type { FrameioClient } from '../frameio/client.ts'
import { type Limits, limitsOf } from '../frameio/protocol.ts'
import type { RetryOptions } from '../net/retry.ts'

/**
 * A bearer token, or a function that fetches one. The function is called before the first call to
 * Frame.io and again after Frame.io refused what it gave (401), once for all uploads of a client.
 * When it throws or rejects it is called again like a network fault.
 */
export type Token = string | (() => string | Promise<string>)

/** Use the Camera to Cloud paths (`/v2/devices/assets`) instead of the platform's. */
export interface Device {
  /** Semantic version of your device or app, sent as `x-client-version`. Default `'0.0.0'`. */
  readonly clientVersion?: string | undefined
}

/** How calls to Frame.io are made: options that a client and an upload have in common. */
export interface ConnectionOptions {
  /** Bearer token for Frame.io, sent nowhere else. See {@link Token}. */
  readonly token?: Token | undefined
  /** Frame.io's API: `https`, or `http` on a loopback host. Default `'https://api.frame.io'`. */
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
   * Bytes held for parts that fill, wait or are in flight. Default 268,435,456 (256 MiB). An upload
   * may always hold two parts of its current size.
   */
  readonly memoryLimit?: number | undefined
}

export interface FrameioClientOptions extends ConnectionOptions {
  readonly token: Token
  /** PUTs in flight at once, over all uploads of this client: 1..1000. Default 64. */
  readonly concurrency?: number | undefined
}

export interface RealtimeUploadOptions extends ConnectionOptions {
  /** Id of a real-time asset, such as `createRealtimeAsset` makes. */
  readonly assetId: string
  /** The media type the asset was created with, exactly: S3 checks it. */
  readonly filetype: string
  /** A shared client. What is given beside it overrides it for this upload. Else `token` is needed. */
  readonly client?: FrameioClient | undefined
  /** New name, given at finalisation; works for assets created with an `extension` alone. */
  readonly assetName?: string | undefined
  /** Smallest size of a part, in bytes: 5 MiB..5 GiB. Default 5 MiB. Parts grow in long streams. */
  readonly partSize?: number | undefined
  /** PUTs in flight at once: 1..1000. Default 4. */
  readonly concurrency?: number | undefined
  /** Most bytes the stream may have, up to 5 TiB. Default 5 TiB. */
  readonly maxSize?: number | undefined
  /** Base of the time a PUT may take before it counts as stalled, in ms. Default 30,000. */
  readonly stallTimeout?: number | undefined
  /**
   * `'md5'` sends a `Content-MD5` with every part, taken as its bytes come in: S3 refuses a part that
   * arrives otherwise, and it is sent again. Default: none.
   */
  readonly integrity?: 'md5' | undefined
  /**
   * Emit a `warning` where the first bytes are of an MP4 or MOV whose index comes last, which does
   * not play while it is written. Default false.
   */
  readonly warnIfNotStreamable?: boolean | undefined
  /** Aborts the upload. */
  readonly signal?: AbortSignal | undefined
}

export interface ResolvedClientOptions {
  readonly token: Token
  readonly baseUrl: URL
  readonly device: Required<{ [K in keyof Device]: string }> | undefined
  readonly dispatcher: Dispatcher | undefined
  readonly retry: RetryOptions
  readonly apiTimeout: number
  readonly memoryLimit: number
  readonly concurrency: number
  readonly limits: Limits
}

export interface ResolvedUploadOptions {
  readonly assetId: string
  readonly filetype: string
  readonly client: FrameioClient | undefined
  /** What was given for the connection, unresolved: it may override a client's. */
  readonly connection: ConnectionOptions
  readonly assetName: string | undefined
  readonly partSize: number
  readonly concurrency: number
  readonly maxSize: number
  readonly stallTimeout: number
  readonly integrity: 'md5' | undefined
  readonly warnIfNotStreamable: boolean
  readonly signal: AbortSignal | undefined
  readonly limits: Limits
}

const CONNECTION = [
  'token',
  'baseUrl',
  'device',
  'dispatcher',
  'retry',
  'apiTimeout',
  'memoryLimit',
] as const
const UPLOAD = [
  'assetId',
  'filetype',
  'client',
  'assetName',
  'partSize',
  'concurrency',
  'maxSize',
  'stallTimeout',
  'integrity',
  'warnIfNotStreamable',
  'signal',
]

/** PUTs in flight over all uploads of a client, unless told otherwise. */
export const DEFAULT_CAP = 64

export const DEFAULTS = {
  baseUrl: BASE_URL,
  retry: { giveUpAfter: 600_000, minDelay: 500, maxDelay: 30_000 },
  apiTimeout: 30_000,
  memoryLimit: 256 * 2 ** 20,
  concurrency: DEFAULT_CAP,
}

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
  object('options', options, 'an object')
  if (!base) refuseUnknown('', options, [...CONNECTION, 'concurrency'])
  const given = definedOf(options)
  const { token, baseUrl, apiTimeout, memoryLimit, concurrency } = {
    ...DEFAULTS,
    ...base,
    ...given,
  }
  const defaults = base ?? { ...DEFAULTS, device: undefined, dispatcher: undefined }
  return {
    token: checkTokenOption(token),
    baseUrl: checkBaseUrl(baseUrl),
    device: given.device === undefined ? defaults.device : checkDevice(given.device),
    dispatcher:
      given.dispatcher === undefined ? defaults.dispatcher : checkDispatcher(given.dispatcher),
    retry: checkRetry(given.retry, defaults.retry),
    apiTimeout: duration(
      'apiTimeout',
      apiTimeout,
      'a positive number of ms',
      Number.MIN_VALUE,
      Infinity,
    ),
    memoryLimit: integer('memoryLimit', memoryLimit, 1, Number.MAX_SAFE_INTEGER, 'bytes'),
    concurrency: integer('concurrency', concurrency, 1, 1_000, ''),
    limits: limitsOf(options),
  }
}

/**
 * Complete upload options; those of the connection are resolved by `resolveClientOptions`.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const resolveUploadOptions = (options: RealtimeUploadOptions): ResolvedUploadOptions => {
  object('options', options, 'an object')
  refuseUnknown('', options, [...UPLOAD, ...CONNECTION])
  const limits = limitsOf(options)
  const { assetId, filetype, client, assetName, integrity, signal } = options
  const { warnIfNotStreamable = false } = options
  return {
    assetId: checkId('assetId', assetId),
    filetype: checkFiletype(filetype),
    client,
    connection: Object.fromEntries(CONNECTION.map(key => [key, options[key]])),
    assetName: assetName === undefined ? undefined : checkName('assetName', assetName),
    partSize: integer(
      'partSize',
      options.partSize ?? limits.minPartSize,
      limits.minPartSize,
      limits.maxPartSize,
      'bytes',
    ),
    concurrency: integer('concurrency', options.concurrency ?? 4, 1, 1_000, ''),
    maxSize: integer(
      'maxSize',
      options.maxSize ?? limits.maxFilesize,
      1,
      limits.maxFilesize,
      'bytes',
    ),
    stallTimeout: duration(
      'stallTimeout',
      options.stallTimeout ?? 30_000,
      'a positive number of ms',
      Number.MIN_VALUE,
      Infinity,
    ),
    integrity:
      integrity === undefined
        ? undefined
        : take('integrity', integrity, "'md5', or left out", v => v === 'md5'),
    warnIfNotStreamable: take(
      'warnIfNotStreamable',
      warnIfNotStreamable,
      'true or false',
      v => typeof v === 'boolean',
    ),
    signal:
      signal === undefined
        ? undefined
        : take(
            'signal',
            signal,
            'an AbortSignal',
            (v): v is AbortSignal => v instanceof AbortSignal,
          ),
    limits,
  }
}
