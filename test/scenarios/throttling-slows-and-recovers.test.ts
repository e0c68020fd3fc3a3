import t from 'tap'
import { FrameioClient } from '../../lib/index.ts'
import {
  bytes,
  endOf,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from '../support/sandboxes.ts'

const PATIENT = { giveUpAfter: 60_000, minDelay: 1, maxDelay: 50 }

t.test('a bucket that is full is waited for, so that a 429 hardly comes', async t => {
  const sandbox = await sandboxFor(t, { rateLimit: { limit: 2, window: 100 } }, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { retry: { ...PATIENT, maxDelay: 1_000 } })
  const data = bytes(12_500)
  for (let at = 0; at < data.length; at += 500) {
    upload.write(data.subarray(at, at + 500))
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  upload.end()
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.ok(sandbox.stats.registrations > 2, `${sandbox.stats.registrations} calls`)
  // On a busy machine two calls that went one after the other may arrive together.
  const refused = sandbox.requests.filter(({ status }) => status === 429)
  t.ok(refused.length <= 1, `${refused.length} were refused`)
  t.equal(seen.retry.length, refused.length)
})

t.test('many uploads share a small bucket, and nearly none of their calls is refused', async t => {
  const sandbox = await sandboxFor(t, { rateLimit: { limit: 5, window: 500 } }, SMALL)
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  t.teardown(() => client.close())
  const uploads = Array.from({ length: 30 }, () =>
    smallUpload(sandbox, { client, retry: undefined }),
  )
  for (const { upload } of uploads) upload.end(bytes(10))
  for (const { upload } of uploads) t.equal(await endOf(upload), undefined)
  const refused = sandbox.requests.filter(({ status }) => status === 429)
  t.ok(refused.length <= 3, `${refused.length} of ${sandbox.requests.length} were refused`)
})

t.test('a 429 for one upload holds the registrations of all, while PUTs go on', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    retry: { ...PATIENT, maxDelay: 400 },
  })
  t.teardown(() => client.close())
  const throttled = smallUpload(sandbox, { client, retry: undefined })
  const other = smallUpload(sandbox, { client, retry: undefined })
  sandbox.faults.add({ on: 'register', assetId: throttled.asset.id, do: { status: 429 } })
  sandbox.faults.add({ on: 'put', assetId: other.asset.id, do: { delay: 100 } })
  other.upload.write(bytes(1_001))
  await until(() => sandbox.stats.putsInFlight === 1, 'a PUT')
  throttled.upload.end(bytes(10))
  await until(() => throttled.seen.retry.length === 1, 'the 429')
  const [retry] = throttled.seen.retry
  t.match(retry, { stage: 'register', error: { code: 'ERR_RATE_LIMITED' } })
  other.upload.end(bytes(5))
  t.equal(await endOf(other.upload), undefined)
  t.equal(await endOf(throttled.upload), undefined)
  const answered = sandbox.requests.find(({ status }) => status === 429)?.endedAt ?? Number.NaN
  const next = sandbox.requests.filter(
    ({ operation, startedAt }) => operation === 'register' && startedAt > answered,
  )
  t.equal(next.length, 2)
  for (const { startedAt } of next) {
    t.ok(startedAt - answered >= (retry?.delay ?? Infinity) - 5, 'not before the gate opened')
  }
  const stored = sandbox.requests.find(({ operation }) => operation === 'put')
  t.ok((stored?.endedAt ?? Infinity) < (next[0]?.startedAt ?? 0), 'the PUT went on meanwhile')
})

t.test('SlowDown halves the lanes, success widens them again', async t => {
  const sandbox = await sandboxFor(t, { latency: { storage: 50 } }, SMALL)
  const body = '<Error><Code>SlowDown</Code><Message>Please reduce</Message></Error>'
  sandbox.faults.add({ on: 'put', nth: 9, times: 3, do: { status: 503, body } })
  const { upload, asset, seen } = smallUpload(sandbox, { retry: PATIENT, concurrency: 8 })
  const data = bytes(60_000)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.equal(seen.retry.length, 3)
  const puts = sandbox.requests.filter(({ operation }) => operation === 'put')
  /** PUTs in flight when this one began. */
  const beside = puts.map(
    put =>
      puts.filter(other => other.startedAt <= put.startedAt && (other.endedAt ?? 0) > put.startedAt)
        .length,
  )
  const slowed = puts.findLastIndex(({ status }) => status === 503)
  t.ok(Math.min(...beside.slice(slowed + 1, slowed + 9)) < 5, 'few after SlowDown')
  t.equal(Math.max(...beside.slice(slowed + 9)), 8, 'eight again after successes')
})

t.test('each stall of a part allows its next attempt twice the time', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', part: 3, times: 3, do: { hang: 'answer' } })
  const { upload, seen } = smallUpload(sandbox, { retry: PATIENT, stallTimeout: 40 })
  const cutAt: number[] = []
  upload.on('retry', ({ partNumbers }) => {
    if (partNumbers[0] === 3) cutAt.push(performance.now())
  })
  upload.end(bytes(3_500))
  t.equal(await endOf(upload), undefined)
  // On a busy machine other parts may stall as well, and this one more often.
  const retries = seen.retry.filter(({ partNumbers }) => partNumbers[0] === 3)
  t.ok(retries.length >= 3, `${retries.length} stalls`)
  t.ok(retries.every(({ error }) => error.code === 'ERR_TIMEOUT'))
  const [first = 0, second = 0, third = 0] = cutAt
  const took = [second - first, third - second] as const
  // A timer may be a little early.
  t.ok(took[0] >= 75 && took[1] >= 155, `${took} ms`)
})
