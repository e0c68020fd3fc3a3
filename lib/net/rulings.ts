/**
 * What to do about a fault: pure tables.
 *
 * Of requests that may be repeated the closed list is that of final faults: our own misuse, and a
 * refusal in Frame.io's or S3's own words. Whatever else happens is somebody's trouble, which may
 * pass, and gets the budget of retries.
 */
import type { ErrorCode, RealtimeUploadError } from '../errors.ts'
import { shortageIn } from '../shortage.ts'

/** What a fault calls for. */
export type Verdict =
  /** Transient: wait, then the same again. */
  | 'retry'
  /** The presigned URL is of no more use: register the part again. */
  | 'new-url'
  /** The token is of no more use: ask for another. */
  | 'new-token'
  /** Trying again would not help. */
  | 'fatal'

export interface Ruling {
  readonly verdict: Verdict
  readonly code: ErrorCode
  /** How many times one request may meet it; the next is fatal. Absent: while the budget lasts. */
  readonly atMost?: number
  /** Whether those times count only in a row. */
  readonly inARow?: boolean
}

const retry = (code: ErrorCode): Ruling => ({ verdict: 'retry', code })
const fatal = (code: ErrorCode): Ruling => ({ verdict: 'fatal', code })

/** Every ruling there is. Those that `atMost` bounds are counted by their identity. */
export const RULINGS = {
  // Of whoever answers.
  timeout: retry('ERR_TIMEOUT'),
  rateLimited: retry('ERR_RATE_LIMITED'),
  serverError: retry('ERR_SERVER'),
  notSupported: fatal('ERR_SERVER'),
  /** An answer, but not of whom was asked: a captive portal's, or a proxy's. */
  notTheirs: retry('ERR_BAD_RESPONSE'),
  // Of the network.
  network: retry('ERR_NETWORK'),
  misuse: fatal('ERR_NETWORK'),
  // Of the disk that a part is read from. An outage of the network excuses none of its errors.
  unreadable: { verdict: 'retry', code: 'ERR_SPOOL_DAMAGED', atMost: 2, inARow: true },
  /** But the disk is as it was: see shortage.ts. */
  unreadableNow: retry('ERR_SPOOL_DAMAGED'),
  // Of a file that somebody else writes, perhaps on a network drive: that may come back as a network may.
  sourceUnreadable: retry('ERR_SOURCE_FAILED'),
  // Of Frame.io.
  /** The token that replaced a refused one is refused as well: a third would be no better. */
  tokenRefused: { verdict: 'new-token', code: 'ERR_UNAUTHORIZED', atMost: 1, inARow: true },
  clientRefused: fatal('ERR_UNAUTHORIZED'),
  tokenNotHad: retry('ERR_UNAUTHORIZED'),
  forbidden: fatal('ERR_FORBIDDEN'),
  notFound: fatal('ERR_ASSET_NOT_FOUND'),
  /** A limit of the account's plan: "usage exceeded" (Frame.io's API reference). */
  planLimit: fatal('ERR_PLAN_LIMIT'),
  /** Final for this clip: another one may be taken once the pause is over (Frame.io's C2C guide). */
  channelPaused: fatal('ERR_CHANNEL_PAUSED'),
  rejected: fatal('ERR_REQUEST_REJECTED'),
  /** JSON, and a 2xx, but without what was asked for. */
  nonsense: fatal('ERR_BAD_RESPONSE'),
  // Of S3.
  urlExpired: { verdict: 'new-url', code: 'ERR_URL_EXPIRED' },
  /** A 403 without a code of S3's: a captive portal's or a proxy's page, or an expired URL. */
  deniedByOthers: { verdict: 'new-url', code: 'ERR_BAD_RESPONSE' },
  /** May be an expired URL in other words: some servers leave the message empty. */
  denied: { verdict: 'new-url', code: 'ERR_STORAGE_REJECTED', atMost: 1 },
  /** What arrived is not what was hashed: once may be the network, again and again is the memory. */
  corrupted: { verdict: 'retry', code: 'ERR_CORRUPTED', atMost: 2 },
  storageTrouble: retry('ERR_STORAGE_REJECTED'),
  storageRejected: fatal('ERR_STORAGE_REJECTED'),
} as const satisfies Record<string, Ruling>

