import { createHash } from 'node:crypto'
import t from 'tap'
import { boot, dial, looseFiles, mp4, put, putHead, until, urlFor } from './sandbox-kit.ts'

const md5 = (text: string) => createHash('md5').update(text)

t.test('a PUT to a presigned URL is answered with the ETag of what was sent', async t => {
  const sandbox = await boot(t)
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const { status, text, headers } = await put(url, '1234')
  t.match({ status, text }, { status: 200, text: '' })
  t.equal(headers.etag, `"${md5('1234').digest('hex')}"`)
  t.match(
    new URL(url).search,
    /X-Amz-Expires=86400&X-Amz-SignedHeaders=content-type%3Bhost%3Bx-amz/,
  )
})

t.test('nothing signed may change', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const mismatch = { status: 403, code: 'SignatureDoesNotMatch' }
  t.match(await put(url.replace('/1?', '/2?'), '1234'), mismatch)
  t.match(await put(`${url}&x-id=PutObject`, '1234'), mismatch)
  t.match(await put(url.replace('Expires=86400', 'Expires=86401'), '1234'), mismatch)
  t.match(
    await put(
      url.replace(/.$/, last => (last === '0' ? '1' : '0')),
      '1234',
    ),
    mismatch,
  )
  t.match(await put(url, '1234', { 'content-type': 'video/MP4' }), mismatch)
  t.match(await put(url, '1234', { 'x-amz-acl': 'public-read' }), mismatch)
  t.match(await put(url.replace('127.0.0.1', 'localhost'), '1234'), mismatch)
  t.match(await put(url, '1234', { 'content-type': undefined }), mismatch)
  t.match(await put(url, '1234', { 'x-amz-acl': undefined }), mismatch)
  const denied = { status: 403, code: 'AccessDenied' }
  t.match(await put(url, '1234', { 'x-amz-meta-a': 'b' }), {
    ...denied,
    message: 'There were headers present in the request which were not signed',
  })
  t.match(await put(url.replace(/\?.*/, ''), '1234'), denied)
  t.match(await put(url.replace(/\?.*/, ''), '1234', { authorization: 'Bearer token' }), denied)
  t.match(await put(url, '1234', { authorization: 'Bearer token' }), {
    status: 400,
    code: 'InvalidArgument',
    message: /Only one auth mechanism allowed/,
  })
  t.match(asset.parts, [{ stored: false }])
  t.equal((await put(url, '1234')).status, 200, 'and yet nothing was wrong with the URL')
})

t.test('a URL expires', async t => {
  const sandbox = await boot(t, { urlLifetime: 1 })
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const expired = { status: 403, code: 'AccessDenied', message: 'Request has expired' }
  let answer = await put(url, '1234')
  while (answer.status === 200) {
    await new Promise(resolve => setTimeout(resolve, 50))
    answer = await put(url, '1234')
  }
  t.match(answer, expired)
})

t.test('a 403 does not wait for the body, and closes', async t => {
  const sandbox = await boot(t)
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  line.socket.write(putHead(`${url}0`, 100_000))
  await until(() => line.received.includes('</Error>'))
  t.match(line.received, /^HTTP\/1.1 403 Forbidden\r\n(.*\r\n)*connection: close\r\n/i)
  await until(() => line.socket.destroyed)
  t.equal(line.error, '', 'an orderly end: a reset might overtake the answer')
})

t.test('only PUT', async t => {
  const sandbox = await boot(t)
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  line.socket.write(putHead(url, 0).replace(/^PUT/, 'GET'))
  await until(() => line.received.includes('</Error>'))
  t.match(line.received, /^HTTP\/1.1 405 [\s\S]*<Code>MethodNotAllowed</)
  t.equal(sandbox.stats.puts, 0)
})

t.test('a length is required, and may not be too large', async t => {
  const sandbox = await boot(t)
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  const chunked = putHead(url, 0).replace('content-length: 0', 'transfer-encoding: chunked')
  line.socket.write(`${chunked}4\r\n1234\r\n0\r\n\r\n`)
  await until(() => line.received.includes('</Error>'))
  t.match(line.received, /^HTTP\/1.1 411 [\s\S]*<Code>MissingContentLength</)

  const long = await dial(url)
  long.socket.write(putHead(url, 200_001))
  await until(() => long.received.includes('</Error>'))
  t.match(long.received, /^HTTP\/1.1 400 [\s\S]*<Code>EntityTooLarge</)
})

t.test('a Content-MD5 is checked, whether or not the bytes are kept', async t => {
  for (const storage of ['disk', 'discard'] as const) {
    const sandbox = await boot(t, { storage })
    const asset = mp4(sandbox)
    const url = await urlFor(sandbox, asset.id)
    t.match(await put(url, '1234', { 'content-md5': 'nonsense' }), {
      status: 400,
      code: 'InvalidDigest',
    })
    t.match(await put(url, '1234', { 'content-md5': md5('4321').digest('base64') }), {
      status: 400,
      code: 'BadDigest',
    })
    t.match(asset.parts, [{ stored: false }])
    if (storage === 'disk') await until(async () => (await looseFiles(sandbox)).length === 0)
    const { headers } = await put(url, '1234', { 'content-md5': md5('1234').digest('base64') })
    t.equal(headers.etag, `"${md5('1234').digest('hex')}"`)
    t.match(asset.parts, [{ stored: true, puts: 3 }])
  }
})

t.test('a body that stands still is 400 RequestTimeout', async t => {
  const sandbox = await boot(t, { bodyTimeout: 30 })
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const line = await dial(url)
  line.socket.write(`${putHead(url, 4)}12`)
  await until(() => line.socket.destroyed)
  t.match(line.received, /^HTTP\/1.1 400 [\s\S]*<Code>RequestTimeout</)
  t.match(asset.parts, [{ stored: false }])
  t.match(sandbox.requests.at(-1), { status: 400, bytes: 2 })
})

t.test('a body that trickles is not one that stands still', async t => {
  const sandbox = await boot(t, { bodyTimeout: 2_000 })
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  line.socket.write(putHead(url, 5))
  for (const byte of '12345') {
    await new Promise(resolve => setTimeout(resolve, 450))
    line.socket.write(byte)
  }
  await until(() => line.received !== '')
  t.match(line.received, /^HTTP\/1.1 200 /)
  line.socket.destroy()
})

t.test('a PUT of another length than registered is stored: S3 does not know better', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  t.equal((await put(url, '12345')).status, 200)
  t.match(asset, { storedBytes: 5, parts: [{ size: 4, stored: true }] })
  t.equal((await put(url, '1234')).status, 200)
  t.equal(asset.storedBytes, 4)
})
