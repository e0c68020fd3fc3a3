import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { Agent } from 'undici'
import { FrameioClient, RealtimeUpload } from '../../lib/index.ts'
import {
  bytes,
  endOf,
  optionsFor,
  SMALL,
  sandboxFor,
  smallUpload,
  sourceOf,
  targetIn,
  until,
} from '../support/sandboxes.ts'

const problems: unknown[] = []
process.on('unhandledRejection', reason => problems.push(reason))
process.on('warning', warning => problems.push(warning))

t.test('destroy() before any part', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen, asset } = smallUpload(sandbox)
  upload.write(bytes(10))
  upload.destroy()
  t.equal(await endOf(upload), undefined)
  t.strictSame(seen.order, ['close'])
  t.strictSame(asset.parts, [])
  t.equal(sandbox.stats.openSockets, 0)
})

t.test(
  'destroy() with PUTs in flight, with a registration in flight, while waiting to retry',
  async t => {
    for (const fault of [
      { on: 'put', times: Infinity, do: { hang: 'answer' } },
      { on: 'put', times: Infinity, do: { hang: 'body' } },
      { on: 'put', times: Infinity, do: { hang: 'answering' } },
      { on: 'register', times: Infinity, do: { hang: 'answer' } },
      { on: 'register', times: Infinity, do: { hang: 'answering' } },
      { on: 'register', times: Infinity, do: { status: 500 } },
      { on: 'put', times: Infinity, do: { status: 503 } },
      { on: 'register', times: Infinity, do: { status: 429 } },
    ] as const) {
      const sandbox = await sandboxFor(t, { faults: [fault] }, SMALL)
      const slow = { giveUpAfter: 600_000, minDelay: 60_000, maxDelay: 60_000 }
      const { upload, seen } = smallUpload(sandbox, { retry: slow, memoryLimit: 30_000 })
      let writes = 0
      for (let i = 0; i < 50; i++) {
        upload.write(bytes(1_000), () => {
          writes++
        })
      }
      await until(() => sandbox.faults.fired.length > 0, 'the fault')
      await new Promise(resolve => setTimeout(resolve, 20))
      upload.destroy(new Error('enough'))
      t.match(await endOf(upload), { message: 'enough' }, `${fault.on} ${JSON.stringify(fault.do)}`)
      t.strictSame(seen.order.slice(-2), ['error', 'close'], 'one error, then close')
      t.equal(seen.order.filter(event => event === 'error').length, 1)
      t.equal(writes, 50, 'every write is called back')
      await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
    }
  },
)

t.test('destroy() does not wait for a token function that never answers', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox, { token: () => new Promise<string>(() => {}) })
  upload.end(bytes(10))
  await new Promise(resolve => setTimeout(resolve, 10))
  upload.destroy()
  t.equal(await endOf(upload), undefined)
})

t.test('a signal aborts with an AbortError that carries its reason', async t => {
  const sandbox = await sandboxFor(
    t,
    { faults: [{ on: 'put', times: Infinity, do: { hang: 'answer' } }] },
    SMALL,
  )
  const controller = new AbortController()
  const { upload } = smallUpload(sandbox, { signal: controller.signal })
  const ended = pipeline(sourceOf(bytes(5_000), 1_000), upload)
  await until(() => sandbox.stats.putsInFlight > 0, 'a PUT')
  controller.abort('the shoot is over')
  await t.rejects(ended, { name: 'AbortError', code: 'ABORT_ERR', cause: 'the shoot is over' })
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
})

t.test('a signal that was aborted before', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox, { signal: AbortSignal.abort() })
  t.match(await endOf(upload), { name: 'AbortError' })
  t.strictSame(seen.order, ['error', 'close'])
  t.equal(sandbox.requests.length, 0)
})

t.test(
  'one signal for thirty uploads gives no warning, and is left without a listener',
  async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    const controller = new AbortController()
    const { signal } = controller
    const listeners = { added: 0, removed: 0 }
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners.added++
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners.removed++
      removeEventListener.apply(signal, args)
    }
    const uploads = Array.from({ length: 30 }, () => smallUpload(sandbox, { signal }).upload)
    for (const upload of uploads) upload.end(bytes(2_500))
    for (const upload of uploads) t.equal(await endOf(upload), undefined)
    t.strictSame(listeners, { added: 1, removed: 1 })
  },
)

t.test('an empty stream fails, and registers nothing', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox)
  upload.end()
  t.match(await endOf(upload), { code: 'ERR_EMPTY_STREAM', assetId: /./ })
  t.strictSame(seen.order, ['error', 'close'])
  t.equal(sandbox.requests.length, 0)
})

