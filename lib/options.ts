/**
 * What users may set, and what it becomes: partial options in, complete ones out, once. Below this
 * file nothing is optional.
 */
import { inspect } from 'node:util'
import type { Dispatcher } from 'undici'
import type { FrameioClient } from './client.ts'
import { RealtimeUploadError } from './errors.ts'
import { type Limits, limitsOf } from './protocol.ts'
import type { RetryOptions } from './retry.ts'

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
  readonly signal: AbortSignal | undefined
  readonly limits: Limits
}

type Check<T> = (value: unknown) => value is T

/** Fails with the option, its rule, and the value received, cut short. */
export const invalid = (option: string, rule: string, value: unknown): RealtimeUploadError =>
  new RealtimeUploadError(
    'ERR_INVALID_OPTION',
    `${option} must be ${rule}; received ${inspect(value, { depth: 0, breakLength: Infinity }).slice(0, 120)}`,
  )

const take = <T>(option: string, value: unknown, rule: string, check: Check<T>): T => {
  if (!check(value)) throw invalid(option, rule, value)
  return value
}

const integer = (option: string, value: unknown, low: number, high: number, unit: string) =>
  take(
    option,
    value,
    `an integer from ${low} to ${high}${unit && ` (${unit})`}`,
    (v): v is number => Number.isInteger(v) && (v as number) >= low && (v as number) <= high,
  )

const duration = (option: string, value: unknown, rule: string, low: number, high: number) =>
  take(option, value, rule, (v): v is number => typeof v === 'number' && v >= low && v <= high)

const object = (option: string, value: unknown, rule: string) =>
  take(option, value, rule, (v): v is object => typeof v === 'object' && v !== null)

/** No control character: they would end a header or change a request. */
const isText = (value: unknown): value is string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  typeof value === 'string' && value !== '' && !/[\x00-\x1f\x7f]/.test(value)

const text = (option: string, value: unknown, rule: string, pattern: RegExp) =>
  take(option, value, rule, (v): v is string => isText(v) && pattern.test(v))

/** An asset's or folder's id: letters, digits, `-` and `_`, so that none can change the path. */
export const checkId = (option: string, value: unknown): string =>
  text(option, value, "an id of Frame.io's: letters, digits, - and _ only", /^[\w-]{1,128}$/)

export const checkFiletype = (value: unknown): string =>
  text(
    'filetype',
    value,
    'a media type such as video/mp4',
    /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+(\s*;[ -~]*)?$/,
  )

/** Frame.io takes names that match `\..+`: with an extension. */
export const checkName = (option: string, value: unknown): string =>
  text(option, value, 'a name with an extension, such as A001.mp4', /\..+/)

/** A bearer token fit for a header. What was received is never shown. */
export const checkToken = (value: unknown): string => {
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value
  const received = typeof value === 'string' ? 'a string that is not (hidden)' : typeof value
  throw new RealtimeUploadError(
    'ERR_INVALID_OPTION',
    `token must be a non-empty string of visible ASCII characters, or a function that returns one; received ${received}`,
  )
}

const checkTokenOption = (value: unknown): Token =>
  typeof value === 'function' ? (value as Token) : checkToken(value)

const isLoopback = (host: string) =>
  host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host)

const checkBaseUrl = (value: unknown): URL => {
  const rule = 'an https URL (http only on a loopback host) without user, query or fragment'
  if (!(value instanceof URL) && !(typeof value === 'string' && URL.canParse(value))) {
    throw invalid('baseUrl', rule, value)
  }
  const url = new URL(value)
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))
  if (!safe || url.username || url.password || url.search || url.hash) {
    // Not the value as it came: it may hold a password.
    throw invalid('baseUrl', rule, `${url.protocol}//${url.host}${url.pathname}`)
  }
  return url
}

const checkDevice = (value: unknown): ResolvedClientOptions['device'] => {
  if (value === undefined) return undefined
  const device: Device = object('device', value, 'an object such as { clientVersion: "1.0.0" }')
  refuseUnknown('device.', device, ['clientVersion'])
  return {
    clientVersion: text(
      'device.clientVersion',
      device.clientVersion ?? '0.0.0',
      'a semantic version such as 1.0.0',
      /^\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?$/,
    ),
  }
}

const checkRetry = (value: unknown, defaults: RetryOptions): RetryOptions => {
  const retry: Partial<RetryOptions> = object('retry', value ?? {}, 'an object')
  refuseUnknown('retry.', retry, ['giveUpAfter', 'minDelay', 'maxDelay'])
  const { giveUpAfter, minDelay, maxDelay } = { ...defaults, ...definedOf(retry) }
  duration('retry.giveUpAfter', giveUpAfter, 'a number of ms, 0 or more, or Infinity', 0, Infinity)
  duration('retry.minDelay', minDelay, 'a number of ms from 0 to one hour', 0, 3_600_000)
  const rule = `a number of ms from retry.minDelay (${minDelay}) to one hour`
  duration('retry.maxDelay', maxDelay, rule, minDelay, 3_600_000)
  return { giveUpAfter, minDelay, maxDelay }
}

const isDispatcher = (value: unknown): value is Dispatcher =>
  typeof value === 'object' && value !== null && 'dispatch' in value

const definedOf = <T extends object>(options: T) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }

/** A misspelt option must not pass for one that was left out. */
const refuseUnknown = (prefix: string, options: object, known: readonly string[]) => {
  const stranger = Object.keys(options).find(key => !known.includes(key))
  if (stranger === undefined) return
  const alike = known.find(key => key.toLowerCase() === stranger.toLowerCase())
  throw new RealtimeUploadError(
    'ERR_INVALID_OPTION',
    `${prefix}${stranger} is not an option; ${alike ? `did you mean ${prefix}${alike}?` : `there are ${known.join(', ')}`}`,
  )
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
  'signal',
]

/** PUTs in flight over all uploads of a client, unless told otherwise. */
export const DEFAULT_CAP = 64

const DEFAULTS = {
  baseUrl: 'https://api.frame.io',
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
    device: given.device ? checkDevice(given.device) : defaults.device,
    dispatcher: given.dispatcher
      ? take('dispatcher', given.dispatcher, 'an undici Dispatcher', isDispatcher)
      : defaults.dispatcher,
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
  const { assetId, filetype, client, assetName, signal } = options
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
