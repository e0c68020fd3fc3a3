import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { RealtimeUpload } from '../../lib/index.ts'
import {
  bytes,
  chunked,
  optionsFor,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  sourceOf,
  targetIn,
} from '../support/sandboxes.ts'

const P = 5 * 2 ** 20

t.test('with the real limits, sizes around a part arrive byte-identical', async t => {
  const sandbox = await sandboxFor(t)
  for (const size of [1, 2, P - 1, P, P + 1, 2 * P, 2 * P + 1, 4 * P]) {
    const data = bytes(size)
    const target = targetIn(sandbox)
    const upload = new RealtimeUpload(optionsFor(target))
    let finishes = 0
    upload.on('finish', () => finishes++)
    await pipeline(sourceOf(data, 64 * 1024), upload)
    await target.asset.whenUploaded()
    const { asset } = target
    t.equal(asset.sha256, sha256(data), `${size} bytes: content`)
    t.strictSame(
      asset.parts.map(part => part.number),
      Array.from({ length: Math.ceil(size / P) }, (_, index) => index + 1),
      `${size} bytes: part numbers`,
    )
    t.equal(asset.finals, 1, `${size} bytes: one final part`)
    t.equal(asset.filesize, size, `${size} bytes: asset_filesize`)
    t.strictSame(upload.result, { assetId: asset.id, bytes: size, parts: asset.parts.length })
    t.equal(finishes, 1, `${size} bytes: finish once`)
  }
})

t.test('sizes × chunkings × part sizes arrive byte-identical', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  for (const partSize of [1_000, 1_023, 2_048]) {
    for (const size of [
      1,
      partSize - 1,
      partSize,
      partSize + 1,
      3 * partSize - 1,
      3 * partSize,
      7 * partSize + 1,
    ]) {
      for (const chunk of [1, 100, partSize, 65_536]) {
        const { upload, asset } = smallUpload(sandbox, { partSize })
        const data = bytes(size)
        await pipeline(sourceOf(data, chunk), upload)
        await asset.whenUploaded()
        const what = `${size} bytes in chunks of ${chunk}, parts of ${partSize}`
        t.equal(asset.sha256, sha256(data), what)
        t.equal(asset.parts.length, Math.ceil(size / partSize), `${what}: parts`)
        t.equal(asset.finals, 1, `${what}: one final part`)
        t.equal(asset.filesize, size, `${what}: asset_filesize`)
      }
    }
  }
})

t.test('strings, Uint8Arrays, empty chunks and corked writes arrive in order', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const text = 'Müller & Søn — 映画 '.repeat(200)
  const array = new Uint8Array(bytes(3_000))
  upload.write(text)
  upload.write(Buffer.alloc(0))
  upload.cork()
  upload.write(array)
  upload.write('cafe', 'hex')
  upload.write(text.slice(0, 10))
  upload.uncork()
  await new Promise<void>(resolve => upload.end(array.subarray(1), resolve))
  await asset.whenUploaded()
  const expected = [text, array, Buffer.from('cafe', 'hex'), text.slice(0, 10), array.subarray(1)]
  t.equal(asset.sha256, sha256(Buffer.concat(expected.map(chunk => Buffer.from(chunk)))))
})

t.test('a chunk much larger than a part is cut like any other', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox, { memoryLimit: 4_096 })
  const data = bytes(100_001)
  await pipeline(Readable.from([data], { objectMode: false }), upload)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.equal(asset.parts.length, 101)
})

t.test('a chunk may be reused by its owner as soon as the write called back', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 5 } }, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const data = bytes(10_000)
  const reused = Buffer.alloc(100)
  for (const chunk of chunked(data, 100)) {
    chunk.copy(reused)
    await new Promise(resolve => upload.write(reused, resolve))
    reused.fill(0)
  }
  await new Promise<void>(resolve => upload.end(resolve))
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test(
  'parts grow as the stream gets longer, and it still fits the highest part number',
  async t => {
    const limits = {
      ...SMALL,
      maxParts: 100,
      maxFilesize: 600_000,
      growthDivisor: 9,
      growthStep: 100,
      growthCap: 20_000,
    }
    const sandbox = await sandboxFor(t, {}, limits)
    const target = targetIn(sandbox)
    const upload = new RealtimeUpload(optionsFor(target, {}, limits))
    const data = bytes(600_000)
    await pipeline(sourceOf(data, 10_000), upload)
    await target.asset.whenUploaded()
    t.equal(target.asset.sha256, sha256(data))
    const sizes = target.asset.parts.map(part => part.size)
    t.ok(sizes.length <= 100, `${sizes.length} parts`)
    t.equal(sizes[0], 1_000, 'the first parts are small')
    t.equal(Math.max(...sizes), 20_000, 'the last are as large as growth goes')
    t.strictSame(
      sizes.slice(0, -1),
      sizes.slice(0, -1).toSorted((a, b) => a - b),
      'none shrinks',
    )
  },
)

t.test('finish comes after the last part was answered with 200, and result only then', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 30 } }, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { concurrency: 2 })
  upload.end(bytes(5_500))
  t.equal(upload.result, undefined, 'no result before finish')
  await new Promise<void>(resolve => upload.once('finish', resolve))
  t.equal(asset.storedBytes, 5_500)
  t.equal(sandbox.stats.putsInFlight, 0)
  t.ok(sandbox.requests.every(({ status }) => status === 200))
  t.strictSame(upload.result, { assetId: asset.id, bytes: 5_500, parts: 6 })
  await new Promise<void>(resolve => upload.once('close', resolve))
  t.strictSame(seen.order.slice(-3), ['progress', 'finish', 'close'])
})
