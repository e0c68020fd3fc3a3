/**
 * One part to one presigned URL: the only file that speaks to S3.
 */
import type { Dispatcher } from 'undici'
import { type ErrorDetails, quote, RealtimeUploadError } from '../errors.ts'
import { exchange, notHad } from '../net/http.ts'
import { Failure, type Hold, type RetryContext, readRetryAfter, withRetries } from '../net/retry.ts'
import { judgeStorageAnswer, RULINGS, type Ruling } from '../net/rulings.ts'
import type { Part } from '../spool/home.ts'

/** A presigned URL and when it came, on the monotonic clock in ms. */
export interface UploadUrl {
  readonly url: string
  readonly since: number
}

export interface PutOptions {
  readonly part: Part
  readonly assetId: string
  readonly filetype: string
  /** What to do where S3 finds that `filetype` is not what the URL signs: it depends on who chose it. */
  readonly onMismatch: string
  readonly dispatcher: Dispatcher
  /** The URL from the part's registration. */
  readonly url: UploadUrl
  /**
   * Gets another URL for the part.
   *
   * @param why what the last was refused for; undefined where it is past its life by our own clock
   */
  readonly renew: (why: Ruling | undefined) => Promise<UploadUrl>
  /** Waits for its turn to make an attempt; gives how to end the attempt. */
  readonly start: () => Promise<() => void>
  /** How long an attempt may take, in ms. */
  readonly allowed: () => number
  /** Told at once when one took longer, after how many ms; whether that ends the matter. */
  readonly onCut: (after: number) => boolean
  readonly context: Omit<RetryContext, 'gate'>
}

/** What a part's way to S3 took. */
export interface Receipt {
  readonly attempts: number
  /** How long the attempt that succeeded took, in ms. */
  readonly duration: number
}

/** Bytes of an answer that are read. S3's errors take less than 1 KB. */
const READ_AT_MOST = 64 * 2 ** 10

/** What to do about a refusal, by S3's code. */
const adviceOn = (storageCode: string, onMismatch: string): string | undefined => {
  if (storageCode === 'SignatureDoesNotMatch') return onMismatch
  if (storageCode !== 'BadDigest') return undefined
  return "the part's bytes changed on the way or in this machine's memory"
}

/** Sends a part until S3 has it. @throws {RealtimeUploadError} when it cannot be sent */
export const putPart = (options: PutOptions): Promise<Receipt> => {
  const { url, renew, start, context } = options
  let current: UploadUrl | undefined = url
  let why: Ruling | undefined

  const attempt = async (attempts: number, hold: Hold): Promise<Receipt> => {
    if (!current || isOutdated(current)) current = await hold(renew(why))
    why = undefined
    const end = await hold(start())
    try {
      // The turn may have come late.
      if (isOutdated(current)) current = await hold(renew(undefined))
      const startedAt = performance.now()
      await putOnce(current.url, options)
      return { attempts, duration: performance.now() - startedAt }
    } catch (error) {
      if (error instanceof Failure && error.ruling.verdict === 'new-url') {
        current = undefined
        why = error.ruling
      }
      throw error
    } finally {
      end()
    }
  }
  return withRetries(attempt, context)
}

const putOnce = async (url: string, options: PutOptions): Promise<void> => {
  const { part, assetId, filetype, dispatcher, allowed, onCut } = options
  const { signal } = options.context
  const details = { assetId, partNumber: part.number }
  const what = `Sending part ${part.number} of asset ${assetId} failed`
  const md5 = part.md5 ?? (await md5Of(part, what, details))
  let handedOver = 0
  const watched = async function* () {
    for await (const slice of part.body()) {
      // Before the last slice is sent, not after: S3 may answer before the socket tells that it is.
      handedOver += slice.length
      yield slice
    }
  }
  const { status, headers, text } = await exchange({
    dispatcher,
    method: 'PUT',
    url,
    headers: putHeaders(url, filetype, part.size, md5),
    body: watched(),
    signal,
    allowed,
    onCut,
    readAtMost: READ_AT_MOST,
    what,
    details,
  })
  if (status === 200) {
    // S3 answers when it has every byte, with an ETag and nothing to say (AWS, PutObject).
    if (handedOver === part.size && headers.etag && text.trim() === '') return
    const reason = `${what}: the answer is 200, but not S3's: is a proxy or a captive portal on the way?`
    throw new Failure(RULINGS.notTheirs, reason, { ...details, statusCode: status })
  }
  const storageCode = readTag(text, 'Code')
  const message = readTag(text, 'Message')
  const said = quote([storageCode, message].filter(Boolean).join(': '))
  const advice = adviceOn(storageCode, options.onMismatch)
  throw new Failure(
    judgeStorageAnswer(status, storageCode, message),
    `${what}: S3 answered ${status}${said && ` (${said})`}${advice ? `; ${advice}` : ''}`,
    { ...details, statusCode: status, storageCode: storageCode || undefined },
    { retryAfter: readRetryAfter(headers['retry-after']) },
  )
}

/** Bytes that cannot be read are no more a reason to give up here than where they are sent. */
const md5Of = async (
  part: Part,
  what: string,
  details: ErrorDetails,
): Promise<string | undefined> => {
  try {
    return await part.takeMd5?.()
  } catch (error) {
    throw error instanceof RealtimeUploadError ? notHad(error, what, details) : error
  }
}

/**
 * What a presigned URL of Frame.io's wants. Known samples sign `content-type;host;x-amz-acl`. S3
 * refuses an `x-amz-*` header that the URL did not sign, and `Authorization` beside a presigned
 * query, so nothing else is sent.
 */
const putHeaders = (
  url: string,
  filetype: string,
  size: number,
  md5: string | undefined,
): Record<string, string> => {
  const signed = queryOf(url).get('x-amz-signedheaders')
  // The query of a real-time URL was never shown: without a list of signed headers, the headers of
  // the known samples are the best guess.
  const acl = signed === undefined || signed.split(';').includes('x-amz-acl')
  return {
    'content-type': filetype,
    'content-length': String(size),
    ...(acl && { 'x-amz-acl': 'private' }),
    // Need not be signed, and S3 checks it all the same (AWS, PutObject).
    ...(md5 !== undefined && { 'content-md5': md5 }),
  }
}

/** Past its life, by our own clock's count since it came: whatever the time of day is set to. */
const isOutdated = ({ url, since }: UploadUrl): boolean => {
  const seconds = Number(queryOf(url).get('x-amz-expires') ?? Infinity)
  return performance.now() - since >= seconds * 1_000
}

/** The query's parameters, their names in lower case. */
const queryOf = (url: string): Map<string, string> =>
  new Map([...new URL(url).searchParams].map(([name, value]) => [name.toLowerCase(), value]))

/** The text of an element in S3's XML; '' where there is none, as in a proxy's HTML. */
const readTag = (xml: string, tag: string): string =>
  xml.match(new RegExp(`<${tag}>([^<]*)</${tag}>`))?.[1]?.trim() ?? ''
