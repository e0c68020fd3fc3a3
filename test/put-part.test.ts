import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { Agent, buildConnector } from 'undici'
import { RealtimeUploadError } from '../lib/errors.ts'
import { Pulse, type Retry } from '../lib/net/retry.ts'
import { readFrom } from '../lib/spool/read-back.ts'
import { memoryPart } from '../lib/upload/part.ts'
import { type PutOptions, putPart, type UploadUrl } from '../lib/upload/put-part.ts'
import { LyingDisk } from './support/lying-disk.ts'
import { QUICK, sandboxFor, shown } from './support/sandboxes.ts'
import { clientFor, failureOf, SECRET, serve, serveRaw, within } from './support/servers.ts'

const BLOCK = 300

/** A part of random bytes in blocks, and those bytes. */
const randomPart = (size: number, block = BLOCK) => {
  const data = randomBytes(size)
  const blocks: Buffer[] = []
  for (let at = 0; at < size; at += block) {
    const slice = Buffer.alloc(block)
    data.copy(slice, 0, at)
    blocks.push(slice)
  }
  return {
    data,
    part: memoryPart(
      { number: 3, size, final: false, fileSize: undefined, md5: undefined },
      blocks,
      () => {},
    ),
  }
}

const now = (url: string): UploadUrl => ({ url, since: performance.now() })

/** Puts a part; without options, a small one that may not be renewed. */
const put = (t: Test, url: string | UploadUrl, options: Partial<PutOptions> = {}) => {
  const dispatcher = new Agent()
  t.teardown(() => dispatcher.destroy())
  const retries: RealtimeUploadError[] = []
  const receipt = putPart({
    part: randomPart(1_000).part,
    assetId: 'a1',
    filetype: 'video/mp4',
    onMismatch: 'pass the filetype the asset was created with',
    dispatcher,
    url: typeof url === 'string' ? now(url) : url,
    renew: () => Promise.reject(new Error('no other URL was expected')),
    start: async () => () => {},
    allowed: () => 20_000,
    onCut: () => false,
    context: {
      retry: QUICK,
      signal: new AbortController().signal,
      pulse: new Pulse(),
      onRetry: ({ error }) => retries.push(error),
    },
    ...options,
  })
  return { receipt, retries }
}

