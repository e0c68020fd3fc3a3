import t, { type Test } from 'tap'
import { Agent } from 'undici'
import { type Exchange, exchange } from '../lib/net/http.ts'
import { Failure } from '../lib/net/retry.ts'
import { closedPort, failureOf, json, serve, serveRaw, within } from './support/servers.ts'

/** One request, by a dispatcher of its own that is destroyed with the test. */
const send = (t: Test, url: string, options: Partial<Exchange> = {}) => {
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  return exchange({
    dispatcher,
    method: 'GET',
    url,
    headers: {},
    body: null,
    signal: new AbortController().signal,
    allowed: () => 20_000,
    readAtMost: 1_000,
    what: 'Asking failed',
    details: { assetId: 'a1' },
    ...options,
  })
}

/** The failure with which a request ends. */
const faultOf = async (t: Test, request: Promise<unknown>): Promise<Failure> => {
  const failure = await within(10_000, failureOf(request))
  if (!(failure instanceof Failure)) throw failure
  t.match(failure.details, { assetId: 'a1' })
  t.match(failure.message, /^Asking failed: ./)
  return failure
}

const RETRY = { verdict: 'retry', code: 'ERR_NETWORK' }

t.test('an answer is its status, headers and text, whatever the status', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) =>
    json(res, count === 1 ? 200 : 503, { count }, { 'x-more': 'yes' }),
  )
  const answer = await send(t, `${url}/p?q=1`, {
    method: 'POST',
    headers: { 'x-mine': '1' },
    body: 'text',
  })
  t.match(answer, { status: 200, headers: { 'x-more': 'yes' }, text: '{"count":1}' })
  t.match(requests, [{ method: 'POST', url: '/p?q=1', headers: { 'x-mine': '1' } }])
  t.equal(requests[0]?.body.toString(), 'text')
  t.match(await send(t, url), { status: 503, text: '{"count":2}' })
})

t.test('any iterable of bytes is a body', async t => {
  const { url, requests } = await serve(t, res => res.end())
  const slices = [Buffer.from('ab'), Buffer.from('cde')]
  const later = async function* () {
    yield* slices
  }
  for (const body of [slices, later()]) {
    await send(t, url, { method: 'PUT', body, headers: { 'content-length': '5' } })
  }
  t.strictSame(
    requests.map(({ body, headers }) => [body.toString(), headers['content-length']]),
    [
      ['abcde', '5'],
      ['abcde', '5'],
    ],
  )
})

t.test('a redirect is an answer: it is not followed', async t => {
  const elsewhere = await serve(t, res => res.end('followed'))
  const { url } = await serve(t, res => res.writeHead(302, { location: elsewhere.url }).end())
  t.match(await send(t, url), { status: 302 })
  t.equal(elsewhere.requests.length, 0)
})

t.test('an answer is read with a bound, and an endless one is dropped', async t => {
  let closed = () => {}
  const dropped = new Promise<void>(resolve => {
    closed = resolve
  })
  const { url } = await serveRaw(t, socket => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      const flood = setInterval(() => socket.write(`3e8\r\n${'x'.repeat(1_000)}\r\n`), 1)
      socket.on('close', () => {
        clearInterval(flood)
        closed()
      })
    })
  })
  const { text } = await within(10_000, send(t, url, { readAtMost: 5_000 }))
  t.ok(text.length >= 5_000 && text.length < 200_000, `${text.length} bytes were read`)
  await within(10_000, dropped)
})

t.test('no answer in time is a timeout, at each stage of the answer', async t => {
  const stages: Record<string, string> = {
    nothing: '',
    'half a head': 'HTTP/1.1 200 OK\r\ncontent-le',
    'half a body': 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
  }
  for (const [stage, bytes] of Object.entries(stages)) {
    const { url } = await serveRaw(t, socket => {
      socket.once('data', () => socket.write(bytes))
    })
    const { ruling, message } = await faultOf(t, send(t, url, { allowed: () => 60 }))
    t.strictSame(ruling, { verdict: 'retry', code: 'ERR_TIMEOUT' }, stage)
    t.match(message, /no answer within \d+\.\d s$/)
  }
})

