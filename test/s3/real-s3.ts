/**
 * The library against a real S3: OpenStack Swift, behind the sandbox's API. `npm run test:s3`.
 *
 * Where Swift (2.30) answers otherwise than the sandbox, which follows AWS:
 * - a signed header that is missing: 403 SignatureDoesNotMatch, not AccessDenied
 * - `Authorization` beside a presigned query: taken, not refused with 400
 * - a chunked body without a length: taken, not refused with 411
 * - an unsigned `x-amz-content-sha256`: taken, not refused as other `x-amz-*` headers are
 * - no authentication at all: 400 without a code, not 403 AccessDenied
 */
import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import {
  FrameioClient,
  RealtimeUpload,
  type RealtimeUploadOptions,
  uploadFile,
} from '../../lib/index.ts'
import type { SandboxOptions } from '../../lib/sandbox/index.ts'
import { STORAGE_DOOR } from '../../lib/sandbox/storage.ts'
import { boot, mp4, put, urlFor } from '../sandbox-kit.ts'
import {
  bytes,
  endOf,
  optionsFor,
  record,
  sandboxFor,
  sha256,
  sourceOf,
  type Target,
  targetIn,
} from '../support/sandboxes.ts'
import { failureOf } from '../support/servers.ts'
import { fileFor, listenTo, onlyFile, v4ClientFor } from '../support/v4.ts'
import { Bucket, keyOf, type Signing } from './storage.ts'
import { clientOf, startSwift } from './swift.ts'
import { type Disturbance, wireTo } from './wire.ts'

/** A guard against hanging, and no more. */
t.setTimeout(300_000)

const MiB = 2 ** 20
const PART = 5 * MiB
/** Tries again at once: what fails here fails once, or for good. */
const RETRY = { minDelay: 1, maxDelay: 10 }

const swift = await startSwift(t)
const client = clientOf(t, swift)
const NAME = 'parts'
await client.send(new CreateBucketCommand({ Bucket: NAME }))

interface Rig extends Signing {
  readonly v4?: SandboxOptions['v4']
  /** Life of a URL, in seconds. */
  readonly urlLifetime?: number
  /** What happens to the nth connection to S3. */
  readonly disturb?: (nth: number) => Disturbance | undefined
}

/** A sandbox in front of Swift, and a wire between it and the upload that may be disturbed. */
const rigFor = async (t: Test, { urlLifetime = 600, disturb, v4, ...signing }: Rig = {}) => {
  const wire = await wireTo(t, swift.endpoint, disturb)
  const signer = clientOf(t, { ...swift, endpoint: wire.url })
  const bucket = new Bucket(client, NAME)
  const door = { [STORAGE_DOOR]: bucket.start(signer, signing) }
  const sandbox = await sandboxFor(t, { urlLifetime, v4, ...door } as SandboxOptions)
  return { bucket, sandbox, signer, wire, target: targetIn(sandbox) }
}

/** So that what a wire does to a connection, it does to one request. */
const oneRequestAConnection = (t: Test) => {
  const agent = new Agent({ pipelining: 0 })
  t.teardown(() => agent.close())
  return agent
}

const uploadTo = (target: Target, options: Partial<RealtimeUploadOptions> = {}) => {
  const upload = new RealtimeUpload(optionsFor(target, { retry: RETRY, ...options }))
  return { upload, seen: record(upload) }
}

/** Once an upload has finished its asset is whole: there is nothing to wait for but the assembly. */
const isWhole = async (t: Test, bucket: Bucket, { asset }: Target, data: Buffer) => {
  await bucket.look()
  if (!t.equal(asset.storedBytes, data.length, 'every byte is stored')) return
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data), 'the file is what was written')
  t.equal(asset.finals, 1, 'one final part')
}

t.test('whole uploads, around every edge of a part', async t => {
  const { bucket, sandbox } = await rigFor(t)
  for (const size of [1, PART - 1, PART, PART + 1, 2 * PART, 12_345_678, 40 * MiB + 7]) {
    await t.test(`${size} bytes`, async t => {
      const target = targetIn(sandbox)
      const { upload, seen } = uploadTo(target)
      const data = bytes(size)
      await pipeline(sourceOf(data, 65_521), upload)
      t.strictSame(upload.result, {
        assetId: target.asset.id,
        bytes: size,
        parts: Math.ceil(size / PART),
      })
      t.strictSame(seen.retry, [], 'S3 takes every part at the first try')
      await isWhole(t, bucket, target, data)
    })
  }
})