const xml = (code: string, message = '') =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`

const only = <T>(list: readonly T[]): T => {
  const [one] = list
  if (one === undefined || list.length > 1) throw new Error(`One was expected, not ${list.length}`)
  return one
}

const SIGNATURE = 'X-Amz-Signature=5ec4e7'

t.test('a part is sent whole, with its exact length, and S3 has it', async t => {
  const sandbox = await sandboxFor(t, {}, { minPartSize: 10 })
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  const { part } = randomPart(1_000)
  const [url = ''] = await client.registerParts(asset.id, [part])
  const { receipt } = put(t, url, { part, assetId: asset.id })
  const { attempts, duration } = await receipt
  t.equal(attempts, 1)
  t.ok(duration > 0)
  t.match(asset, { storedBytes: 1_000, parts: [{ number: 3, stored: true }] })
})

t.test('headers are what the URL signs, and nothing else', async t => {
  const { url, requests } = await serve(t, res => res.end())
  const own = 'content-length content-type'
  const table: [query: string, names: string][] = [
    [`?X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz-acl&${SIGNATURE}`, `${own} x-amz-acl`],
    [`?X-Amz-SignedHeaders=content-type;host;x-amz-acl`, `${own} x-amz-acl`],
    [`?X-Amz-SignedHeaders=x-amz-acl`, `${own} x-amz-acl`],
    [`?X-Amz-SignedHeaders=content-type%3Bhost&${SIGNATURE}`, own],
    [`?X-Amz-SignedHeaders=host%3Bx-amz-acl-not`, own],
    [`?x-amz-signedheaders=host`, own],
    [`?X-Amz-SignedHeaders=`, own],
    [`?${SIGNATURE}`, `${own} x-amz-acl`],
    ['', `${own} x-amz-acl`],
  ]
  for (const [query, names] of table) {
    const { part, data } = randomPart(1_000)
    await put(t, `${url}/parts/3${query}`, { part, filetype: 'video/mp4; x=1' }).receipt
    const { method, url: path, headers, rawHeaders, body } = only(requests.splice(0))
    const sent = rawHeaders.filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
    const ours = sent.filter(name => !['host', 'connection'].includes(name)).sort()
    t.equal(ours.join(' '), names, query)
    t.match([method, path], ['PUT', `/parts/3${query}`], 'the URL as it is')
    t.equal(headers['content-type'], 'video/mp4; x=1')
    t.equal(headers['content-length'], '1000')
    t.equal(headers['x-amz-acl'], names === own ? undefined : 'private')
    t.equal(headers['transfer-encoding'], undefined)
    t.equal(headers.authorization, undefined)
    t.ok(body.equals(data))
  }
})

t.test('another try sends the same bytes', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) => {
    res.writeHead(count < 4 ? 503 : 200).end(count < 4 ? xml('SlowDown') : '')
  })
  const { part, data } = randomPart(1_000)
  const { receipt, retries } = put(t, url, { part })
  t.equal((await receipt).attempts, 4)
  t.strictSame(
    requests.map(({ body }) => body.equals(data)),
    [true, true, true, true],
  )
  t.match(retries, [
    { code: 'ERR_SERVER', storageCode: 'SlowDown', statusCode: 503, assetId: 'a1', partNumber: 3 },
    { attempts: 2 },
    { attempts: 3 },
  ])
})

/** A system that says no. */
const says = (code: string) => Object.assign(new Error(`${code}: of the test`), { code })

/** Tries as often as a test wants, however busy the machine is. */
const PATIENT = { giveUpAfter: 600_000, minDelay: 1, maxDelay: 5 }

t.test('a part whose file cannot be opened just now is read again, and again', async t => {
  const { url, requests } = await serve(t, res => void res.writeHead(200).end())
  const path = '/spool/asset/00003.part'
  const data = randomBytes(1_000)
  const context = (retries: RealtimeUploadError[], retry = PATIENT) => ({
    retry,
    signal: new AbortController().signal,
    pulse: new Pulse(),
    onRetry: ({ error }: Retry) => retries.push(error),
  })
  const partOn = (disk: LyingDisk) => ({
    ...randomPart(1_000).part,
    body: () => readFrom(disk, path, 0, 1_000),
  })
  for (const code of ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']) {
    const disk = LyingDisk.of(new Map([[path, data]]))
    disk.faults.push({ on: 'open', after: 0, times: 7, error: says(code) })
    const retries: RealtimeUploadError[] = []
    const { receipt } = put(t, url, { part: partOn(disk), context: context(retries) })
    t.match(await receipt, { attempts: 8 }, code)
    t.ok(requests.at(-1)?.body.equals(data), 'and S3 has it')
    t.match(retries[0], { code: 'ERR_SPOOL_DAMAGED', path, offset: 0, cause: { code } })
    t.match(retries[0]?.message, /cannot be read at byte 0: .* It is not damaged: /)
  }
  const short = LyingDisk.of(new Map([[path, data]]))
  short.faults.push({ on: 'open', after: 0, times: Infinity, error: says('EMFILE') })
  const given = put(t, url, { part: partOn(short), context: context([], QUICK) })
  t.match(await failureOf(given.receipt), {
    code: 'ERR_SPOOL_DAMAGED',
    message: /EMFILE.*\(ulimit -n\)/,
  })
  const broken = LyingDisk.of(new Map([[path, data]]))
  broken.faults.push({ on: 'open', after: 0, times: Infinity, error: says('EIO') })
  const gone = put(t, url, { part: partOn(broken), context: context([]) })
  t.match(await failureOf(gone.receipt), { code: 'ERR_SPOOL_DAMAGED', attempts: 3 })
})

t.test('a file that cannot be read for its MD5 is read again', async t => {
  const { url, requests } = await serve(t, res => void res.writeHead(200).end())
  let times = 0
  const part = {
    ...randomPart(1_000).part,
    takeMd5: async () => {
      if (++times < 6) throw new RealtimeUploadError('ERR_SOURCE_FAILED', 'ESTALE')
      return 'c3VtIG9mIGl0IGFsbC4uLg=='
    },
  }
  const { receipt } = put(t, url, {
    part,
    context: {
      retry: PATIENT,
      signal: new AbortController().signal,
      pulse: new Pulse(),
      onRetry: () => {},
    },
  })
  t.match(await receipt, { attempts: 6 })
  t.equal(requests[0]?.headers['content-md5'], 'c3VtIG9mIGl0IGFsbC4uLg==')
})

t.test('whatever cuts a PUT short, another try sends it whole', async t => {
  const faults = ['before', 'during', 'after', 'answer'] as const
  for (const reset of faults) {
    const sandbox = await sandboxFor(
      t,
      { faults: [{ on: 'put', do: { reset } }] },
      { minPartSize: 10 },
    )
    const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
    const client = clientFor(t, sandbox.url, { token: sandbox.token })
    const { part } = randomPart(2 ** 20, 2 ** 16)
    const [url = ''] = await client.registerParts(asset.id, [part])
    const { receipt, retries } = put(t, url, { part, assetId: asset.id })
    t.equal((await receipt).attempts, 2, reset)
    t.match(retries, [{ code: 'ERR_NETWORK', partNumber: 3 }])
    t.equal(asset.storedBytes, 2 ** 20)
  }
})

t.test('a 200 without an ETag is no receipt, although it is empty and read all of it', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) => {
    if (count < 3) res.removeHeader('etag')
    res.end()
  })
  const { receipt, retries } = put(t, url)
  t.equal((await receipt).attempts, 3)
  t.equal(requests.length, 3)
  t.match(retries, [{ code: 'ERR_BAD_RESPONSE', statusCode: 200 }, { code: 'ERR_BAD_RESPONSE' }])
})

t.test('a proxy that answers 200 to the head of a PUT has stored nothing', async t => {
  const { url, connections } = await serveRaw(t, (socket, count) => {
    const etag = count > 1 ? 'etag: "0"\r\n' : ''
    let arrived = 0
    socket.on('data', (chunk: Buffer) => {
      arrived += chunk.length
      if (count > 1 && arrived < 3_000_000) return
      socket.end(`HTTP/1.1 200 OK\r\n${etag}content-length: 0\r\n\r\n`)
    })
  })
  const { part } = randomPart(3_000_000, 2 ** 20)
  const { receipt } = put(t, url, { part })
  t.ok((await receipt).attempts >= 2)
  t.ok(connections() >= 2)
})

t.test('400 RequestTimeout is met with another try', async t => {
  const { url } = await serve(t, (res, _seen, count) => {
    if (count === 1) res.writeHead(400).end(xml('RequestTimeout', 'Your socket was idle'))
    else res.end()
  })
  const { receipt, retries } = put(t, url)
  t.equal((await receipt).attempts, 2)
  t.match(retries, [{ code: 'ERR_TIMEOUT', storageCode: 'RequestTimeout', statusCode: 400 }])
})

t.test('a refusal is fatal at once, with what S3 says of it', async t => {
  const table: [status: number, code: string, message: string][] = [
    [400, 'InvalidDigest', 'The Content-MD5 was invalid'],
    [400, 'InvalidArgument', ''],
    [400, 'EntityTooLarge', 'too large'],
    [404, 'NoSuchBucket', ''],
    [411, 'MissingContentLength', ''],
  ]
  for (const [status, storageCode, message] of table) {
    const { url, requests } = await serve(t, res =>
      res.writeHead(status).end(xml(storageCode, message)),
    )
    const error = await failureOf(put(t, url).receipt)
    t.match(error, {
      name: 'RealtimeUploadError',
      code: 'ERR_STORAGE_REJECTED',
      statusCode: status,
      storageCode,
      assetId: 'a1',
      partNumber: 3,
      attempts: 1,
    })
    const said = message ? `${storageCode}: ${message}` : storageCode
    t.match(error, {
      message: `Sending part 3 of asset a1 failed: S3 answered ${status} (${said})`,
    })
    t.equal(requests.length, 1)
  }
})

t.test('a wrong content type is told with what to do', async t => {
  const sandbox = await sandboxFor(t, {}, { minPartSize: 10 })
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  const { part } = randomPart(1_000)
  const [url = ''] = await client.registerParts(asset.id, [part])
  const error = await failureOf(put(t, url, { part, filetype: 'video/quicktime' }).receipt)
  t.match(error, {
    code: 'ERR_STORAGE_REJECTED',
    storageCode: 'SignatureDoesNotMatch',
    statusCode: 403,
    message: /pass the filetype the asset was created with$/,
  })
  t.equal(sandbox.stats.puts, 1)
})

t.test('an answer that is not XML, or not 200, ends in the right class', async t => {
  const table: [status: number, body: string, code: string][] = [
    [204, '', 'ERR_BAD_RESPONSE'],
    [201, xml('Fine'), 'ERR_BAD_RESPONSE'],
    [302, '', 'ERR_BAD_RESPONSE'],
    [400, '<html><h1>No</h1></html>', 'ERR_BAD_RESPONSE'],
    [501, xml('NotImplemented'), 'ERR_SERVER'],
    [500, '', 'ERR_SERVER'],
    [502, '<html>', 'ERR_SERVER'],
    [429, '', 'ERR_RATE_LIMITED'],
  ]
  for (const [status, body, code] of table) {
    const { url } = await serve(t, res => res.writeHead(status, { location: SECRET }).end(body))
    const error = await failureOf(put(t, url).receipt)
    t.match(error, { code, statusCode: status })
    t.equal('storageCode' in (error as object), body.startsWith('<?xml'), 'only what S3 says')
  }
})

t.test('a redirect of a PUT is not followed', async t => {
  const elsewhere = await serve(t, res => res.end())
  const { url } = await serve(t, res => res.writeHead(307, { location: elsewhere.url }).end())
  t.match(await failureOf(put(t, url).receipt), { code: 'ERR_BAD_RESPONSE', statusCode: 307 })
  t.equal(elsewhere.requests.length, 0)
})

/** URLs of a server, one after the other, and how many were asked for. */
const renewing = (url: string, query = '') => {
  const asked: string[] = []
  const renew = async () => {
    asked.push(`/again/${asked.length + 1}`)
    return now(`${url}${asked.at(-1)}${query}`)
  }
  return { asked, renew }
}

t.test('after an expiry the next PUT goes to a new URL', async t => {
  const expiries: [status: number, body: string][] = [
    [403, xml('AccessDenied', 'Request has expired')],
    [400, xml('ExpiredToken', 'The provided token has expired.')],
    [403, xml('AccessDenied')],
    [403, ''],
  ]
  for (const [status, body] of expiries) {
    const { url, requests } = await serve(t, (res, _seen, count) => {
      if (count === 1) res.writeHead(status).end(body)
      else res.end()
    })
    const { asked, renew } = renewing(url)
    const { part, data } = randomPart(1_000)
    const { receipt } = put(t, `${url}/first`, { part, renew })
    t.equal((await receipt).attempts, 2)
    t.equal(asked.length, 1)
    t.strictSame(
      requests.map(({ url }) => url),
      ['/first', '/again/1'],
    )
    t.ok(requests[1]?.body.equals(data))
  }
})

t.test('a URL that expires again and again ends in ERR_URL_EXPIRED, after the budget', async t => {
  const { url, requests } = await serve(t, res =>
    res.writeHead(403).end(xml('AccessDenied', 'Request has expired')),
  )
  const { renew, asked } = renewing(url)
  const error = await failureOf(put(t, `${url}/first`, { renew }).receipt)
  t.match(error, { code: 'ERR_URL_EXPIRED', statusCode: 403, attempts: requests.length })
  t.ok(requests.length >= 3)
  t.equal(asked.length, requests.length - 1, 'each new try has a new URL')
})

t.test('a denial without a word of expiry gets one new URL, then it is fatal', async t => {
  const { url, requests } = await serve(t, res => res.writeHead(403).end(xml('AccessDenied')))
  const { asked, renew } = renewing(url)
  const error = await failureOf(put(t, `${url}/first`, { renew }).receipt)
  t.match(error, { code: 'ERR_STORAGE_REJECTED', storageCode: 'AccessDenied', attempts: 2 })
  t.equal(asked.length, 1)
  t.equal(requests.length, 2)
})

t.test('a URL that is past its life is not even tried', async t => {
  const { url, requests } = await serve(t, res => res.end())
  const { asked, renew } = renewing(url)
  const old = { url: `${url}/old?X-Amz-Expires=60`, since: performance.now() - 60_000 }
  await put(t, old, { renew }).receipt
  t.equal(asked.length, 1)
  t.strictSame(
    requests.map(({ url }) => url),
    ['/again/1'],
  )
  const young = { url: `${url}/young?X-Amz-Expires=60`, since: performance.now() - 50_000 }
  await put(t, young).receipt
  const silent = { url: `${url}/silent`, since: -1e9 }
  await put(t, silent).receipt
  t.equal(requests.length, 3, 'a URL that says nothing of its life is tried')
})

t.test('a URL that goes out of date between two tries is renewed', async t => {
  const { url, requests } = await serve(t, (res, _seen, count) => {
    res.writeHead(count === 1 ? 503 : 200).end()
  })
  const { renew } = renewing(url)
  const aging = { url: `${url}/aging?X-Amz-Expires=60`, since: performance.now() }
  const part = randomPart(1_000).part
  const body = () => {
    Object.assign(aging, { since: aging.since - 60_000 }) // A minute passes.
    return part.body()
  }
  await put(t, aging, { renew, part: { ...part, body } }).receipt
  t.strictSame(
    requests.map(({ url }) => url.replace(/\?.*/, '')),
    ['/aging', '/again/1'],
  )
})

t.test('a URL that goes out of date while it waits for its turn is renewed in it', async t => {
  const { url, requests } = await serve(t, res => res.end())
  const old = { url: `${url}/old?X-Amz-Expires=60`, since: performance.now() - 59_900 }
  const { asked, renew } = renewing(url)
  const start = () => new Promise<() => void>(resolve => setTimeout(resolve, 200, () => {}))
  await put(t, old, { renew, start }).receipt
  t.equal(asked.length, 1)
  t.strictSame(
    requests.map(({ url }) => url),
    ['/again/1'],
  )
})

t.test('where no new URL can be had, that is the failure', async t => {
  const { url } = await serve(t, res => res.writeHead(400).end(xml('ExpiredToken')))
  const refused = new Error('registering again was refused')
  const { receipt } = put(t, url, { renew: () => Promise.reject(refused) })
  t.equal(await failureOf(receipt), refused)
})

t.test('a PUT that is cut is told of at once, and is a timeout', async t => {
  const cuts: number[] = []
  const { url } = await serveRaw(t, socket => {
    socket.once('data', () => {
      // On a busy machine a PUT may be cut before it arrives.
      if (cuts.length < 2) return
      socket.end('HTTP/1.1 200 OK\r\netag: "0"\r\ncontent-length: 0\r\n\r\n')
    })
  })
  const { receipt, retries } = put(t, url, {
    allowed: () => (cuts.length < 2 ? 40 : 20_000),
    onCut: after => {
      cuts.push(after)
      return false
    },
  })
  t.equal((await within(10_000, receipt)).attempts, 3)
  t.equal(cuts.length, 2)
  for (const after of cuts) t.ok(after >= 40, `cut after ${after} ms`)
  t.match(retries, [{ code: 'ERR_TIMEOUT' }, { code: 'ERR_TIMEOUT' }])
})

t.test('a PUT that was cut ends the matter when the link says so, and not before', async t => {
  const { url } = await serveRaw(t, () => {}) // It never answers.
  const retry = { giveUpAfter: 0, minDelay: 1, maxDelay: 1 }
  const signal = new AbortController().signal
  const context = { retry, signal, pulse: new Pulse(), onRetry: () => {} }
  let cuts = 0
  const { receipt } = put(t, url, { allowed: () => 20, onCut: () => ++cuts === 6, context })
  t.match(await within(10_000, failureOf(receipt)), { code: 'ERR_TIMEOUT', attempts: 6 })
})

t.test('waiting for a turn does not count against the budget', async t => {
  const { url } = await serve(t, (res, _seen, count) => res.writeHead(count < 6 ? 503 : 200).end())
  // Ample for five failures on a busy machine, and less than the four turns between them.
  const retry = { giveUpAfter: 1_100, minDelay: 0, maxDelay: 0 }
  const signal = new AbortController().signal
  const start = () => new Promise<() => void>(resolve => setTimeout(resolve, 350, () => {}))
  const context = { retry, signal, pulse: new Pulse(), onRetry: () => {} }
  const { receipt } = put(t, url, { start, context })
  t.equal((await receipt).attempts, 6, '1,400 ms of waiting between failures')
})

t.test('each attempt ends its turn, however it ends', async t => {
  const { url } = await serve(t, (res, _seen, count) => {
    if (count === 1) res.socket?.destroy()
    else res.writeHead(count === 2 ? 503 : 200).end()
  })
  const turns = { begun: 0, ended: 0 }
  const { receipt } = put(t, url, {
    start: async () => {
      turns.begun++
      return () => {
        turns.ended++
      }
    },
  })
  await receipt
  t.strictSame(turns, { begun: 3, ended: 3 })
})

/** A server that answers this before it has read the body, and what it does with the rest. */
const early = (t: Test, status: string, body: string, rest: 'ignore' | 'close' | 'reset') =>
  serveRaw(t, socket => {
    socket.once('data', () => {
      socket.pause()
      const head = `HTTP/1.1 ${status}\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
      socket.write(head + body, () => {
        if (rest === 'close') socket.destroy()
        if (rest === 'reset') socket.resetAndDestroy()
      })
    })
  })