t.test('a refused connection is a fault of the network', async t => {
  const { url } = await closedPort(t, res => res.end())
  const { ruling, message, details } = await faultOf(t, send(t, url))
  t.strictSame(ruling, RETRY)
  t.match(message, /ECONNREFUSED/)
  t.match(details.cause, { code: 'ECONNREFUSED' })
})

t.test('of a host whose several addresses all refuse, each refusal is told', async t => {
  const { url } = await closedPort(t, res => res.end())
  const both = ['127.0.0.1', '127.0.0.2'].map(address => ({ address, family: 4 }))
  const dispatcher = new Agent({
    connect: { autoSelectFamily: true, lookup: (_host, _options, found) => found(null, both) },
  })
  t.teardown(() => dispatcher.destroy())
  const request = send(t, url.replace('127.0.0.1', 'two.test'), { dispatcher })
  const { ruling, message, details } = await faultOf(t, request)
  t.ok(details.cause instanceof AggregateError)
  t.strictSame(ruling, RETRY)
  const { port } = new URL(url)
  const refusals = both.map(({ address }) => `connect ECONNREFUSED ${address}:${port}`)
  t.equal(message, `Asking failed: ${refusals.join('; ')}`)
})

t.test('a name that is not known is a fault of the network', async t => {
  t.strictSame((await faultOf(t, send(t, 'http://nowhere.invalid'))).ruling, RETRY)
})

t.test('an answer that breaks off is a fault of the network', async t => {
  const ends: Record<string, string> = {
    'before the head': '',
    'in the head': 'HTTP/1.1 200 OK\r\ncontent-le',
    'in the body': 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf',
    'in a chunk': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n64\r\nhalf',
  }
  for (const [where, bytes] of Object.entries(ends)) {
    for (const how of ['end', 'resetAndDestroy'] as const) {
      const { url } = await serveRaw(t, socket => {
        socket.once('data', () => socket.write(bytes, () => socket[how]()))
      })
      t.strictSame((await faultOf(t, send(t, url))).ruling, RETRY, `${where}, by ${how}`)
    }
  }
})

t.test('an answer that is no HTTP is a fault of the network', async t => {
  for (const bytes of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    '<html>Log in to the Wi-Fi</html>',
    'HTTP/9.9 what\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
  ]) {
    const { url } = await serveRaw(t, socket => {
      socket.once('data', () => socket.end(bytes))
    })
    const { ruling, details } = await faultOf(t, send(t, url))
    t.match(details.cause, { name: 'HTTPParserError' })
    t.strictSame(ruling, RETRY, bytes)
  }
})

t.test('an abort ends it with the reason, before, during and while the body is read', async t => {
  const reason = new Error('enough')
  const { url } = await serveRaw(t, socket => {
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'))
  })
  t.equal(await failureOf(send(t, url, { signal: AbortSignal.abort(reason) })), reason)
  for (const wait of [0, 40]) {
    const ending = new AbortController()
    const request = send(t, url, { signal: ending.signal })
    setTimeout(() => ending.abort(reason), wait)
    t.equal(await within(10_000, failureOf(request)), reason, `after ${wait} ms`)
  }
})

t.test('our own misuse is fatal, and says so', async t => {
  const { url } = await serve(t, res => res.end())
  const { ruling, message } = await faultOf(t, send(t, url, { headers: { 'bad header': '1' } }))
  t.match(ruling, { verdict: 'fatal' })
  t.match(message, /, which another try would not better$/)
  const odd: Iterable<Buffer> = {
    [Symbol.iterator]: () => {
      throw new Error('no bytes')
    },
  }
  const headers = { 'content-length': '5' }
  const failure = await faultOf(t, send(t, url, { method: 'PUT', body: odd, headers }))
  t.match(failure.ruling, { verdict: 'fatal' })
  t.match(failure.message, /no bytes/)
})
