/**
 * The one error class, its codes, and the one place where secrets are taken out of text, and where
 * what others say is cut short.
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
  /** A file that is followed was cut below what had been sent of it: S3 has more than there is. */
  | 'ERR_SOURCE_TRUNCATED'
  /** A file was still being changed when it seemed to be over, or while it was uploaded. */
  | 'ERR_SOURCE_CHANGED'
  /** An upload that was cut off was to go on, and its file is another now. */
  | 'ERR_SOURCE_REPLACED'
  /** More than `maxSize` bytes arrived. */
  | 'ERR_STREAM_TOO_LARGE'
  /** Frame.io refused the token (401), or the token function failed. */
  | 'ERR_UNAUTHORIZED'
  /** A Camera to Cloud device has no tokens, or none that Frame.io takes: pair it (again). */
  | 'ERR_NOT_PAIRED'
  /** Frame.io forbids this (403). */
  | 'ERR_FORBIDDEN'
  /** Frame.io knows no such asset (404). */
  | 'ERR_ASSET_NOT_FOUND'
  /** The account's plan allows no more (402). */
  | 'ERR_PLAN_LIMIT'
  /** A person has paused the Camera to Cloud device, or its channel (409 "Channel Paused"). */
  | 'ERR_CHANNEL_PAUSED'
  /** Frame.io refused the request (any other 4xx). */
  | 'ERR_REQUEST_REJECTED'
  /** S3 said to slow down (429) for longer than the budget of retries; Frame.io may say so for ever. */
  | 'ERR_RATE_LIMITED'
  /** A presigned URL expired, and so did those that replaced it. */
  | 'ERR_URL_EXPIRED'
  /** S3 refused a part; `storageCode` says why. */
  | 'ERR_STORAGE_REJECTED'
  /** Another process, or another upload, has the spool of this asset: see `spool`. */
  | 'ERR_SPOOL_IN_USE'
  /** What lies in a spool is not what was written there, or cannot be read. Nothing is deleted. */
  | 'ERR_SPOOL_DAMAGED'
  /** Bytes of a recording are in no spool any more: they were in memory alone. Nothing is deleted. */
  | 'ERR_SPOOL_INCOMPLETE'
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
  /** The option or argument that was refused, such as `retry.giveUpAfter`; `clientId` also by Frame.io. */
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
  /** The last lines that a program wrote to its stderr, up to 4,096 characters. */
  stderr?: string | undefined
  /** The file or folder concerned. */
  path?: string | undefined
  /** Where in that file, in bytes. */
  offset?: number | undefined
  /** First byte of the recording that is missing. */
  from?: number | undefined
  /** The byte behind the last that is missing, where that is known. */
  to?: number | undefined
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
  declare readonly stderr?: string
  declare readonly path?: string
  declare readonly offset?: number
  declare readonly from?: number
  declare readonly to?: number

  constructor(code: ErrorCode, message: string, { cause, ...details }: ErrorDetails = {}) {
    const text = cut(redact(message), LONGEST_MESSAGE)
    super(text, cause === undefined ? undefined : { cause: cleanCause(cause) })
    this.code = code
    for (const [key, value] of Object.entries(details)) {
      if (value === undefined) continue
      // Of what a program said the end tells most, and it has been cut already.
      const clean = key === 'stderr' ? redact : quote
      Object.assign(this, { [key]: typeof value === 'string' ? clean(value) : value })
    }
  }
}

/** What a stream is destroyed with when its signal aborts, as Node's own streams do. */
export class AbortError extends Error {
  override readonly name = 'AbortError'
  readonly code = 'ABORT_ERR'

  constructor(reason?: unknown, message = 'The upload was aborted') {
    super(message, reason === undefined ? undefined : { cause: reason })
  }
}

/** Characters of what others say that a message may hold. */
const LONGEST_QUOTE = 500
/** Characters of a message in all. */
const LONGEST_MESSAGE = 2_000
/** Characters of a foreign stack. */
const LONGEST_STACK = 4_000

/**
 * The text without what must not leave the library: the query of a presigned URL, user and password
 * of any URL, bearer tokens, and whatever is given as a secret. Each pattern is linear, whatever somebody sends: it ends where
 * it could begin anew, so no part of a text is looked at again and again.
 */