t.test('an answer before the body is through ends in the right class', async t => {
  const large = randomPart(16 * 2 ** 20, 2 ** 20).part // More than the kernel takes at once.
  const fatal = await early(t, '403 Forbidden', xml('SignatureDoesNotMatch'), 'ignore')
  t.match(await within(20_000, failureOf(put(t, fatal.url, { part: large }).receipt)), {
    code: 'ERR_STORAGE_REJECTED',
    storageCode: 'SignatureDoesNotMatch',
  })
  const busy = await early(t, '503 Slow Down', xml('SlowDown'), 'ignore')
  t.match(await within(20_000, failureOf(put(t, busy.url, { part: large }).receipt)), {
    code: 'ERR_SERVER',
    statusCode: 503,
  })
  // Where the connection breaks as well, either may win: the answer, or a fault that is retried.
  for (const rest of ['close', 'reset'] as const) {
    const { url } = await early(t, '403 Forbidden', xml('SignatureDoesNotMatch'), rest)
    const error = await within(20_000, failureOf(put(t, url, { part: large }).receipt))
    const { code = '', attempts = 0 } = error as Partial<RealtimeUploadError>
    const right = code === 'ERR_STORAGE_REJECTED' || (code === 'ERR_NETWORK' && attempts >= 3)
    t.ok(right, `${rest}: ${code} after ${attempts}`)
  }
})

