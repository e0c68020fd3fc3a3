import { createHash } from 'node:crypto'
import t from 'tap'
import type { RealtimeUploadOptions } from '../../lib/index.ts'
import { bytes, endOf, SMALL, sandboxFor, sha256, smallUpload } from '../support/sandboxes.ts'

const MD5 = { integrity: 'md5' } as const
const corrupted = { status: 400, body: '<Error><Code>BadDigest</Code><Message/></Error>' }

t.test('every part carries the MD5 of its bytes, and S3 agrees', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox, MD5)
  const data = bytes(3_500)
  for (let at = 0; at < data.length; at += 99) upload.write(data.subarray(at, at + 99))
  upload.end()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  for (const { operation, partNumbers, headers } of sandbox.requests) {
    const [number = 0] = partNumbers
    const part = data.subarray((number - 1) * 1_000, number * 1_000)
    const md5 = createHash('md5').update(part).digest('base64')
    if (operation === 'put') t.equal(headers['content-md5'], md5, `part ${number}`)
  }
})

t.test('without the option nothing is hashed and nothing sent', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  upload.end(bytes(2_500))
  t.equal(await endOf(upload), undefined)
  t.notOk(sandbox.requests.some(({ headers }) => 'content-md5' in headers))
})

t.test('bytes that change in memory after they came in are not stored', async t => {
  const sandbox = await sandboxFor(t, { latency: { api: 50 } }, SMALL)
  const options: Partial<RealtimeUploadOptions> = { ...MD5, memoryLimit: 4_096 }
  const { upload, asset } = smallUpload(sandbox, options)
  // The blocks are the only Buffers of their size: a faulty memory is made of one of them.
  const { copy } = Buffer.prototype
  t.teardown(() => {
    Buffer.prototype.copy = copy
  })
  Buffer.prototype.copy = function (target: Uint8Array, ...rest: number[]) {
    const copied = copy.call(this, target, ...rest)
    if (target.length === SMALL.blockSize) target[7] = (target[7] ?? 0) ^ 1
    return copied
  }
  upload.end(bytes(500))
  t.match(await endOf(upload), {
    code: 'ERR_CORRUPTED',
    storageCode: 'BadDigest',
    partNumber: 1,
    attempts: 3,
    message: /changed on the way or in this machine's memory/,
  })
  t.equal(asset.storedBytes, 0)
})

t.test('a part that is corrupted on the way is sent again', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', perPart: true, times: 2, do: corrupted })
  const { upload, asset, seen } = smallUpload(sandbox, MD5)
  const data = bytes(2_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.ok(seen.part.every(({ attempts }) => attempts === 3))
})

t.test('integrity knows md5 alone', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const options = { integrity: 'crc32' } as unknown as RealtimeUploadOptions
  t.throws(() => smallUpload(sandbox, options), {
    code: 'ERR_INVALID_OPTION',
    message: /^integrity must be 'md5', or left out; received 'crc32'$/,
  })
})