t.test('the byte that is too many fails the upload as soon as it arrives', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox, { maxSize: 2_500 })
  upload.write(bytes(2_500))
  await until(() => seen.part.length === 2, 'two parts')
  upload.write(bytes(1))
  t.match(await endOf(upload), { code: 'ERR_STREAM_TOO_LARGE', message: /maxSize \(2500\).*2501/ })
  t.equal(upload.result, undefined)
  const exact = smallUpload(sandbox, { maxSize: 2_500 })
  exact.upload.end(bytes(2_500))
  t.equal(await endOf(exact.upload), undefined, 'exactly as many are welcome')
})

t.test('a source that fails never leaves a finalised asset', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const source = Readable.from(
    (function* () {
      yield bytes(3_500)
      throw new Error('the camera fell')
    })(),
  )
  await t.rejects(pipeline(source, upload), { message: 'the camera fell' })
  t.equal(asset.finals, 0)
  t.equal(asset.status, 'created')
})

t.test('a listener that throws ends the upload with what it threw', async t => {
  const sandbox = await sandboxFor(
    t,
    { faults: [{ on: 'put', part: 2, do: { status: 500 } }] },
    SMALL,
  )
  for (const event of ['part', 'retry', 'progress', 'stall', 'resume', 'warning'] as const) {
    const { upload, seen } = smallUpload(sandbox, { partSize: 1_500, memoryLimit: 2_000 })
    upload.on(event, () => {
      throw new Error(`thrown in ${event}`)
    })
    sandbox.faults.add({ on: 'put', times: 1, do: { status: 500 } })
    upload.write(bytes(10_000))
    upload.end(bytes(1_000))
    t.match(await endOf(upload), { message: `thrown in ${event}` })
    t.equal(seen.order.filter(what => what === 'error').length, 1, event)
    sandbox.faults.clear()
  }
})

t.test('destroy() in a listener, and end() twice', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  for (const event of ['part', 'progress', 'finish'] as const) {
    const { upload, seen } = smallUpload(sandbox)
    upload.on(event, () => void upload.destroy())
    upload.end(bytes(5_000))
    t.equal(await endOf(upload), undefined, event)
    t.equal(seen.order.at(-1), 'close', event)
  }
  const { upload, seen } = smallUpload(sandbox)
  upload.end(bytes(2_000))
  upload.end()
  t.equal(await endOf(upload), undefined)
  t.equal(seen.order.filter(what => what === 'finish').length, 1)
})

t.test('a listener of the last progress that throws is the one end', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, seen } = smallUpload(sandbox)
  upload.on('progress', ({ bytesUploaded }) => {
    if (bytesUploaded === 3_000) throw new Error('no more')
  })
  upload.end(bytes(3_000))
  t.match(await endOf(upload), { message: 'no more' })
  t.equal(upload.result, undefined, 'there is an error, so there is no result')
  t.notOk(seen.order.includes('finish'))
})

t.test('the first cause wins when many parts fail', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { status: 501 } })
  const { upload, seen } = smallUpload(sandbox)
  upload.end(bytes(20_000))
  t.match(await endOf(upload), { code: 'ERR_SERVER' })
  // Progress is told by the clock: on a busy machine once before the first answer.
  const ends = seen.order.filter(event => event !== 'progress')
  t.strictSame(ends, ['error', 'close'])
})

t.test('a dispatcher that was given is neither closed nor destroyed', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dispatcher = new Agent()
  const first = smallUpload(sandbox, { dispatcher })
  first.upload.end(bytes(2_000))
  t.equal(await endOf(first.upload), undefined)
  const second = smallUpload(sandbox, { dispatcher })
  second.upload.write(bytes(2_000))
  second.upload.destroy()
  await endOf(second.upload)
  t.notOk(dispatcher.closed || dispatcher.destroyed)
  await dispatcher.close()
})

t.test('an upload closes the connections it made', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const target = targetIn(sandbox)
  const upload = new RealtimeUpload(optionsFor(target, {}, SMALL))
  upload.end(bytes(9_000))
  t.equal(await endOf(upload), undefined)
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  t.pass('no socket is left')
})

t.test('closing a client ends the uploads that use it, and lets no new one begin', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  const { upload } = smallUpload(sandbox, { client })
  upload.end(bytes(3_000))
  await until(() => sandbox.stats.putsInFlight > 0, 'a PUT')
  await client.close()
  t.match(await endOf(upload), { code: 'ERR_CLIENT_CLOSED' })
  t.throws(() => smallUpload(sandbox, { client }), { code: 'ERR_CLIENT_CLOSED' })
  t.throws(() => smallUpload(sandbox, { client, apiTimeout: 5 }), { code: 'ERR_CLIENT_CLOSED' })
  await t.rejects(client.getAsset('a'), { code: 'ERR_CLIENT_CLOSED' })
})

t.test('none of these left an unhandled rejection or a warning of a leak', async t => {
  await new Promise(resolve => setTimeout(resolve, 50))
  t.strictSame(problems, [])
})
