import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { FrameioClient, RealtimeUpload } from '../../lib/index.ts'
import type { Sandbox } from '../../lib/sandbox/index.ts'
import {
  bytes,
  chunked,
  endOf,
  optionsFor,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  targetIn,
  until,
} from '../support/sandboxes.ts'

/** An endless source that counts what was read from it. */
const counting = (chunk: number) => {
  const count = { read: 0 }
  const source = Readable.from(
    (function* () {
      for (;;) {
        count.read += chunk
        yield Buffer.alloc(chunk)
      }
    })(),
    { objectMode: false },
  )
  return { source, count }
}

/** Waits until a figure has stopped changing. */
const settled = async (figure: () => number) => {
  for (let last = Number.NaN; last !== figure(); ) {
    last = figure()
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

const sharedClient = (sandbox: Sandbox, memoryLimit: number) =>
  new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    memoryLimit,
    ...{ [LIMITS_DOOR]: SMALL },
  })

t.test('a source that is faster than the network is held, not buffered', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload, seen } = smallUpload(sandbox, { memoryLimit: 20_480 })
  const { source, count } = counting(100)
  source.pipe(upload)
  await until(() => seen.order.includes('stall'), 'the stall')
  await settled(() => count.read)
  // Beside the blocks there is only what Node's own streams hold: a high-water mark on each side.
  const streams = upload.writableHighWaterMark + source.readableHighWaterMark
  t.ok(upload.progress.bytesReceived <= 20_480, `took ${upload.progress.bytesReceived} bytes`)
  t.ok(count.read <= 20_480 + streams + 200, `read ${count.read} bytes`)
  source.destroy()
  upload.destroy()
  await endOf(upload)
})

t.test('the source flows again when memory comes back, and all arrives', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 10 } }, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { memoryLimit: 5_000 })
  const data = bytes(60_000)
  await pipeline(Readable.from(chunked(data, 4_000), { objectMode: false }), upload)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  const turns = seen.order.filter(event => event === 'stall' || event === 'resume')
  t.ok(turns.length >= 2, 'it stalled')
  t.ok(
    turns.every((event, index) => event === (index % 2 ? 'resume' : 'stall')),
    'by turns',
  )
})

t.test('uploads that share a memory each get two parts, whatever the others hold', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const hanging = { on: 'put', times: Infinity, do: { hang: 'answer' } } as const
  const greedy = targetIn(sandbox)
  sandbox.faults.add({ ...hanging, assetId: greedy.asset.id })
  const client = sharedClient(sandbox, 10_240)
  t.teardown(() => client.close())
  const first = new RealtimeUpload(optionsFor(greedy, { client }, SMALL))
  first.write(bytes(100_000))
  await until(() => first.progress.bytesReceived > 9_000, 'the first to take all memory')
  const { upload, asset } = smallUpload(sandbox, { client })
  const data = bytes(20_000)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data), 'the second is not starved')
  first.destroy()
  await endOf(first)
})

t.test('when one upload ends, its memory goes to those who wait', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = sharedClient(sandbox, 10_240)
  t.teardown(() => client.close())
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const uploads = Array.from({ length: 3 }, () => smallUpload(sandbox, { client }).upload)
  const sources = uploads.map(upload => {
    const { source, count } = counting(500)
    source.pipe(upload)
    return { source, count }
  })
  const taken = () => uploads.reduce((sum, upload) => sum + upload.progress.bytesReceived, 0)
  await settled(taken)
  const [first, ...others] = uploads
  const before = others.map(upload => upload.progress.bytesReceived)
  sources[0]?.source.destroy()
  first?.destroy()
  await settled(taken)
  const after = others.map(upload => upload.progress.bytesReceived)
  t.ok(
    after.some((now, index) => now > (before[index] ?? 0)),
    `${before} became ${after}`,
  )
  for (const { source } of sources) source.destroy()
  for (const upload of others) {
    upload.destroy()
    await endOf(upload)
  }
})

t.test('an upload that was given up leaves all its memory to the others', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = sharedClient(sandbox, 20_480)
  t.teardown(() => client.close())
  for (let time = 0; time < 10; time++) {
    const { upload } = smallUpload(sandbox, { client, partSize: 10_000 })
    upload.write(bytes(5_000))
    await until(() => upload.progress.bytesReceived === 5_000)
    upload.destroy()
    await endOf(upload)
  }
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { client })
  upload.write(bytes(100_000))
  await settled(() => upload.progress.bytesReceived)
  t.equal(upload.progress.bytesReceived, 20_000, 'twenty parts of two blocks of 512 bytes')
  upload.destroy()
  await endOf(upload)
})

t.test('a source that is always ready leaves the event loop its turns', async t => {
  const sandbox = await sandboxFor(t, { storage: 'discard' })
  const upload = new RealtimeUpload(optionsFor(targetIn(sandbox)))
  let turns = 0
  let isOver = false
  const count = () => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  await new Promise(resolve => upload.write(Buffer.alloc(64 * 2 ** 20), resolve))
  isOver = true
  t.ok(turns >= 250, `${turns} turns for 256 times 256 KiB`)
  upload.end()
  t.equal(await endOf(upload), undefined)
})

t.test('an upload may have a memory of its own beside its client’s', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = sharedClient(sandbox, 1_000_000)
  t.teardown(() => client.close())
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { client, memoryLimit: 8_192 })
  const { source } = counting(500)
  source.pipe(upload)
  await settled(() => upload.progress.bytesReceived)
  t.ok(upload.progress.bytesReceived <= 8_192, `took ${upload.progress.bytesReceived} bytes`)
  source.destroy()
  upload.destroy()
  await endOf(upload)
})

t.test('parts that outgrow the memory give one warning, with figures', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox, { partSize: 3_000, memoryLimit: 4_000 })
  upload.end(bytes(20_000))
  t.equal(await endOf(upload), undefined)
  t.equal(seen.warning.length, 1)
  t.match(seen.warning[0], { code: 'PARTS_OUTGROW_MEMORY', message: /3000 bytes.*4000/ })
  const roomy = smallUpload(sandbox, { partSize: 2_000, memoryLimit: 4_000 })
  roomy.upload.end(bytes(20_000))
  t.equal(await endOf(roomy.upload), undefined)
  t.strictSame(roomy.seen.warning, [])
})