/** Statuses that mean the same whoever gave them. */
const judgeStatus = (status: number): Ruling | undefined => {
  if (status === 408) return RULINGS.timeout
  if (status === 429) return RULINGS.rateLimited
  if (status === 501 || status === 505) return RULINGS.notSupported
  // 509, 511 and 520 to 530 come from what stands before Frame.io or S3.
  if (status === 425 || status >= 500) return RULINGS.serverError
  return undefined
}

/**
 * The ruling on an answer of Frame.io other than 2xx.
 *
 * @param genuine whether the body is one of Frame.io's two error shapes
 * @param said what it says, for one status may mean two things
 */
export const judgeApiAnswer = (status: number, genuine: boolean, said = ''): Ruling => {
  const known = judgeStatus(status)
  if (known) return known
  if (status === 401) return RULINGS.tokenRefused
  if (!genuine || status < 400) return RULINGS.notTheirs
  if (status === 402) return RULINGS.planLimit
  if (status === 403) return RULINGS.forbidden
  if (status === 409 && /channel paused/i.test(said)) return RULINGS.channelPaused
  return status === 404 ? RULINGS.notFound : RULINGS.rejected
}

/**
 * The ruling on an answer of Frame.io's `/v2/auth` other than 200, and other than RFC 8628's words for a
 * device that waits.
 *
 * @param word what is said in a body of Frame.io's; undefined where the body is not Frame.io's
 */
export const judgeAuthAnswer = (status: number, word: string | undefined): Ruling => {
  const ruling = judgeApiAnswer(status, word !== undefined)
  // Whoever asks there has no token yet: a portal's 401 is none of Frame.io's.
  if (word === undefined && status === 401) return RULINGS.notTheirs
  if (ruling.verdict === 'retry') return ruling
  if (word === 'invalid_client' || status === 401) return RULINGS.clientRefused
  return word === 'access_denied' || status === 403 ? RULINGS.forbidden : RULINGS.rejected
}

/** What S3 means by the codes that another try, or another URL, may better (AWS, Error responses). */
const STORAGE_CODES: ReadonlyMap<string, Ruling> = new Map([
  ['ExpiredToken', RULINGS.urlExpired],
  ['TokenRefreshRequired', RULINGS.urlExpired],
  // S3 says so when a body came too slowly or stopped.
  ['RequestTimeout', RULINGS.timeout],
  ['BadDigest', RULINGS.corrupted],
  // What the URL was signed with may have been replaced since.
  ['AccessDenied', RULINGS.denied],
  ['InvalidAccessKeyId', RULINGS.denied],
  ['InvalidToken', RULINGS.denied],
])

/** S3's words for a request that is wrong, and stays wrong (AWS, Error responses). */
const FINAL_STORAGE_CODES: ReadonlySet<string> = new Set(
  `AccountProblem AllAccessDisabled AuthorizationHeaderMalformed AuthorizationQueryParametersError
  EntityTooLarge EntityTooSmall ExcessHeaderValues IllegalLocationConstraintException
  InvalidArgument InvalidBucketName InvalidBucketState InvalidDigest InvalidEncryptionAlgorithmError
  InvalidHTTPMethod InvalidObjectState InvalidPayer InvalidRequest InvalidSecurity
  InvalidStorageClass InvalidURI KeyTooLongError MalformedXML MaxMessageLengthExceeded
  MetadataTooLarge MethodNotAllowed MissingContentLength MissingRequestBodyError
  MissingSecurityHeader NoSuchBucket NoSuchKey NoSuchUpload NotSignedUp PermanentRedirect
  PreconditionFailed RequestHeaderSectionTooLarge RequestTimeTooSkewed SignatureDoesNotMatch
  UnexpectedContent XAmzContentSHA256Mismatch`.split(/\s+/),
)