/** Connects with sockets that are slow to tell that bytes have left, as TLS often is. */
const slowToDrain = (t: Test) => {
  const connect = buildConnector({})
  const dispatcher = new Agent({
    connect: (options, callback) =>
      connect(options, (error, socket) => {
        for (const name of ['_write', '_writev'] as const) {
          const write = (socket as Socket)[name] as (...args: unknown[]) => void
          Object.assign(socket as Socket, {
            [name](...args: unknown[]) {
              const done = args.pop() as () => void
              write.call(socket, ...args, () => setTimeout(done, 50))
            },
          })
        }
        if (error) callback(error, null)
        else callback(null, socket as Socket)
      }),
  })
  t.teardown(() => dispatcher.destroy())
  return dispatcher
}

t.test('an answer that comes before the last slice is seen to have left is a receipt', async t => {
  const { url, requests } = await serve(t, res => res.end())
  const { part, data } = randomPart(300_000, 100_000)
  const { receipt, retries } = put(t, url, { part, dispatcher: slowToDrain(t) })
  t.match(await receipt, { attempts: 1 })
  t.strictSame(retries, [])
  t.ok(only(requests).body.equals(data))
})

t.test('an answer that comes before the last slice was handed over is none', async t => {
  const large = randomPart(16 * 2 ** 20, 2 ** 20).part
  const { url } = await early(t, '200 OK', '', 'ignore')
  const failure = await within(20_000, failureOf(put(t, url, { part: large }).receipt))
  t.match(failure, { code: 'ERR_BAD_RESPONSE' })
})

