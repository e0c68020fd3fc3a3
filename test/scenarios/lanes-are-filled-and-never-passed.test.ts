import t from 'tap'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { FrameioClient } from '../../lib/index.ts'
import { bytes, endOf, SMALL, sandboxFor, smallUpload, until } from '../support/sandboxes.ts'

t.test('PUTs in flight reach concurrency and never pass it', async t => {
  for (const concurrency of [1, 4, 7]) {
    const sandbox = await sandboxFor(t, { latency: { storage: 20 } }, SMALL)
    const { upload } = smallUpload(sandbox, { concurrency })
    upload.end(bytes(40_000))
    t.equal(await endOf(upload), undefined)
    t.ok(sandbox.stats.maxPutsInFlight <= concurrency, 'never more')
    t.equal(sandbox.stats.maxRegistrationsInFlight, 1, 'one registration at a time')
    sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
    const held = smallUpload(sandbox, { concurrency }).upload
    held.end(bytes(40_000))
    await until(() => sandbox.stats.putsInFlight === concurrency, `${concurrency} PUTs in flight`)
    held.destroy()
    await endOf(held)
  }
})

t.test('with a slow API, parts that wait are registered together', async t => {
  const sandbox = await sandboxFor(t, { latency: { api: 300 } }, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  upload.end(bytes(12_000))
  t.equal(await endOf(upload), undefined)
  t.equal(asset.parts.length, 12)
  t.ok(sandbox.stats.registrations <= 6, `${sandbox.stats.registrations} calls`)
  t.equal(sandbox.stats.maxRegistrationsInFlight, 1)
})

t.test('a call has at most 100 parts, in order, and only the last has the size', async t => {
  const sandbox = await sandboxFor(t, { latency: { api: 100 } }, SMALL)
  const { upload } = smallUpload(sandbox, { concurrency: 200 })
  upload.end(bytes(250_000))
  t.equal(await endOf(upload), undefined)
  const calls = sandbox.requests.filter(({ operation }) => operation === 'register')
  const numbers = calls.map(({ partNumbers }) => partNumbers)
  t.ok(
    numbers.some(list => list.length === 100),
    'one was full',
  )
  t.ok(numbers.every(list => list.length <= 100))
  t.strictSame(
    numbers.flat(),
    Array.from({ length: 250 }, (_, index) => index + 1),
  )
})

t.test('the window grows with the time that a call takes', async t => {
  const sandbox = await sandboxFor(t, { latency: { api: 100 } }, SMALL)
  const { upload } = smallUpload(sandbox, { concurrency: 2 })
  upload.end(bytes(300_000))
  t.equal(await endOf(upload), undefined)
  const calls = sandbox.requests.filter(({ operation }) => operation === 'register')
  // Twice the lanes at first; more, once it is known how many parts they take meanwhile.
  t.ok(Number(calls[1]?.partNumbers.length) <= 4)
  t.ok(calls.length < 40, `${calls.length} calls for 300 parts`)
})

t.test('when no PUT gets through, no more than 2 × concurrency wait with a URL', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload, asset } = smallUpload(sandbox, { concurrency: 3 })
  upload.write(bytes(50_000))
  await until(
    () => sandbox.stats.putsInFlight === 3 && asset.parts.length === 9,
    'lanes and window to fill',
  )
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(asset.parts.length, 9, 'three in flight, six waiting')
  upload.destroy()
  await endOf(upload)
})

t.test('the cap of a client holds over all its uploads', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 20 } }, SMALL)
  const client = new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    concurrency: 5,
    ...{ [LIMITS_DOOR]: SMALL },
  })
  const uploads = Array.from({ length: 4 }, () => smallUpload(sandbox, { client }))
  for (const { upload } of uploads) upload.end(bytes(10_000))
  for (const { upload, asset } of uploads) {
    t.equal(await endOf(upload), undefined)
    await asset.whenUploaded()
  }
  t.equal(sandbox.stats.maxPutsInFlight, 5)
  t.ok(sandbox.stats.openSockets > 0, 'the connections are the client’s, and stay')
  await client.close()
  await until(() => sandbox.stats.openSockets === 0, 'its sockets to close')
})
