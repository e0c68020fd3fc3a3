/**
 * Promise 8, for links that are slow: all lanes share one, and each PUT alone cannot know it.
 */
import t from 'tap'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
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
import { slowLink } from '../support/slow-link.ts'

const KiB = 1024

// Only a guard against hanging: a slow link takes its time.
t.setTimeout(120_000)

const PART = 16 * KiB
const LIMITS = { minPartSize: PART, growthStep: 1, blockSize: 4 * KiB }

const uploadOver = (baseUrl: string, options: Partial<RealtimeUploadOptions>) => {
  const upload = new RealtimeUpload({
    assetId: 'a',
    filetype: 'video/mp4',
    token: 'token',
    baseUrl,
    ...options,
    ...{ [LIMITS_DOOR]: LIMITS },
  })
  return { upload, seen: record(upload) }
}

t.test('four lanes on a link that carries one of them store every part', async t => {
  // A part takes 1 s alone and 4 s beside three others; a PUT is given 175 ms at first.
  const { baseUrl, stored, carried, puts } = await slowLink(t, 16)
  const retry = { ...QUICK, giveUpAfter: 3_000 }
  const { upload, seen } = uploadOver(baseUrl, { stallTimeout: 50, retry })
  upload.end(bytes(8 * PART))
  t.equal(await endOf(upload), undefined)
  t.equal(stored.size, 8)
  t.ok(seen.retry.every(({ error }) => error.code === 'ERR_TIMEOUT'))
  const waste = (carried() / (8 * PART) - 1) * 100
  t.comment(
    `${puts()} PUTs for 8 parts; ${waste.toFixed(0)} % of what crossed the link was in vain`,
  )
})

t.test('a link that falls to a fortieth cuts few PUTs, and finishes', async t => {
  const { baseUrl, link, stored, carried, puts } = await slowLink(t, 4_000)
  const retry = { ...QUICK, giveUpAfter: 2_000 }
  const { upload, seen } = uploadOver(baseUrl, { stallTimeout: 100, retry })
  upload.write(bytes(20 * PART))
  await until(() => seen.part.length >= 10, 'ten parts')
  link.rate = 25
  upload.end(bytes(8 * PART))
  t.equal(await endOf(upload), undefined)
  t.equal(stored.size, 28)
  const cut = puts() - 28
  t.ok(cut <= 6, `${cut} PUTs were cut`)
  t.comment(`${cut} PUTs were cut; ${carried() - 28 * PART} bytes crossed the link in vain`)
})

t.test('a PUT that was cut gives its lane to a part that can use it', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', part: 1, do: { hang: 'answer' } })
  const retry = { giveUpAfter: 60_000, minDelay: 5_000, maxDelay: 5_000 }
  const { upload, seen } = smallUpload(sandbox, { concurrency: 2, stallTimeout: 100, retry })
  upload.write(bytes(8_001))
  // One lane is left, and part 1 waits for five seconds: it must not wait in that lane.
  await until(() => seen.retry.length === 1, 'part 1 to be cut')
  await until(() => seen.part.length === 7, 'all others')
  t.notOk(seen.part.some(({ number }) => number === 1))
  upload.destroy()
  await endOf(upload)
})

t.test('an upload whose PUTs fail does not hold the cap of its client while it waits', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    concurrency: 1,
    ...{ [LIMITS_DOOR]: SMALL },
  })
  t.teardown(() => client.close())
  const patient = { giveUpAfter: Infinity, minDelay: 60_000, maxDelay: 60_000 }
  const failing = smallUpload(sandbox, { client, retry: patient })
  const assetId = failing.asset.id
  sandbox.faults.add({ on: 'put', assetId, times: Infinity, do: { status: 503 } })
  failing.upload.write(bytes(4_001))
  await until(() => failing.seen.retry.length >= 1, 'a PUT to fail')
  const healthy = smallUpload(sandbox, { client })
  healthy.upload.end(bytes(3_000))
  t.equal(await endOf(healthy.upload), undefined)
  failing.upload.destroy()
  await endOf(failing.upload)
})

t.test('waiting for the cap of a client is no failure, however long it takes', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 60 } }, SMALL)
  const client = new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    concurrency: 1,
    ...{ [LIMITS_DOOR]: SMALL },
  })
  t.teardown(() => client.close())
  const retry = { giveUpAfter: 30, minDelay: 1, maxDelay: 1 }
  const uploads = Array.from({ length: 3 }, () => smallUpload(sandbox, { client, retry }))
  sandbox.faults.add({ on: 'put', perPart: true, times: 2, do: { status: 503 } })
  for (const { upload } of uploads) upload.end(bytes(2_000))
  for (const { upload } of uploads) t.equal(await endOf(upload), undefined)
})

t.test(
  'an upload that is destroyed while it waits for the cap leaves the cap as it was',
  async t => {
    const sandbox = await sandboxFor(t, { latency: { storage: 20 } }, SMALL)
    const client = new FrameioClient({
      token: sandbox.token,
      baseUrl: sandbox.url,
      concurrency: 1,
      ...{ [LIMITS_DOOR]: SMALL },
    })
    t.teardown(() => client.close())
    for (let round = 0; round < 10; round++) {
      const uploads = Array.from({ length: 3 }, () => smallUpload(sandbox, { client }))
      for (const { upload } of uploads) upload.write(bytes(4_001))
      await until(() => uploads.some(({ asset }) => asset.parts.length > 0), 'a registration')
      for (const { upload } of uploads) upload.destroy()
      for (const { upload } of uploads) await endOf(upload)
    }
    const { upload } = smallUpload(sandbox, { client })
    upload.end(bytes(3_000))
    t.equal(await endOf(upload), undefined)
  },
)