/**
 * The ruling on an answer of S3 other than its 200.
 *
 * @param code S3's own, or '' where the body has none: then something else may have answered
 */
export const judgeStorageAnswer = (status: number, code: string, message: string): Ruling => {
  const known = judgeStatus(status)
  if (known) return known
  if (status === 403 && /expired/i.test(code + message)) return RULINGS.urlExpired
  if (status === 403 && code === '') return RULINGS.deniedByOthers
  if (FINAL_STORAGE_CODES.has(code)) return RULINGS.storageRejected
  if (code === '' || status < 400) return RULINGS.notTheirs
  return STORAGE_CODES.get(code) ?? RULINGS.storageTrouble
}

/** The ruling on bytes that could not be had from a disk, or from a file that somebody else writes. */
export const judgeUnreadable = (error: RealtimeUploadError): Ruling => {
  if (error.code === 'ERR_SOURCE_FAILED') return RULINGS.sourceUnreadable
  return shortageIn(error) === undefined ? RULINGS.unreadable : RULINGS.unreadableNow
}

/** Our own misuse, which no other try betters: of undici, of Node, of a test's own dispatcher. */
const MISUSE =
  /^(UND_ERR_(INVALID_ARG|INVALID_RETURN_VALUE|NOT_SUPPORTED|DESTROYED|CLOSED|REQ_CONTENT_LENGTH_MISMATCH|BPL_MISSING_UPSTREAM)|UND_MOCK_ERR_\w+|ERR_INVALID_\w+|(Type|Range|Reference|Syntax)Error)$/

/** What a network error calls itself: its code, or its name where it has none. */
const errorCode = (error: unknown): string => {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  return String(code ?? name)
}

/** The ruling on a request that ended without an answer. */
export const judgeNetworkError = (error: unknown): Ruling =>
  MISUSE.test(errorCode(error)) ? RULINGS.misuse : RULINGS.network

/** The connection never stood, so the request was surely not carried out. */
const NEVER_CONNECTED =
  /^(ECONNREFUSED|ENETUNREACH|EHOSTUNREACH|EHOSTDOWN|ENETDOWN|ENOTFOUND|EAI_\w+|EADDRNOTAVAIL|EMFILE|ENFILE|ERR_SOCKET_CONNECTION_TIMEOUT|ERR_PROXY_REFUSED|UND_ERR_CONNECT_TIMEOUT|UND_ERR_SOCKS5\w*)$/
/** A TLS handshake failed: a captive portal shows its own certificate, for as long as it stands. */
const TLS =
  /^(EPROTO|UND_ERR_PRX_TLS|ERR_TLS_\w+|ERR_SSL_\w+|CERT_\w+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_\w+|HOSTNAME_MISMATCH)$/
/** What a name is looked up with, by the system or by c-ares: `queryA`, `queryAaaa`, … */
const CONNECTING = /^(connect|getaddrinfo|query[A-Z]\w*)$/

/** Did a request fail before it can have reached the server? */
export const neverSent = (error: unknown): boolean => {
  // Each address of a name was tried: none may have stood.
  const { errors, syscall } = (error ?? {}) as { errors?: unknown; syscall?: unknown }
  if (Array.isArray(errors) && errors.length > 0) return errors.every(neverSent)
  const code = errorCode(error)
  // What is encrypted may be garbled in the middle of a request. Of a handshake Node says `write`.
  const { message } = (error ?? {}) as { message?: unknown }
  if (/bad.record.mac/i.test(`${code} ${message}`)) return false
  if (TLS.test(code)) return true
  // A route may also be lost in the middle of a request: then it is `read` or `write` that fails.
  if (typeof syscall === 'string') return CONNECTING.test(syscall)
  return NEVER_CONNECTED.test(code)
}
