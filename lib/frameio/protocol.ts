/**
 * What goes over the wire to Frame.io, the limits of Frame.io and S3, and the guards for what the
 * API answers. Field names are the wire's own.
 */
import { take, text } from '../checks.ts'
import { RealtimeUploadError } from '../errors.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const TiB = 2 ** 40

/** What bounds a part and a file, in bytes or counts, and the pace at which one that grows is looked at. */
export interface Limits {
  /** Smallest part that is not final, in bytes: 5 MiB (Frame.io's API reference). */
  readonly minPartSize: number
  /** Largest part, in bytes: 5 GiB (S3's limit for one PUT). */
  readonly maxPartSize: number
  /** Highest part number: 10,000 (Frame.io's API reference). */
  readonly maxParts: number
  /** Largest file, in bytes: 5 TiB (Frame.io's API reference). */
  readonly maxFilesize: number
  /** Most parts in one registration. Frame.io names no limit; 100 is our own. */
  readonly maxPartsPerCall: number
  /** Parts grow to at least 1/growthDivisor of what was cut so far … */
  readonly growthDivisor: number
  /** … rounded up to a multiple of this, in bytes … */
  readonly growthStep: number
  /** … and that fraction stops growing at this size, in bytes. */
  readonly growthCap: number
  /** Size of a memory block, in bytes. */
  readonly blockSize: number
  /** Between two looks at a file that grows, in ms. */
  readonly lookEvery: number
}

export const LIMITS: Limits = {
  minPartSize: 5 * MiB,
  maxPartSize: 5 * GiB,
  maxParts: 10_000,
  maxFilesize: 5 * TiB,
  maxPartsPerCall: 100,
  growthDivisor: 900,
  growthStep: MiB,
  growthCap: GiB,
  blockSize: MiB,
  lookEvery: 250,
}

/**
 * The one door by which tests lower the limits: an option under this key. It is not exported from
 * the package, so no public type shows it.
 */
export const LIMITS_DOOR: unique symbol = Symbol('limits')

/** An options object that came through the door. */
export interface LimitsDoor {
  readonly [LIMITS_DOOR]?: Partial<Limits>
}

/** The limits in force for these options: the real ones, unless a test lowered them. */
export const limitsOf = (options: object): Limits => ({
  ...LIMITS,
  ...(options as LimitsDoor)[LIMITS_DOOR],
})

/** One entry of `parts` in a registration. */
export interface WirePart {
  readonly number: number
  readonly size: number
  readonly is_final: boolean
}

/** Body of `POST …/realtime_upload/parts`. */
export interface RegisterPartsBody {
  readonly parts: readonly WirePart[]
  /** Bytes of the whole file; required in the call that has the final part. */
  readonly asset_filesize?: number
  /** New name, only for an asset that was created with an extension alone. */
  readonly asset_name?: string
}

/** Body of `POST /v2/assets/:parent/children` and `POST /v2/devices/assets`. */
export interface CreateAssetBody {
  /** `"file"`, on the platform path only. */
  readonly type?: 'file'
  readonly name?: string
  readonly extension?: string
  readonly filetype: string
  readonly is_realtime_upload: true
  readonly offset?: number
  readonly channel?: number
}

/** An asset as Frame.io describes it. Only the fields this library reads are named. */
export interface Asset {
  readonly id: string
  readonly name: string
  readonly status?: string
  /** Set once Frame.io has every byte. Not `uploaded_at`: that one is set at creation. */
  readonly upload_completed_at?: string | null
  readonly upload_failed_at?: string | null
  readonly filesize?: number | null
  /** The media type that it was created with. */
  readonly filetype?: string | null
  /** `'file'`, or of what is no asset such as `'folder'`. */
  readonly type?: string
  /** As it was said at creation; only seen where it is true. */
  readonly is_realtime_upload?: boolean
  readonly [field: string]: unknown
}

const ID = text("an id of Frame.io's: letters, digits, - and _ only", /^[\w-]{1,128}$/)
const FILETYPE = text(
  'a media type such as video/mp4',
  /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+( *;[ -~]*)?$/,
)
const NAME = text('a name with an extension, such as A001.mp4', /\..+/)

/** An asset's or folder's id: letters, digits, `-` and `_`, so that none can change the path. */
export const checkId = (option: string, value: unknown): string => take(option, value, ID)

export const checkFiletype = (option: string, value: unknown): string =>
  take(option, value, FILETYPE)

/** Frame.io takes names that match `\..+`: with an extension. */
export const checkName = (option: string, value: unknown): string => take(option, value, NAME)

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** An answer that breaks a rule, and what came instead, without what it holds. */
export const nonsense = (rule: string, received: unknown) =>
  new RealtimeUploadError(
    'ERR_BAD_RESPONSE',
    `Frame.io's answer makes no sense: ${rule}; received ${describe(received)}`,
  )

/** A short, harmless account of a value: never its text, which may be a presigned URL. */
const describe = (value: unknown) =>
  Array.isArray(value) ? `a list of ${value.length}` : value === null ? 'null' : `a ${typeof value}`

/**
 * The URLs of a registration's answer, one a part, in the order of `parts`.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` if they are not as many, not http(s) URLs, or
 *   plain `http` where `secure` demands `https`.
 */
export const readUploadUrls = (body: unknown, count: number, secure: boolean): string[] => {
  const urls = isObject(body) ? body.upload_urls : undefined
  if (!Array.isArray(urls) || urls.length !== count) {
    throw nonsense(`upload_urls must be a list of ${count}, one for each part`, urls)
  }
  return urls.map(url => readUploadUrl(url, secure))
}

/** One presigned URL. @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` */
export const readUploadUrl = (url: unknown, secure: boolean): string => {
  const allowed = secure ? /^https:$/ : /^https?:$/
  if (typeof url !== 'string' || !URL.canParse(url) || !allowed.test(new URL(url).protocol)) {
    throw nonsense(`upload_urls must be ${secure ? 'https' : 'http(s)'} URLs`, url)
  }
  return url
}

/**
 * The asset in an answer.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` without a string `id` and `name`.
 */
export const readAsset = (body: unknown): Asset => {
  if (!isObject(body) || typeof body.id !== 'string' || typeof body.name !== 'string') {
    throw nonsense('an asset must have an id and a name', body)
  }
  return body as Asset
}

/**
 * What Frame.io says of a failure, in one line, or undefined where the body is none of its shapes, V4's
 * among them: then something else answered, such as a proxy or a captive portal.
 */
export const readFailure = (body: unknown): string | undefined => {
  if (!isObject(body)) return undefined
  if (typeof body.error === 'string') return body.error
  if (!Array.isArray(body.errors)) return undefined
  const details = body.errors.filter(isObject).map(({ title, detail, source }) => {
    const said = [title, detail].filter(text => typeof text === 'string').join(': ')
    const pointer = isObject(source) ? source.pointer : undefined
    return typeof pointer === 'string' ? `${said} (at ${pointer})` : said
  })
  return [body.message, ...details].filter(text => typeof text === 'string' && text).join('; ')
}

/** Where a call goes. Not `new URL(path, base)`: a path with two slashes first would name a host. */
export const urlOf = (baseUrl: URL, path: string): string =>
  baseUrl.origin + baseUrl.pathname.replace(/\/+$/, '') + path

/** A body as JSON; undefined where it is none, such as an empty, cut or HTML body. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // Whoever asked decides what that means.
  }
}
