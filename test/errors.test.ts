import t from 'tap'
import { AbortError, cleanCause, RealtimeUploadError, redact } from '../lib/errors.ts'
import { shown } from './support/sandboxes.ts'

const URL_SIGNED =
  'https://s3.example/parts/1?X-Amz-Credential=AKIA&X-Amz-Signature=5ec4e7&X-Amz-Expires=60'

t.test('an error has its code, its message, and the details that were given', async t => {
  const error = new RealtimeUploadError('ERR_NETWORK', 'no network', {
    assetId: 'a1',
    partNumber: undefined,
    attempts: 3,
  })
  t.ok(error instanceof Error)
  t.equal(error.name, 'RealtimeUploadError')
  t.equal(error.message, 'no network')
  t.strictSame(
    { ...error },
    { name: 'RealtimeUploadError', code: 'ERR_NETWORK', assetId: 'a1', attempts: 3 },
  )
  t.notOk('partNumber' in error, 'what is not known is not there')
  t.notOk('cause' in error)
  t.match(error.stack, /no network[\s\S]*errors\.test/)
})

t.test('an abort is an AbortError, with the reason as its cause', async t => {
  const reason = new Error('enough')
  t.match(new AbortError(reason), { name: 'AbortError', code: 'ABORT_ERR', cause: reason })
  t.notOk('cause' in new AbortError())
})

t.test('text loses queries of URLs, signatures and bearer tokens', async t => {
  const table: [text: string, clean: string][] = [
    [`PUT ${URL_SIGNED} failed`, 'PUT https://s3.example/parts/1?[redacted] failed'],
    ['<a href="http://h/p?q=1">', '<a href="http://h/p?[redacted]">'],
    ["'HTTPS://h/p?q=1'", "'HTTPS://h/p?[redacted]'"],
    ['https://h/p and ? alone', 'https://h/p and ? alone'],
    ['two: http://a/?x=1 http://b/?y=2', 'two: http://a/?[redacted] http://b/?[redacted]'],
    ['X-Amz-Signature=abc&b=1', 'X-Amz-Signature=[redacted]&b=1'],
    ['x-amz-security-token%3Dabc', 'x-amz-security-token%3D[redacted]'],
    ['X-Amz-Credential=AKIA/2026', 'X-Amz-Credential=[redacted]'],
    ['authorization: Bearer abc.d-e_f', 'authorization: Bearer [redacted]'],
    ['"bearer abc"', '"bearer [redacted]"'],
    ['a bear, a token', 'a bear, a token'],
  ]
  for (const [text, clean] of table) t.equal(redact(text), clean)
})

t.test('a secret is taken out wherever it stands', async t => {
  t.equal(redact('a s3cret, a s3cret.', 's3cret'), 'a [redacted], a [redacted].')
  t.equal(redact('one two', 'one', 'two'), '[redacted] [redacted]')
  t.equal(redact('a $& b', '$&'), 'a [redacted] b')
})

t.test('a secret is taken out whole, also where another rule would take a half of it', async t => {
  for (const secret of ['abc,defgh', 'abc;defgh', "abc'defgh"]) {
    t.notMatch(redact(`authorization: Bearer ${secret}`, secret), 'defgh', secret)
  }
})

t.test('the message and the cause of an error are redacted', async t => {
  const cause = new Error(`connect ${URL_SIGNED}`)
  const error = new RealtimeUploadError('ERR_NETWORK', `failed: ${URL_SIGNED}`, { cause })
  t.notMatch(shown(error), /5ec4e7|AKIA/)
  t.match(error.message, 'https://s3.example/parts/1?[redacted]')
})

t.test(
  'of a foreign error its name, message, stack and code are kept, and nothing else',
  async t => {
    const foreign = Object.assign(new TypeError('it broke'), {
      code: 'EPIPE',
      request: { headers: { authorization: 'Bearer hidden' } },
      url: URL_SIGNED,
    })
    const copy = cleanCause(foreign)
    t.not(copy, foreign)
    t.match(copy, { name: 'TypeError', message: 'it broke', code: 'EPIPE', stack: /errors\.test/ })
    t.strictSame(Object.keys(copy as object).sort(), ['code', 'name'])
    t.notMatch(shown(copy), /hidden|5ec4e7/)
    t.notOk('code' in (cleanCause(new Error('no code')) as object))
  },
)

t.test('a chain of causes is cleaned to its end', async t => {
  const deep = new Error(`deep ${URL_SIGNED} Bearer s3cret`)
  const outer = new Error('outer', { cause: new Error('middle', { cause: deep }) })
  const copy = cleanCause(outer)
  t.match(copy, { message: 'outer', cause: { message: 'middle', cause: { message: /^deep / } } })
  t.notMatch(shown(copy), /5ec4e7|s3cret/)
})

t.test('an error of our own is kept as it is', async t => {
  const own = new RealtimeUploadError('ERR_SERVER', 'ours', { statusCode: 503 })
  t.equal(cleanCause(own), own)
})

t.test('a cause that is no error becomes text', async t => {
  t.equal(cleanCause(`down: ${URL_SIGNED}`), 'down: https://s3.example/parts/1?[redacted]')
  t.equal(cleanCause(7), '7')
  t.equal(cleanCause(null), 'null')
  t.equal(cleanCause({ token: 's3cret' }), '[object Object]')
  t.equal(cleanCause(Symbol('odd')), 'Symbol(odd)')
})

t.test('a cause that has no text does not hide the failure itself', async t => {
  const cause = Object.create(null)
  t.match(new RealtimeUploadError('ERR_NETWORK', 'it failed', { cause }), { message: 'it failed' })
})

t.test('an error without a stack has its message for one', async t => {
  const bare = new Error('bare')
  delete bare.stack
  t.match(cleanCause(bare), { message: 'bare', stack: 'bare' })
})

t.test('a chain of causes that bites its own tail ends', async t => {
  const self = new Error('self')
  self.cause = self
  t.match(cleanCause(self), { message: 'self' })
  const a = new Error('a')
  const b = new Error('b', { cause: a })
  a.cause = b
  const error = new RealtimeUploadError('ERR_UNAUTHORIZED', 'it failed', { cause: a })
  t.match(error, { message: 'it failed', cause: { message: 'a', cause: { message: 'b' } } })
})
