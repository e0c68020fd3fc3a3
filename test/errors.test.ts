import t from 'tap'
import {
  AbortError,
  cleanCause,
  describeCause,
  quote,
  RealtimeUploadError,
  redact,
} from '../lib/errors.ts'
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
    ['through http://me:hush@proxy:1/', 'through http://[redacted]@proxy:1/'],
    ['rtsp://me:hu@sh@camera, http://h/?a@b', 'rtsp://[redacted]@camera, http://h/?[redacted]'],
    ['X-Amz-Signature=abc&b=1', 'X-Amz-Signature=[redacted]&b=1'],
    ['x-amz-security-token%3Dabc', 'x-amz-security-token%3D[redacted]'],
    ['X-Amz-Credential=AKIA/2026', 'X-Amz-Credential=[redacted]'],
    ['authorization: Bearer abc.d-e_f', 'authorization: Bearer [redacted]'],
    ['"bearer abc"', '"bearer [redacted]"'],
    ['a bear, a token', 'a bear, a token'],
  ]
  for (const [text, clean] of table) {
    t.equal(redact(text), clean)
    t.equal(redact(`${redact(text)}; more`), `${clean}; more`, 'and once more')
  }
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
  'of a foreign error its name, message, stack, code and system call are kept, and nothing else',
  async t => {
    const foreign = Object.assign(new TypeError('it broke'), {
      code: 'EPIPE',
      syscall: 'write',
      request: { headers: { authorization: 'Bearer hidden' } },
      url: URL_SIGNED,
    })
    const copy = cleanCause(foreign)
    t.not(copy, foreign)
    t.match(copy, {
      name: 'TypeError',
      message: 'it broke',
      code: 'EPIPE',
      syscall: 'write',
      stack: /errors\.test/,
    })
    t.strictSame(Object.keys(copy as object).sort(), ['code', 'name', 'syscall'])
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

/** What somebody might send to keep a pattern busy. */
const HOSTILE = [
  'http://',
  'https://a/',
  'https://a/?',
  'X-Amz-Signature',
  'X-Amz-Signature=a',
  'Bearer',
  'Bearer ',
  'Bearer  "',
  'bearer\t\n',
  ' ',
  'a',
]

t.test('a text of any making is redacted in a time that grows as its length does', t => {
  const start = performance.now()
  for (const part of HOSTILE) {
    redact(part.repeat(1_000_000 / part.length))
    redact(`Bearer${part.repeat(1_000_000 / part.length)}`)
  }
  // Some tens of ms. At the pace of a pattern that looks again and again: minutes.
  t.ok(performance.now() - start < 20_000, 'it does not hang')
  t.end()
})

t.test('what others say is cut to some 500 characters, and says how long it was', async t => {
  const short = 'no such thing; '.repeat(30)
  t.equal(quote(short), short)
  const long = quote('no such thing; '.repeat(20_000))
  t.match(long, /^no such thing; .* \(300000 characters\)$/)
  t.ok(long.length < 550, `${long.length}`)
  t.equal(quote('x'.repeat(200_000)), '… (200000 characters)', 'one word may be a secret')
})

t.test('no cut leaves the half of a secret, which nobody would know for one any more', async t => {
  const secret = 'fio-u-SECRET.0123456789_abc/def+ghi==~'
  for (let before = 400; before < 520; before++) {
    const text = `${'x '.repeat(before / 2)}"${secret}"${' and more'.repeat(100)}`
    const said = quote(text).replaceAll(secret, '')
    t.notMatch(said, /fio|SECRET/, `after ${before} characters`)
    t.notMatch(quote(text, secret), /fio|SECRET/)
    t.notMatch(quote(text.replace(secret, URL_SIGNED)), /AKIA|5ec4/)
  }
})

t.test('the message of an error is bounded, and so are its words', async t => {
  const { message, storageCode = '' } = new RealtimeUploadError('ERR_SERVER', 'so '.repeat(9_999), {
    storageCode: 'Slow Down '.repeat(9_999),
  })
  t.ok(message.length < 2_100, `${message.length}`)
  t.ok(storageCode.length < 600, `${storageCode.length}`)
})

t.test('a foreign error that says much is cut, and its calls are still told', async t => {
  const { message, stack = '' } = cleanCause(new Error('it says much '.repeat(20_000))) as Error
  t.ok(message.length < 550, `${message.length}`)
  t.ok(stack.length < 4_100, `${stack.length}`)
  t.match(stack, /^Error: it says much .*\n +at .*errors\.test/)
  const odd = Object.assign(new Error('odd'), { stack: 'line of a stack\n'.repeat(20_000) })
  t.ok(((cleanCause(odd) as Error).stack ?? '').length < 4_100)
  t.ok(String(cleanCause('so much '.repeat(20_000))).length < 550)
})

t.test('an error that stands for several says what each says', async t => {
  const parts = [new Error('first'), new Error(`second ${URL_SIGNED}`), 'third']
  const said = 'first; second https://s3.example/parts/1?[redacted]; third'
  t.equal(describeCause(new AggregateError(parts)), said)
  t.equal(describeCause(new AggregateError(parts, 'all failed')), `all failed; ${said}`)
  t.match(cleanCause(new AggregateError(parts)), {
    name: 'AggregateError',
    message: said,
    errors: [{ message: 'first' }, { message: /redacted/ }, 'third'],
  })
  const circle = new AggregateError(parts)
  circle.errors.push(circle)
  t.match(cleanCause(circle), { name: 'AggregateError' })
  const many = cleanCause(new AggregateError(Array(1_000).fill(new Error('one')))) as AggregateError
  t.ok(many.errors.length < 10)
  t.equal(describeCause(Object.assign(new Error(''), { code: 'EPIPE' })), 'EPIPE')
})

t.test('a foreign error whose fields are of another kind is no trouble', async t => {
  const fields = { message: {}, name: 7, stack: [], code: { secret: 's3cret' } }
  const copy = cleanCause(Object.assign(new Error('odd'), fields))
  t.match(copy, { name: '7', message: '[object Object]' })
  t.notMatch(shown(copy), /s3cret/)
})