t.test('six uploads at once through one client', async t => {
  const { bucket, sandbox } = await rigFor(t)
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url, device: {} })
  t.teardown(() => client.close())
  const uploads = Array.from({ length: 6 }, () => {
    const target = targetIn(sandbox)
    return { target, data: bytes(11 * MiB), ...uploadTo(target, { client }) }
  })
  await Promise.all(uploads.map(({ upload, data }) => pipeline(sourceOf(data, MiB), upload)))
  for (const { target, data } of uploads) await isWhole(t, bucket, target, data)
})

t.test('a finished file through V4', async t => {
  const sliceSize = 5 * MiB + 1
  for (const cuts of [0, 1]) {
    for (const integrity of [undefined, 'md5'] as const) {
      const disturb = (nth: number) => (nth <= cuts ? { cutAt: MiB } : undefined)
      const { bucket, sandbox } = await rigFor(t, { disturb, v4: { sliceSize } })
      const client = v4ClientFor(t, sandbox)
      const { path, data } = await fileFor(t, 4 * sliceSize - 7)
      const { told, of } = listenTo()
      const { folderId } = sandbox.v4
      const done = await uploadFile({ client, folderId, file: path, integrity, ...told })
      t.equal(done.parts, 4)
      t.equal(of('retry').length, cuts, 'S3 takes every slice otherwise')
      await bucket.look()
      const file = onlyFile(sandbox)
      await file.whenUploaded()
      t.equal(file.sha256, sha256(data))
      t.match(await client.waitUntilUploaded(done.fileId), { upload_complete: true })
    }
  }
})

t.test('URLs of V4 that S3 finds expired: the file is created anew', async t => {
  const anHourAgo = new Date(Date.now() - 3_600_000)
  let signed = 0
  const signedAt = () => (++signed <= 2 ? anHourAgo : new Date())
  const { bucket, sandbox } = await rigFor(t, { signedAt, v4: { sliceSize: 5 * MiB } })
  const client = v4ClientFor(t, sandbox)
  const { path, data } = await fileFor(t, 6 * MiB)
  const { told, of } = listenTo()
  await uploadFile({ client, folderId: sandbox.v4.folderId, file: path, ...told })
  t.match(of('warning'), [{ code: 'URLS_EXPIRED' }])
  await bucket.look()
  const file = onlyFile(sandbox)
  await file.whenUploaded()
  t.equal(file.sha256, sha256(data))
})

t.test('URLs that S3 finds expired, though our clock does not, are replaced', async t => {
  const anHourAgo = new Date(Date.now() - 3_600_000)
  const signedAt = (nth: number) => (nth === 1 ? anHourAgo : new Date())
  const { bucket, target } = await rigFor(t, { signedAt })
  const { upload, seen } = uploadTo(target)
  const data = bytes(12 * MiB)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  t.match(
    seen.retry,
    Array.from({ length: 3 }, () => ({
      stage: 'put',
      attempt: 1,
      error: { code: 'ERR_URL_EXPIRED', statusCode: 403, storageCode: 'AccessDenied' },
    })),
  )
  t.strictSame(
    target.asset.parts.map(({ registrations }) => registrations),
    [2, 2, 2],
  )
  await isWhole(t, bucket, target, data)
})

t.test('short-lived URLs that expire on the way and in the queue are replaced', async t => {
  const urlLifetime = 3
  const hold = new Promise(resolve => setTimeout(resolve, (urlLifetime + 1) * 1_000))
  const disturb = (nth: number) => (nth === 1 ? { hold } : undefined)
  const { bucket, target } = await rigFor(t, { urlLifetime, disturb })
  const { upload, seen } = uploadTo(target, { concurrency: 1 })
  const data = bytes(12 * MiB)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  t.match(seen.retry[0], {
    partNumbers: [1],
    error: { code: 'ERR_URL_EXPIRED', statusCode: 403 },
  })
  const [first, second] = target.asset.parts
  t.ok(Number(first?.registrations) > 1, 'the part that S3 refused')
  t.ok(Number(second?.registrations) > 1, 'the part that waited behind it')
  const tried = seen.retry.flatMap(({ partNumbers }) => partNumbers)
  t.notOk(tried.includes(2), 'which was not sent to a URL known to have expired')
  await isWhole(t, bucket, target, data)
})

