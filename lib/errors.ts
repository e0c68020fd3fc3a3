/**
 * The one error class, its codes, and the one place where secrets are taken out of text.
 */

/**
 * What went wrong, as a literal that stays the same between versions. The README says for each
 * what to do.
 */
export type ErrorCode =
  /** An option is missing or breaks its rule. */
  | 'ERR_INVALID_OPTION'
  /** The `FrameioClient` was closed. */
  | 'ERR_CLIENT_CLOSED'
  /** The stream ended without a byte: Frame.io cannot express a file of 0 bytes. */
  | 'ERR_EMPTY_STREAM'
  /** The source failed: see `uploadFrom`. */
  | 'ERR_SOURCE_FAILED'
  /** More than `maxSize` bytes arrived. */
  | 'ERR_STREAM_TOO_LARGE'
  /** Frame.io refused the token (401), or the token function failed. */
  | 'ERR_UNAUTHORIZED'
  /** Frame.io forbids this (403). */
  | 'ERR_FORBIDDEN'
  /** Frame.io knows no such asset (404). */
  | 'ERR_ASSET_NOT_FOUND'
  /** Frame.io refused the request (any other 4xx). */
  | 'ERR_REQUEST_REJECTED'
  /** Told to slow down (429) for longer than the budget of retries. */
  | 'ERR_RATE_LIMITED'
  /** A presigned URL expired, and so did those that replaced it. */
  | 'ERR_URL_EXPIRED'
  /** S3 refused a part; `storageCode` says why. */
  | 'ERR_STORAGE_REJECTED'
  /** Frame.io says that the upload of an asset failed. */
  | 'ERR_UPLOAD_FAILED'
  /** A part arrived other than it was hashed, several times over: see `integrity`. */
  | 'ERR_CORRUPTED'
  /** An answer that makes no sense. */
  | 'ERR_BAD_RESPONSE'
  /** The network failed for longer than the budget of retries. */
  | 'ERR_NETWORK'
  /** No answer in time, for longer than the budget of retries. */
  | 'ERR_TIMEOUT'
  /** Server errors (5xx) for longer than the budget of retries. */
  | 'ERR_SERVER'

/** What an error knows beside its code and message. */
export interface ErrorDetails {
  /** The option or argument that was refused, such as `retry.giveUpAfter`. */
  option?: string | undefined
  /** The asset concerned. */
  assetId?: string | undefined
  /** The part concerned, counted from 1. */
  partNumber?: number | undefined
  /** HTTP status of the answer. */
  statusCode?: number | undefined
  /** S3's own `<Code>`, such as `SignatureDoesNotMatch`. */
  storageCode?: string | undefined
  /** How many attempts were made. */
  attempts?: number | undefined
  /** The error underneath. It is copied, without anything that may hold a secret. */
  cause?: unknown
}

/** Every failure of this library, but for an abort, which is an `AbortError`. */
export class RealtimeUploadError extends Error {
  override readonly name = 'RealtimeUploadError'
  readonly code: ErrorCode
  declare readonly option?: string
  declare readonly assetId?: string
  declare readonly partNumber?: number
  declare readonly statusCode?: number
  declare readonly storageCode?: string
  declare readonly attempts?: number

  constructor(code: ErrorCode, message: string, { cause, ...details }: ErrorDetails = {}) {
    super(redact(message), cause === undefined ? undefined : { cause: cleanCause(cause) })
    this.code = code
    for (const [key, value] of Object.entries(details)) {
      if (value !== undefined) Object.assign(this, { [key]: value })
    }
  }
}

/** What a stream is destroyed with when its signal aborts, as Node's own streams do. */
export class AbortError extends Error {
  override readonly name = 'AbortError'
  readonly code = 'ABORT_ERR'

  constructor(reason?: unknown) {
    super('The upload was aborted', reason === undefined ? undefined : { cause: reason })
  }
}

/**
 * The text without what must not leave the library: the query of a presigned URL, bearer tokens,
 * and whatever is given as a secret.
 */
export const redact = (text: string, ...secrets: string[]): string =>
  // Whole secrets first: the rules below may know only a part of one for what it is.
  secrets
    .reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
    .replace(/(https?:\/\/[^\s?"'<>]+)\?[^\s"'<>]*/gi, '$1?[redacted]')
    .replace(
      /(X-Amz-(?:Signature|Security-Token|Credential))(=|%3D)[^\s&"'<>]*/gi,
      '$1$2[redacted]',
    )
    .replace(/\b(Bearer)\s+[^\s"'<>,;]+/gi, '$1 [redacted]')

/** How deep a chain of causes is copied: some chains are circles. */
const DEEPEST_CAUSE = 5

/**
 * A copy of a foreign error that keeps its name, message, stack and code, redacted, and drops all
 * else: request objects, headers and URLs hang on such errors and would print with them.
 */
export const cleanCause = (cause: unknown, depth = DEEPEST_CAUSE): unknown => {
  if (cause instanceof RealtimeUploadError) return cause
  if (!(cause instanceof Error)) {
    // Not what an object holds, nor its own idea of text: it may have none.
    const isObject = typeof cause === 'object' && cause !== null
    return redact(isObject ? Object.prototype.toString.call(cause) : String(cause))
  }
  const copy = new Error(redact(cause.message))
  copy.name = cause.name
  copy.stack = redact(cause.stack ?? copy.message)
  if ('code' in cause) Object.assign(copy, { code: cause.code })
  if (cause.cause !== undefined && depth > 1) copy.cause = cleanCause(cause.cause, depth - 1)
  return copy
}
