import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t from 'tap'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import { FrameioClient, RealtimeUpload, type RealtimeUploadOptions } from '../../lib/index.ts'
import {
  bytes,
  endOf,
  QUICK,
  record,
  SMALL,
  sandboxFor,
  smallUpload,
  until,
} from '../support/sandboxes.ts'

const KiB = 1024

// Only a guard against hanging: a slow server takes its time.
t.setTimeout(600_000)

interface Pace {
  /** Bytes read from each connection … */
  bytes: number
  /** … in so many ms. */
  ms: number
}

/** A Frame.io and S3 that read bodies at a pace; a part in `dead` is read but never answered, once. */
const slowServer = async (
  t: { teardown(fn: () => unknown): void },
  pace: Pace,
  dead: number[] = [],
) => {
  const stored = new Map<number, number>()
  const puts: number[] = []
  const server = createServer(async (req, res) => {
    const port = req.socket.localPort
    if (req.method === 'POST') {
      let body = ''
      for await (const chunk of req) body += chunk
      const { parts } = JSON.parse(body) as { parts: { number: number }[] }
      const urls = parts.map(({ number }) => `http://127.0.0.1:${port}/${number}`)
      res.end(JSON.stringify({ upload_urls: urls }))
      return
    }
    const number = Number(req.url?.slice(1))
    puts.push(number)
    let size = 0
    while (!req.readableEnded && !req.destroyed) {
      const chunk = req.read(Math.min(pace.bytes, req.readableLength)) as Buffer | null
      size += chunk?.length ?? 0
      await wait(chunk ? pace.ms * (chunk.length / pace.bytes) : 1)
    }
    if (req.destroyed && !req.readableEnded) return
    if (dead.includes(number)) {
      dead.splice(dead.indexOf(number), 1)
      return
    }
    stored.set(number, size)
    res.setHeader('etag', '"0"').end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const upload = (options: Partial<RealtimeUploadOptions>, limits: Partial<Limits> = {}) => {
    const upload = new RealtimeUpload({
      assetId: 'a',
      filetype: 'video/mp4',
      token: 'token',
      baseUrl: `http://127.0.0.1:${port}`,
      ...options,
      ...{ [LIMITS_DOOR]: limits },
    })
    return { upload, seen: record(upload) }
  }
  return { upload, stored, puts }
}

t.test('a server that reads 64 KiB every 60 ms is slow, and no reason to try again', async t => {
  const { upload, stored } = await slowServer(t, { bytes: 64 * KiB, ms: 60 })
  const slow = upload({ stallTimeout: 600 })
  slow.upload.end(bytes(16 * 1024 * KiB))
  t.equal(await endOf(slow.upload), undefined)
  t.strictSame(slow.seen.retry, [])
  t.equal(
    [...stored.values()].reduce((sum, size) => sum + size, 0),
    16 * 1024 * KiB,
  )
})

t.test('a dead PUT is noticed soon once another part has been stored', async t => {
  const { upload, puts } = await slowServer(t, { bytes: 1024 * KiB, ms: 1 }, [1])
  const dead = upload({ stallTimeout: 600 })
  const start = performance.now()
  let noticed = Infinity
  dead.upload.once('retry', () => {
    noticed = performance.now() - start
  })
  dead.upload.end(bytes(15 * 1024 * KiB))
  t.equal(await endOf(dead.upload), undefined)
  t.match(dead.seen.retry, [{ stage: 'put', partNumbers: [1], error: { code: 'ERR_TIMEOUT' } }])
  t.equal(puts.filter(number => number === 1).length, 2)
  // Before any part was stored it would have been given 40 s.
  t.ok(noticed < 20_000, `noticed after ${noticed.toFixed(0)} ms`)
})

t.test('a link that collapses in mid-upload converges: the upload finishes', async t => {
  const limits = { minPartSize: 64 * KiB, growthStep: 1, blockSize: 16 * KiB }
  const pace = { bytes: 64 * KiB, ms: 10 }
  const { upload, puts } = await slowServer(t, pace)
  const { upload: collapsing, seen } = upload(
    { stallTimeout: 100, retry: { ...QUICK, giveUpAfter: 60_000 } },
    limits,
  )
  collapsing.write(bytes(20 * 64 * KiB))
  await until(() => seen.part.length >= 10, 'ten parts')
  pace.ms = 1_000
  collapsing.end(bytes(8 * 64 * KiB))
  t.equal(await endOf(collapsing), undefined)
  t.ok(seen.retry.every(({ error }) => error.code === 'ERR_TIMEOUT'))
  t.equal(seen.part.length, 28)
  t.comment(`${puts.length} PUTs for 28 parts, ${seen.retry.length} of them stalled`)
})

t.test('when the network is gone, the budget ends the matter', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox, { retry: { giveUpAfter: 1_500 } })
  upload.write(bytes(2_500))
  await until(() => seen.part.length === 2, 'two parts')
  await sandbox.close()
  const start = performance.now()
  upload.end(bytes(2_500))
  const error = (await endOf(upload)) as Error & { attempts: number }
  t.match(error, { code: 'ERR_NETWORK' })
  t.ok(error.attempts > 1, `${error.attempts} attempts`)
  t.comment(`ended after ${(performance.now() - start).toFixed(0)} ms`)
})