t.test('an early answer of the sandbox is told from a fault of the network', async t => {
  const faults = [{ on: 'put', do: { status: 503, at: 'headers' } }] as const
  const sandbox = await sandboxFor(t, { faults }, { minPartSize: 10 })
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const client = clientFor(t, sandbox.url, { token: sandbox.token })
  const { part } = randomPart(8 * 2 ** 20, 2 ** 20)
  const [url = ''] = await client.registerParts(asset.id, [part])
  const { receipt, retries } = put(t, url, { part, assetId: asset.id })
  t.equal((await receipt).attempts, 2)
  t.match(retries, [{ partNumber: 3 }])
  t.ok(['ERR_SERVER', 'ERR_NETWORK'].includes(String(retries[0]?.code)))
  t.equal(asset.storedBytes, 8 * 2 ** 20)
})

t.test('the wait is what S3 asks for, up to maxDelay', async t => {
  const { url } = await serve(t, (res, _seen, count) => {
    res.writeHead(count === 1 ? 503 : 200, { 'retry-after': '3600' }).end()
  })
  const delays: number[] = []
  const context = {
    retry: { giveUpAfter: 60_000, minDelay: 1, maxDelay: 30 },
    signal: new AbortController().signal,
    pulse: new Pulse(),
    onRetry: ({ delay }: Retry) => void delays.push(delay),
  }
  await put(t, url, { context }).receipt
  t.strictSame(delays, [30])
})

