/**
 * Presigned URLs: AWS Signature Version 4 in the query, as the AWS SDKs make it, and its check.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Why S3 refuses: its `<Code>` and `<Message>`. */
export interface Denial {
  readonly status: number
  readonly code: string
  readonly message: string
}

type Headers = Readonly<Record<string, string | undefined>>

const REGION = 'us-east-1'
const SIGNED_HEADERS = 'content-type;host;x-amz-acl'

/** Signs URLs and checks them, with a secret that nobody else has. */
export class Signer {
  readonly #accessKey = `SANDBOX${randomBytes(6).toString('hex').toUpperCase()}`
  readonly #secret = randomBytes(30).toString('base64')
  readonly #lifetime: number

  /** @param lifetime of a URL, in seconds. */
  constructor(lifetime: number) {
    this.#lifetime = lifetime
  }

  /** Path and query by which an object can be PUT with this content type. */
  presign(path: string, host: string, contentType: string): string {
    const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
    const query = canonicalQuery([
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', `${this.#accessKey}/${scopeOf(date)}`],
      ['X-Amz-Date', date],
      ['X-Amz-Expires', String(this.#lifetime)],
      ['X-Amz-SignedHeaders', SIGNED_HEADERS],
    ])
    const headers = { host, 'content-type': contentType, 'x-amz-acl': 'private' }
    const signature = this.#sign('PUT', path, query, SIGNED_HEADERS, headers, date)
    return `${path}?${query}&X-Amz-Signature=${signature}`
  }

  /** Why this request may not go on, or undefined if it may. */
  denial({ method = '', url = '', headers }: IncomingMessage): Denial | undefined {
    const [path = '', query] = url.split('?')
    const parameters = new URLSearchParams(query)
    const parameter = (name: string) => parameters.get(`X-Amz-${name}`) ?? ''
    const isPresigned = parameters.has('X-Amz-Signature')

    if (headers.authorization !== undefined) {
      return isPresigned ? TWO_MECHANISMS : accessDenied('Access Denied')
    }
    if (!isPresigned) return accessDenied('Access Denied')

    const signed = parameter('SignedHeaders').split(';')
    const names = Object.keys(headers).filter(name => name.startsWith('x-amz-'))
    if (names.some(name => !signed.includes(name))) return accessDenied(NOT_SIGNED)

    const date = parameter('Date')
    const born = Date.parse(date.replace(/^(.{4})(..)(.{5})(..)(..Z)$/, '$1-$2-$3:$4:$5'))
    if (Date.now() >= born + Number(parameter('Expires')) * 1000) {
      return accessDenied('Request has expired')
    }

    const rest = [...parameters].filter(([name]) => name !== 'X-Amz-Signature')
    const signature = this.#sign(
      method,
      path,
      canonicalQuery(rest),
      parameter('SignedHeaders'),
      headers as Headers,
      date,
    )
    return signature === parameter('Signature') ? undefined : MISMATCH
  }

  #sign(
    method: string,
    path: string,
    query: string,
    signedHeaders: string,
    headers: Headers,
    date: string,
  ): string {
    const lines = signedHeaders.split(';').map(name => `${name}:${headers[name]?.trim()}\n`)
    const request = [method, path, query, lines.join(''), signedHeaders, 'UNSIGNED-PAYLOAD']
    const hash = createHash('sha256').update(request.join('\n')).digest('hex')
    const text = ['AWS4-HMAC-SHA256', date, scopeOf(date), hash].join('\n')
    const key = scopeOf(date)
      .split('/')
      .reduce((secret: string | Buffer, step) => hmac(secret, step), `AWS4${this.#secret}`)
    return hmac(key, text).toString('hex')
  }
}

const scopeOf = (date: string) => `${date.slice(0, 8)}/${REGION}/s3/aws4_request`

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

const canonicalQuery = (pairs: readonly (readonly [string, string])[]) =>
  pairs
    .map(pair => pair.map(encode).join('='))
    .sort()
    .join('&')

/** RFC 3986: what encodeURIComponent leaves alone is more than AWS leaves alone. */
const encode = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )

const accessDenied = (message: string): Denial => ({ status: 403, code: 'AccessDenied', message })

const NOT_SIGNED = 'There were headers present in the request which were not signed'

const TWO_MECHANISMS: Denial = {
  status: 400,
  code: 'InvalidArgument',
  message:
    'Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified',
}

const MISMATCH: Denial = {
  status: 403,
  code: 'SignatureDoesNotMatch',
  message:
    'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
}