t.test('URLs that are expired for ever end in that very error', async t => {
  const signedAt = () => new Date(Date.now() - 3_600_000)
  const { target } = await rigFor(t, { signedAt })
  const { upload } = uploadTo(target, { retry: { ...RETRY, giveUpAfter: 200 } })
  upload.end(bytes(1_000))
  t.match(await endOf(upload), {
    code: 'ERR_URL_EXPIRED',
    statusCode: 403,
    storageCode: 'AccessDenied',
    partNumber: 1,
  })
})

/** What S3 says when a URL and a request do not belong together. */
const MISMATCH = {
  code: 'ERR_STORAGE_REJECTED',
  statusCode: 403,
  storageCode: 'SignatureDoesNotMatch',
  partNumber: 1,
  attempts: 1,
}

const tampered: Record<string, (url: URL) => void> = {
  signature: url => url.searchParams.set('X-Amz-Signature', '0'.repeat(64)),
  expiry: url => url.searchParams.set('X-Amz-Expires', '601'),
  path: url => {
    url.pathname += '0'
  },
}
for (const [what, tamper] of Object.entries(tampered)) {
  t.test(`a URL whose ${what} was tampered with is refused, at the first try`, async t => {
    const alter = (text: string) => {
      const url = new URL(text)
      tamper(url)
      return url.href
    }
    const { bucket, target } = await rigFor(t, { alter })
    const { upload, seen } = uploadTo(target)
    upload.end(bytes(1_000))
    t.match(await endOf(upload), MISMATCH)
    t.strictSame(seen.retry, [])
    t.equal(await bucket.sizeOf(keyOf(target.asset.id, 1)), undefined, 'nothing is stored')
  })
}

t.test("a filetype other than the asset's is refused, at the first try", async t => {
  const { bucket, target } = await rigFor(t)
  const { upload, seen } = uploadTo(target, { filetype: 'video/quicktime' })
  upload.end(bytes(6 * MiB))
  const error = await endOf(upload)
  t.match(error, { ...MISMATCH, partNumber: Number })
  t.match(error?.message, 'filetype the asset was created with')
  t.strictSame(seen.retry, [])
  t.equal(await bucket.sizeOf(keyOf(target.asset.id, 1)), undefined, 'nothing is stored')
})

const md5 = (data: string | Buffer) => createHash('md5').update(data).digest('base64')

t.test('Content-MD5, right and wrong', async t => {
  const { bucket, signer } = await rigFor(t)
  const url = await bucket.sign(signer, 'md5', 'video/mp4', { expiresIn: 600 })
  t.match(await put(url, 'some bytes', { 'content-md5': md5('other bytes') }), {
    status: 400,
    code: 'BadDigest',
  })
  t.equal(await bucket.sizeOf('md5'), undefined, 'nothing is stored')
  t.match(await put(url, 'some bytes', { 'content-md5': md5('some bytes') }), {
    status: 200,
    code: undefined,
  })
  t.equal(String(await bucket.bytesOf('md5')), 'some bytes')
})

t.test("integrity: 'md5'", async t => {
  await t.test('whole uploads', async t => {
    const { bucket, target } = await rigFor(t)
    const { upload, seen } = uploadTo(target, { integrity: 'md5' })
    const data = bytes(16 * MiB)
    await pipeline(sourceOf(data, 65_521), upload)
    t.strictSame(seen.retry, [])
    await isWhole(t, bucket, target, data)
  })

  await t.test(
    'a byte that changes on the way is noticed by S3, and the part sent again',
    async t => {
      const disturb = (nth: number) => (nth === 1 ? { flipAt: MiB } : undefined)
      const { bucket, target } = await rigFor(t, { disturb })
      const { upload, seen } = uploadTo(target, { integrity: 'md5' })
      const data = bytes(12 * MiB)
      upload.end(data)
      t.equal(await endOf(upload), undefined)
      t.match(seen.retry, [
        {
          stage: 'put',
          error: { code: 'ERR_CORRUPTED', statusCode: 400, storageCode: 'BadDigest' },
        },
      ])
      t.equal(seen.retry.length, 1)
      await isWhole(t, bucket, target, data)
    },
  )

  await t.test('a byte that changes every time is reported as corruption', async t => {
    const disturb = () => ({ flipAt: MiB })
    const { bucket, target } = await rigFor(t, { disturb })
    const { upload } = uploadTo(target, { integrity: 'md5', dispatcher: oneRequestAConnection(t) })
    upload.end(bytes(2 * MiB))
    t.match(await endOf(upload), {
      code: 'ERR_CORRUPTED',
      statusCode: 400,
      storageCode: 'BadDigest',
      attempts: 3,
    })
    t.equal(await bucket.sizeOf(keyOf(target.asset.id, 1)), undefined, 'nothing is stored')
  })
})