t.test('an abort ends a PUT with its reason', async t => {
  const { url } = await serveRaw(t, () => {})
  const ending = new AbortController()
  const reason = new Error('enough')
  const { receipt } = put(t, url, {
    context: { retry: QUICK, signal: ending.signal, pulse: new Pulse(), onRetry: () => {} },
  })
  setTimeout(() => ending.abort(reason), 20)
  t.equal(await within(10_000, failureOf(receipt)), reason)
})

t.test('an answer of S3 is read with a bound', async t => {
  const { url } = await serve(t, res =>
    res.writeHead(400).end(`${xml('InvalidRequest')}${' '.repeat(2 ** 20)}${SECRET}`),
  )
  t.match(await failureOf(put(t, url).receipt), { storageCode: 'InvalidRequest' })
})

t.test("no error shows a URL's query, whatever S3 or the network makes of it", async t => {
  const query = `?X-Amz-Credential=AKIA5ec4e7&X-Amz-Security-Token=5ec4e7&${SIGNATURE}`
  const bodies = [
    xml('SignatureDoesNotMatch', `http://h/parts/3${query} is not signed`),
    xml('InvalidRequest', SIGNATURE),
    `<html>http://h/parts/3${query}</html>`,
  ]
  for (const body of bodies) {
    const { url } = await serve(t, res => res.writeHead(400).end(body))
    t.notMatch(shown(await failureOf(put(t, url + query).receipt)), /5ec4e7/)
  }
  const broken = await serveRaw(t, socket => socket.once('data', data => socket.end(data)))
  t.notMatch(shown(await failureOf(put(t, broken.url + query).receipt)), /5ec4e7/)
  const hanging = await serveRaw(t, () => {})
  const late = put(t, hanging.url + query, { allowed: () => 20, onCut: () => true })
  t.notMatch(shown(await failureOf(late.receipt)), /5ec4e7/)
})