export const redact = (text: string, ...secrets: string[]): string =>
  // Whole secrets first: the rules below may know only a part of one for what it is.
  secrets
    .reduce((rest, secret) => rest.replaceAll(secret, '[redacted]'), text)
    // A user and a password, such as a proxy's.
    .replace(/(:\/\/)[^\s/?#"'<>]*@/g, '$1[redacted]@')
    // What has been redacted stays as it is: with its brackets, what stands right behind would go.
    .replace(/https?:\/\/[^\s"'<>]*/gi, url => url.replace(/\?(?!\[redacted\]).*/, '?[redacted]'))
    .replace(
      /(X-Amz-(?:Signature|Security-Token|Credential))(=|%3D)(?!\[redacted\])[^\s&"'<>]*/gi,
      '$1$2[redacted]',
    )
    .replace(/\b(Bearer)\s+[^\s"'<>,;]+/gi, '$1 [redacted]')

/**
 * The beginning of a text. A word that would be cut in two is left out: it may be a token, and of
 * half a token nobody would see any more that it is one.
 */
export const cut = (text: string, most: number): string => {
  if (text.length <= most) return text
  let end = most
  while (end > 0 && TOKEN.test(text.slice(end - 1, end + 1))) end--
  return `${text.slice(0, end)}… (${text.length} characters)`
}

/** Two characters of a bearer token (RFC 6750). */
const TOKEN = /^[\w.~+/=-]{2}$/

/** What others say, fit for a message: without secrets, and cut short. */
export const quote = (text: string, ...secrets: string[]): string =>
  cut(redact(text, ...secrets), LONGEST_QUOTE)

/** What a foreign error says, fit for a message; of one that stands for several, what each says. */
export const describeCause = (error: unknown): string => {
  const parts: unknown[] = error instanceof AggregateError ? error.errors : []
  // Where each address of a name failed Node leaves the message of the whole empty.
  const said = [error, ...parts].map(sayingOf).filter(text => text !== '')
  return quote(said.join('; ') || textOf((error as { code?: unknown } | undefined)?.code))
}

const sayingOf = (error: unknown) => redact(textOf(error instanceof Error ? error.message : error))

/** A value as text: of an object not what it holds, nor its own idea of text, for it may have none. */
const textOf = (value: unknown): string =>
  (typeof value === 'object' && value !== null) || typeof value === 'function'
    ? Object.prototype.toString.call(value)
    : String(value)

/** How deep a chain of causes is copied: some chains are circles. */
const DEEPEST_CAUSE = 5
/** How many are copied of the errors that one stands for, such as one an address. */
const MOST_ERRORS = 8

/**
 * A copy of a foreign error that keeps its name, message, stack, code, system call and the errors
 * that it stands for, redacted and cut short, and drops all else: request objects, headers and URLs hang on such errors and would print with them.
 */
export const cleanCause = (cause: unknown, depth = DEEPEST_CAUSE): unknown => {
  if (cause instanceof RealtimeUploadError) return cause
  const message = describeCause(cause)
  if (!(cause instanceof Error)) return message
  const copy = new Error(message)
  copy.name = quote(textOf(cause.name))
  copy.stack = stackOf(cause, message)
  for (const key of ['code', 'syscall'] as const) {
    const value = (cause as Partial<Record<typeof key, unknown>>)[key]
    if (typeof value === 'number') Object.assign(copy, { [key]: value })
    if (typeof value === 'string') Object.assign(copy, { [key]: quote(value) })
  }
  if (cause instanceof AggregateError && depth > 1) {
    const errors = cause.errors.slice(0, MOST_ERRORS).map(error => cleanCause(error, 1))
    Object.assign(copy, { errors })
  }
  if (cause.cause !== undefined && depth > 1) copy.cause = cleanCause(cause.cause, depth - 1)
  return copy
}

/** The stack with the message as it was cut: a long one would leave no room for the calls. */
const stackOf = ({ stack, message: whole }: Error, message: string): string => {
  if (typeof stack !== 'string') return message
  const hasMessage = typeof whole === 'string' && whole !== ''
  return cut(redact(hasMessage ? stack.replace(whole, () => message) : stack), LONGEST_STACK)
}
