import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { type ErrorCode, RealtimeUpload, type RealtimeUploadOptions } from '../../lib/index.ts'
import type { Fault, Sandbox } from '../../lib/sandbox/index.ts'
import { bytes, endOf, QUICK, SMALL, sandboxFor, shown, smallUpload } from '../support/sandboxes.ts'

interface Scenario {
  readonly faults?: Fault[]
  readonly options?: Partial<RealtimeUploadOptions>
  readonly code: ErrorCode | 'ABORT_ERR'
  readonly expected?: object
}

const always = (on: Fault['on'], action: Fault['do']): Fault[] => [
  { on, times: Infinity, do: action },
]
const refusal = (code: number, title: string) => ({
  status: code,
  body: {
    code,
    errors: [{ code, detail: `No ${title} for you`, status: code, title }],
    message: title,
  },
})
const xml = (code: string, message = '') =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`

const scenarios: Record<string, Scenario> = {
  'a token that Frame.io does not know': {
    options: { token: 'wrong-but-secret-token' },
    code: 'ERR_UNAUTHORIZED',
    expected: { statusCode: 401, attempts: 1, message: /fetches a fresh one/ },
  },
  'a token function whose second token is refused as well': {
    options: { token: () => 'wrong-but-secret-token' },
    code: 'ERR_UNAUTHORIZED',
    expected: { statusCode: 401, attempts: 2 },
  },
  'a token function that rejects, with a secret in its error': {
    options: {
      token: () =>
        Promise.reject(
          Object.assign(new Error('POST https://auth.test/?X-Amz-Signature=SIGNATURE failed'), {
            request: { headers: { authorization: 'Bearer wrong-but-secret-token' } },
          }),
        ),
    },
    code: 'ERR_UNAUTHORIZED',
    expected: { message: /token function failed/ },
  },
  'a right that the token lacks': {
    faults: always('register', refusal(403, 'Forbidden')),
    code: 'ERR_FORBIDDEN',
    expected: { statusCode: 403, attempts: 1, message: /No Forbidden for you/ },
  },
  'an asset that does not exist': {
    options: { assetId: 'no-such-asset' },
    code: 'ERR_ASSET_NOT_FOUND',
    expected: { statusCode: 404, assetId: 'no-such-asset', message: /check the id/ },
  },
  'a request that Frame.io refuses': {
    faults: always('register', refusal(422, 'Unprocessable')),
    code: 'ERR_REQUEST_REJECTED',
    expected: { statusCode: 422, attempts: 1 },
  },
  'an answer that quotes the token': {
    faults: always('register', { status: 400, body: { error: 'bad token: TOKEN' } }),
    code: 'ERR_REQUEST_REJECTED',
  },
  'throttling without end': {
    faults: always('register', { status: 429 }),
    options: { retry: { giveUpAfter: 0, minDelay: 1, maxDelay: 5 } },
    code: 'ERR_RATE_LIMITED',
    expected: { statusCode: 429, attempts: 3 },
  },
  'URLs that are always expired': {
    faults: always('put', { expire: true }),
    code: 'ERR_URL_EXPIRED',
    expected: { statusCode: 403, storageCode: 'AccessDenied', partNumber: /\d/ },
  },
  'a filetype other than the asset’s': {
    options: { filetype: 'video/quicktime' },
    code: 'ERR_STORAGE_REJECTED',
    expected: {
      statusCode: 403,
      storageCode: 'SignatureDoesNotMatch',
      message: /pass the filetype/,
    },
  },
  'a part that S3 refuses': {
    faults: always('put', { status: 400, body: xml('EntityTooLarge') }),
    code: 'ERR_STORAGE_REJECTED',
    expected: { statusCode: 400, storageCode: 'EntityTooLarge', attempts: 1 },
  },
  'a store that says much': {
    faults: always('put', { status: 400, body: xml('No'.repeat(9_000), 'so much '.repeat(5_000)) }),
    code: 'ERR_STORAGE_REJECTED',
    expected: { statusCode: 400, message: /^.{0,800}$/, storageCode: /^.{0,550}$/ },
  },
  'access that S3 denies without a reason': {
    faults: always('put', { status: 403, body: xml('AccessDenied') }),
    code: 'ERR_STORAGE_REJECTED',
    expected: { storageCode: 'AccessDenied', attempts: 2 },
  },
  'a redirect': {
    faults: always('put', { status: 307, headers: { location: 'http://127.0.0.1:9/' } }),
    code: 'ERR_BAD_RESPONSE',
    expected: { statusCode: 307 },
  },
  'too few URLs': {
    faults: always('register', { status: 200, body: { upload_urls: [] } }),
    code: 'ERR_BAD_RESPONSE',
    expected: { attempts: 1, message: /a list of 1.*received a list of 0/ },
  },
  'a captive portal’s page instead of Frame.io’s answer': {
    faults: always('register', { status: 200, body: '<html>Welcome to the hotel</html>' }),
    code: 'ERR_BAD_RESPONSE',
    expected: { message: /captive portal/ },
  },
  'a 404 that is not Frame.io’s': {
    faults: always('register', { status: 404, body: '<html>nginx</html>' }),
    code: 'ERR_BAD_RESPONSE',
    expected: { statusCode: 404 },
  },
  'connections that break': {
    faults: always('put', { reset: 'during' }),
    code: 'ERR_NETWORK',
    expected: { partNumber: /\d/, cause: Error },
  },
  'a Frame.io that is not there': {
    options: { baseUrl: 'http://127.0.0.1:9' },
    code: 'ERR_NETWORK',
    expected: { message: /ECONNREFUSED/, cause: { code: 'ECONNREFUSED' } },
  },
  'an API that never answers': {
    faults: always('register', { hang: 'answer' }),
    options: { apiTimeout: 20 },
    code: 'ERR_TIMEOUT',
  },
  'a PUT that never ends': {
    faults: always('put', { hang: 'answer' }),
    options: { stallTimeout: 20, retry: { giveUpAfter: 10, minDelay: 1, maxDelay: 5 } },
    code: 'ERR_TIMEOUT',
    expected: { attempts: 3 },
  },
  'server errors without end': {
    faults: always('put', { status: 503, body: xml('SlowDown') }),
    code: 'ERR_SERVER',
    expected: { statusCode: 503, storageCode: 'SlowDown' },
  },
  'an abort': {
    options: { signal: AbortSignal.timeout(50) },
    faults: always('put', { hang: 'answer' }),
    code: 'ABORT_ERR',
  },
}

/** What must not show: every token, and every signature and credential the sandbox ever signed. */
const leaks = (sandbox: Sandbox, text: string) =>
  [sandbox.token, 'wrong-but-secret-token', 'SIGNATURE'].some(secret => text.includes(secret)) ||
  /X-Amz-(Signature|Credential|Security-Token)=(?!\[redacted\])/i.test(text)

for (const [name, { faults = [], options = {}, code, expected = {} }] of Object.entries(
  scenarios,
)) {
  t.test(`${name}: ${code}`, async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    const spelled = JSON.parse(JSON.stringify(faults).replaceAll('TOKEN', sandbox.token)) as Fault[]
    sandbox.faults.add(
      ...spelled.map((fault, index) => ({ ...fault, times: faults[index]?.times ?? 1 })),
    )
    const { upload, seen } = smallUpload(sandbox, {
      retry: { ...QUICK, giveUpAfter: 50 },
      ...options,
    })
    upload.end(bytes(800))
    const error = (await endOf(upload)) as Error & { code: string }
    t.equal(error.code, code)
    t.match(error, expected)
    t.equal(error.name, code === 'ABORT_ERR' ? 'AbortError' : 'RealtimeUploadError')
    t.strictSame(seen.order.slice(-2), ['error', 'close'])
    t.equal(upload.result, undefined)
    const told = [error, ...seen.retry].map(shown).join('\n')
    t.notOk(leaks(sandbox, told), 'no secret is told')
    const attempts = (error as { attempts?: number }).attempts ?? 1
    t.equal(seen.retry.length, upload.progress.retries)
    t.ok(
      seen.retry.length >= attempts - 1,
      `${attempts} attempts, ${seen.retry.length} retries told`,
    )
  })
}

t.test('the token goes to Frame.io only', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  upload.end(bytes(5_000))
  t.equal(await endOf(upload), undefined)
  for (const { side, headers } of sandbox.requests) {
    t.equal('authorization' in headers, side === 'api')
    t.equal(JSON.stringify(headers).includes(sandbox.token), side === 'api')
  }
})

t.test('a redirect of the API is not followed, so the token stays where it was sent', async t => {
  let followed = 0
  const elsewhere = createServer((_, answer) => {
    followed++
    answer.end('{}')
  })
  await new Promise<void>(resolve => elsewhere.listen(0, '127.0.0.1', resolve))
  t.teardown(() => elsewhere.close())
  const { port } = elsewhere.address() as AddressInfo
  const location = `http://127.0.0.1:${port}/`
  const sandbox = await sandboxFor(
    t,
    { faults: always('register', { status: 302, headers: { location } }) },
    SMALL,
  )
  const { upload } = smallUpload(sandbox)
  upload.end(bytes(10))
  t.match(await endOf(upload), { code: 'ERR_BAD_RESPONSE', statusCode: 302 })
  t.equal(followed, 0)
})

t.test('bad options fail in the constructor, before any byte', async t => {
  const good = { assetId: 'a', filetype: 'video/mp4', token: 'secret-token' }
  const refused = (options: object, message: RegExp) =>
    t.throws(() => new RealtimeUpload({ ...good, ...options } as RealtimeUploadOptions), {
      name: 'RealtimeUploadError',
      code: 'ERR_INVALID_OPTION',
      message,
    })
  refused(
    { partSize: 1_024 },
    /^partSize must be an integer from 5242880 to 5368709120 \(bytes\); received 1024$/,
  )
  refused({ assetId: '../teams' }, /^assetId must be an id/)
  refused({ token: undefined }, /^token must be/)
  refused({ token: 'secret\r\ntoken' }, /^token must be (?!.*secret)/)
  refused({ filetype: 'video/mp4\r\nx: y' }, /^filetype must be a media type/)
  refused({ baseUrl: 'http://api.frame.io' }, /^baseUrl must be an https URL/)
  refused({ client: {} }, /^client must be a FrameioClient/)
  refused({ partsize: 5_242_880 }, /^partsize is not an option; did you mean partSize\?/)
})