t.test('a 401 for six uploads of one client asks the token function twice in all', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  let asked = 0
  const token = () => {
    asked++
    return asked === 1 ? 'dead-token' : sandbox.token
  }
  const client = new FrameioClient({ token, baseUrl: sandbox.url })
  t.teardown(() => client.close())
  const uploads = Array.from({ length: 6 }, () => smallUpload(sandbox, { client }))
  for (const { upload } of uploads) upload.end(bytes(3_500))
  for (const { upload } of uploads) t.equal(await endOf(upload), undefined)
  t.equal(asked, 2)
})

t.test('an abort does not wait for a connection that is being made', async t => {
  // Nobody takes connections here: a dispatcher that connects for ever stands for a lost network.
  const { Agent } = await import('undici')
  const dispatcher = new Agent({ connect: () => {} })
  t.teardown(() => dispatcher.destroy())
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox, { dispatcher })
  upload.end(bytes(10))
  await wait(20)
  upload.destroy()
  t.equal(await endOf(upload), undefined)
  const timed = smallUpload(sandbox, { dispatcher, apiTimeout: 20 })
  timed.upload.end(bytes(10))
  t.match(await endOf(timed.upload), { code: 'ERR_TIMEOUT', attempts: /\d/ })
})

t.test('a 200 that comes before the whole part was sent is no receipt', async t => {
  const server = createServer((req, res) => {
    if (req.method === 'PUT') {
      req.once('data', () => res.end())
      return
    }
    req.resume().on('end', () => {
      const urls = [`http://127.0.0.1:${req.socket.localPort}/1`]
      res.end(JSON.stringify({ upload_urls: urls }))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.closeAllConnections())
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const upload = new RealtimeUpload({
    assetId: 'a',
    filetype: 'video/mp4',
    token: 'token',
    partSize: 64 * 1024 * KiB,
    baseUrl: `http://127.0.0.1:${port}`,
    retry: QUICK,
  })
  upload.end(Buffer.alloc(60 * 1024 * KiB))
  const error = await endOf(upload)
  t.match(error, { code: /ERR_BAD_RESPONSE|ERR_NETWORK/ })
  t.equal(upload.result, undefined)
})

t.test('what a write callback throws hurts neither the teardown nor another upload', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { memoryLimit: 3_000 })
  const thrown: unknown[] = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', error => thrown.push(error))
  upload.write(bytes(50_000), error => {
    if (error) throw error
  })
  await until(() => sandbox.stats.putsInFlight > 0, 'a PUT')
  upload.destroy(new Error('enough'))
  t.match(await endOf(upload), { message: 'enough' })
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  await wait(10)
  process.removeAllListeners('uncaughtException')
  for (const listener of listeners) process.on('uncaughtException', listener)
  t.match(thrown, [{ message: 'enough' }], 'as with any Writable, it is uncaught')
})

t.test(
  'an upload that a listener destroys in the middle of a write leaves no block behind',
  async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
    const limits = { ...SMALL }
    const client = new FrameioClient({
      token: sandbox.token,
      baseUrl: sandbox.url,
      memoryLimit: 8_192,
      ...{ [LIMITS_DOOR]: limits },
    })
    t.teardown(() => client.close())
    for (let i = 0; i < 20; i++) {
      const { upload } = smallUpload(sandbox, { client, partSize: 5_000 })
      upload.on('warning', () => void upload.destroy())
      upload.write(bytes(3_000))
      await endOf(upload)
    }
    sandbox.faults.clear()
    const { upload, seen } = smallUpload(sandbox, { client })
    upload.end(bytes(5_000))
    t.equal(await endOf(upload), undefined)
    t.notOk(seen.order.includes('stall'), 'all memory is there for the next')
  },
)