const cuts: Record<string, Disturbance> = {
  'before the headers are through': { cutAt: 100 },
  'in the middle of the body': { cutAt: 2 * MiB },
  'before the last bytes': { cutAt: PART },
  'before the answer': { cutAnswer: true },
}
for (const [where, cut] of Object.entries(cuts)) {
  t.test(`a connection cut ${where}: the part is sent again`, async t => {
    const disturb = (nth: number) => (nth === 1 ? cut : undefined)
    const { bucket, target, wire } = await rigFor(t, { disturb })
    const { upload, seen } = uploadTo(target)
    const data = bytes(3 * PART)
    upload.end(data)
    t.equal(await endOf(upload), undefined)
    await wire.settled()
    t.match(seen.retry, [{ stage: 'put', attempt: 1, error: { code: 'ERR_NETWORK' } }])
    t.equal(seen.retry.length, 1)
    t.equal(
      seen.part.reduce((sum, { attempts }) => sum + attempts, 0),
      4,
    )
    t.equal(upload.progress.bytesUploaded, data.length, 'a retry never counts twice')
    await isWhole(t, bucket, target, data)
  })
}

t.test('a cut PUT leaves no half object, and does not harm what was there', async t => {
  const disturb = (nth: number) => (nth === 1 ? undefined : { cutAt: 2 * MiB })
  const { bucket, signer, wire } = await rigFor(t, { disturb })
  const dispatcher = oneRequestAConnection(t)
  const send = async (key: string, body: Buffer) => {
    const url = await bucket.sign(signer, key, 'video/mp4', { expiresIn: 600 })
    const headers = { 'content-type': 'video/mp4', 'x-amz-acl': 'private' }
    const answer = await request(url, { method: 'PUT', headers, body, dispatcher })
    await answer.body.dump()
    return answer.statusCode
  }
  const [whole, half] = [bytes(PART), bytes(PART)]
  t.equal(await send('old', whole), 200)
  for (const key of ['old', 'new']) t.match(await failureOf(send(key, half)), { code: String })
  await wire.settled()
  t.equal(wire.connections(), 3, 'both were cut')
  t.equal(await bucket.sizeOf('new'), undefined)
  t.ok((await bucket.bytesOf('old')).equals(whole))
})

t.test('the sandbox refuses as a real S3 does', async t => {
  const { bucket, signer } = await rigFor(t)
  const own = await boot(t)
  const refusals: Record<string, [object, ((url: string) => string)?]> = {
    'another content type': [{ 'content-type': 'video/quicktime' }],
    'another ACL': [{ 'x-amz-acl': 'public-read' }],
    'an x-amz-* header that is not signed': [{ 'x-amz-meta-camera': 'A' }],
    'a wrong Content-MD5': [{ 'content-md5': md5('other bytes') }],
    'a Content-MD5 that is none': [{ 'content-md5': 'AAAA' }],
    'another signature': [{}, url => url.replace(/(X-Amz-Signature=)\w+/, `$1${'0'.repeat(64)}`)],
    'another path': [{}, url => url.replace('?', '0?')],
    'another life': [{}, url => url.replace(/(X-Amz-Expires=)\d+/, '$13601')],
    'a date long ago': [{}, url => url.replace(/(X-Amz-Date=)\d{4}/, '$12001')],
  }
  for (const [what, [headers, alter = (url: string) => url]] of Object.entries(refusals)) {
    const answers = []
    for (const url of [
      await urlFor(own, mp4(own).id),
      await bucket.sign(signer, 'refused', 'video/mp4', { expiresIn: 600 }),
    ]) {
      const { status, code } = await put(alter(url), '1234', { ...headers })
      answers.push({ status, code })
    }
    const [sandbox, s3] = answers
    t.strictSame(sandbox, s3, what)
    t.ok(Number(s3?.status) >= 400, `${what}: refused`)
  }
  t.equal(await bucket.sizeOf('refused'), undefined)
})
