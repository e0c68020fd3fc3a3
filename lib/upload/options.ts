/**
 * What users may set for an upload, and what it becomes: partial options in, complete ones out, once.
 * Below this file nothing is optional.
 */
import { createHash } from 'node:crypto'
import {
  abortSignal,
  flag,
  integer,
  invalid,
  object,
  positive,
  refuseUnknown,
  rule,
  take,
  takeIfGiven,
} from '../checks.ts'
import { FrameioClient } from '../frameio/client.ts'
import { CONCURRENCY, CONNECTION, type ConnectionOptions } from '../frameio/options.ts'
import { checkFiletype, checkId, checkName, type Limits, limitsOf } from '../frameio/protocol.ts'
import type { MendHead } from './late-head.ts'

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
  /** How many bytes the stream is likely to have, 1..5 TiB: a hint, and never a limit. Default: none. */
  readonly expectedSize?: number | undefined
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
  /**
   * Part 1 is held until the stream has ended, and registered in one call with the final part. A function
   * may change it in place before: it is called once, with all bytes of part 1 and how many the file has,
   * may return a promise, and what it throws fails the upload. `finishWav` mends the sizes of a WAV; where
   * the stream is none, that is the `warning` `HEAD_NOT_MENDED`, and nothing is changed.
   *
   * The upload may always hold three parts then. While it is changed, and until it is stored, part 1 lies
   * beside `memoryLimit`; so with a function `partSize` is 1 GiB at most. After a crash `resumeUploads`
   * mends a WAV, but has no function of yours: one is refused beside a durable `spool`. With
   * `uploadFrom({ file }, upload)` part 1 goes last anyway and is right, so a function is refused as well.
   * Default false.
   */
  readonly lateHead?: boolean | MendHead | undefined
  /** Aborts the upload. */
  readonly signal?: AbortSignal | undefined
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
  readonly expectedSize: number | undefined
  readonly stallTimeout: number
  readonly integrity: 'md5' | undefined
  readonly warnIfNotStreamable: boolean
  readonly lateHead: true | MendHead | undefined
  readonly signal: AbortSignal | undefined
  readonly limits: Limits
}

/** The names of an upload's own options. */
export const UPLOAD = [
  'assetId',
  'filetype',
  'client',
  'assetName',
  'partSize',
  'concurrency',
  'maxSize',
  'expectedSize',
  'stallTimeout',
  'integrity',
  'warnIfNotStreamable',
  'lateHead',
  'signal',
] as const satisfies (keyof RealtimeUploadOptions)[]

const CLIENT = rule<FrameioClient>('a FrameioClient', v => v instanceof FrameioClient)
const INTEGRITY = rule<'md5'>("'md5', or left out", v => v === 'md5')

const LATE_HEAD = rule<boolean | MendHead>(
  'true, false or a function such as finishWav',
  v => typeof v === 'boolean' || typeof v === 'function',
)

/** Bytes of a part 1 that one Buffer is to hold. */
const LARGEST_HEAD = 2 ** 30

const checkLateHead = (value: unknown, partSize: number): true | MendHead | undefined => {
  const lateHead = take('lateHead', value, LATE_HEAD)
  if (typeof lateHead === 'function' && partSize > LARGEST_HEAD) {
    throw invalid('partSize', partSize, `at most ${LARGEST_HEAD} where lateHead is a function`)
  }
  return lateHead || undefined
}

export const checkIntegrity = (value: unknown): 'md5' | undefined => {
  const integrity = takeIfGiven('integrity', value, INTEGRITY)
  if (integrity === undefined) return undefined
  try {
    createHash(integrity)
    return integrity
  } catch {
    throw invalid('integrity', value, 'left out where OpenSSL has no MD5, as in FIPS mode')
  }
}

/**
 * Complete upload options; those of the connection are resolved by `resolveClientOptions`.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const resolveUploadOptions = (options: RealtimeUploadOptions): ResolvedUploadOptions => {
  object('options', options)
  refuseUnknown('', options, [...UPLOAD, ...CONNECTION])
  const limits = limitsOf(options)
  const { minPartSize, maxPartSize, maxFilesize } = limits
  const { assetId, filetype, assetName, client, expectedSize, integrity, signal } = options
  const { partSize = minPartSize, maxSize = maxFilesize, concurrency = 4 } = options
  const { stallTimeout = 30_000, warnIfNotStreamable = false, lateHead = false } = options
  return {
    assetId: checkId('assetId', assetId),
    filetype: checkFiletype('filetype', filetype),
    client: takeIfGiven('client', client, CLIENT),
    connection: Object.fromEntries(CONNECTION.map(key => [key, options[key]])),
    assetName: assetName === undefined ? undefined : checkName('assetName', assetName),
    partSize: take('partSize', partSize, integer(minPartSize, maxPartSize, 'bytes')),
    concurrency: take('concurrency', concurrency, CONCURRENCY),
    maxSize: take('maxSize', maxSize, integer(1, maxFilesize, 'bytes')),
    expectedSize: takeIfGiven('expectedSize', expectedSize, integer(1, maxFilesize, 'bytes')),
    stallTimeout: take('stallTimeout', stallTimeout, positive('ms')),
    integrity: checkIntegrity(integrity),
    warnIfNotStreamable: take('warnIfNotStreamable', warnIfNotStreamable, flag),
    lateHead: checkLateHead(lateHead, partSize),
    signal: takeIfGiven('signal', signal, abortSignal),
    limits,
  }
}
