import t from 'tap'
import {
  LIMITS,
  LIMITS_DOOR,
  limitsOf,
  readAsset,
  readFailure,
  readUploadUrls,
} from '../lib/frameio/protocol.ts'

const HTTPS = ['https://s3.example/parts/1?X-Amz-Signature=5ec4e7', 'https://s3.example/parts/2']
const HTTP = ['http://127.0.0.1:9/parts/1', 'http://127.0.0.1:9/parts/2']
const NONSENSE = { code: 'ERR_BAD_RESPONSE' }

t.test('upload URLs are taken in their order', async t => {
  t.strictSame(readUploadUrls({ upload_urls: HTTPS }, 2, true), HTTPS)
  t.strictSame(readUploadUrls({ upload_urls: HTTP }, 2, false), HTTP)
  t.strictSame(readUploadUrls({ upload_urls: HTTPS, more: 1 }, 2, false), HTTPS)
})

t.test('an https base never leads to an http upload URL', async t => {
  t.throws(() => readUploadUrls({ upload_urls: HTTP }, 2, true), {
    ...NONSENSE,
    message: /must be https URLs/,
  })
  const one = [HTTPS[0], 'http://s3.example/parts/2']
  t.throws(() => readUploadUrls({ upload_urls: one }, 2, true), NONSENSE, 'not even one of them')
})

t.test('upload URLs that are not as many as parts make no sense', async t => {
  for (const urls of [HTTPS.slice(1), [...HTTPS, HTTPS[0]], [], 'x', {}, null, undefined, 2]) {
    t.throws(() => readUploadUrls({ upload_urls: urls }, 2, true), {
      ...NONSENSE,
      message: /upload_urls must be a list of 2, one for each part; received (a|null)/,
    })
  }
  for (const body of [null, undefined, 'text', 7, [HTTPS], HTTPS]) {
    t.throws(() => readUploadUrls(body, 2, true), NONSENSE)
  }
})

t.test('upload URLs must be URLs of the web', async t => {
  for (const url of ['', '/parts/1', 'ftp://h/1', 'file:///etc/passwd', 'javascript:1', 7, null]) {
    t.throws(() => readUploadUrls({ upload_urls: [url] }, 1, false), {
      ...NONSENSE,
      message: /upload_urls must be http\(s\) URLs/,
    })
  }
})

t.test('what is wrong with a URL never shows the URL', async t => {
  for (const urls of [
    [`http://h/?X-Amz-Signature=5ec4e7`, 's'],
    ['5ec4e7'],
    ['ftp://5ec4e7/', 's'],
  ]) {
    t.throws(() => readUploadUrls({ upload_urls: urls }, 2, true), { message: /^((?!5ec4e7).)*$/ })
  }
})

t.test('an asset must have an id and a name', async t => {
  const asset = { id: 'a1', name: 'a.mp4', status: 'created' }
  t.equal(readAsset(asset), asset)
  for (const body of [
    null,
    [],
    'x',
    undefined,
    {},
    { id: 'a1' },
    { name: 'a' },
    { id: 1, name: 'a' },
  ]) {
    t.throws(() => readAsset(body), { ...NONSENSE, message: /an asset must have an id and a name/ })
  }
})

t.test('both shapes of a failure are read, and nothing else passes for one', async t => {
  const table: [body: unknown, said: string | undefined][] = [
    [{ error: 'invalid_client' }, 'invalid_client'],
    [
      {
        code: 409,
        errors: [{ title: 'Channel Paused', detail: 'by the user' }],
        message: 'Conflict',
      },
      'Conflict; Channel Paused: by the user',
    ],
    [{ errors: [{ detail: 'one' }, { title: 'two' }] }, 'one; two'],
    [{ errors: [{ title: 1 }, 'text', null], message: 7 }, ''],
    [{ errors: [] }, ''],
    [{ errors: 'text' }, undefined],
    [{ error: { message: 'another API' } }, undefined],
    [{ message: 'Forbidden' }, undefined],
    ['<html>', undefined],
    [null, undefined],
    [undefined, undefined],
    [[{ error: 'x' }], undefined],
  ]
  for (const [body, said] of table) t.equal(readFailure(body), said, JSON.stringify(body))
})

t.test('the limits are the real ones, unless a test lowers them', async t => {
  t.equal(limitsOf({}).minPartSize, 5_242_880)
  t.equal(limitsOf({}).maxPartSize, 5_368_709_120)
  t.equal(limitsOf({}).maxParts, 10_000)
  t.equal(limitsOf({}).maxFilesize, 5_497_558_138_880)
  t.strictSame(limitsOf({ [LIMITS_DOOR]: { maxParts: 7 } }), { ...LIMITS, maxParts: 7 })
})
