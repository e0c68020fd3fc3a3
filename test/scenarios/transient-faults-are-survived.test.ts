import t from 'tap'
import { FrameioClient } from '../../lib/index.ts'
import type { Fault } from '../../lib/sandbox/index.ts'
import {
  bytes,
  endOf,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from '../support/sandboxes.ts'

const PATIENT = { giveUpAfter: 60_000, minDelay: 1, maxDelay: 10 }

const actions: Fault['do'][] = [
  { status: 500 },
  { status: 502, body: '<html>Bad Gateway</html>' },
  { status: 503, at: 'headers' },
  { status: 504, body: '' },
  { status: 408 },
  { status: 429 },
  { reset: 'before' },
  { reset: 'during' },
  { reset: 'after' },
  { reset: 'answer' },
  { loseAnswer: true },
  { delay: 30 },
]

for (const on of ['register', 'put'] as const) {
  t.test(`${on}: each transient fault at the first try of every part`, async t => {
    for (const action of actions) {
      const sandbox = await sandboxFor(t, {}, SMALL)
      sandbox.faults.add({ on, perPart: true, do: action })
      const { upload, asset, seen } = smallUpload(sandbox, { retry: PATIENT, concurrency: 3 })
      const data = bytes(6_500)
      upload.end(data)
      const what = JSON.stringify(action)
      t.equal(await endOf(upload), undefined, what)
      await asset.whenUploaded()
      t.equal(asset.sha256, sha256(data), `${what}: content`)
      t.equal(asset.finals, 1, `${what}: one final part`)
      t.equal(upload.progress.bytesUploaded, 6_500, `${what}: a retry never counts twice`)
      t.equal(upload.progress.retries, seen.retry.length)
      if (!('delay' in action)) {
        t.ok(seen.retry.length > 0, `${what}: it is told`)
        t.ok(seen.retry.every(({ stage }) => stage === on))
      }
    }
  })
}

t.test('a part that fails six times does not stop the others, and keeps its lane', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', part: 2, times: 6, do: { status: 503 } })
  const { upload, asset, seen } = smallUpload(sandbox, { retry: PATIENT })
  const data = bytes(12_000)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.match(
    seen.part.find(({ number }) => number === 2),
    { attempts: 7 },
  )
  t.ok((seen.part.at(-1)?.number ?? 0) <= 12)
  t.ok(sandbox.stats.maxPutsInFlight <= 4)
})

t.test('an expired URL is replaced by one that was made after the failure', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', perPart: true, do: { expire: true } })
  const { upload, asset } = smallUpload(sandbox, { retry: PATIENT })
  const data = bytes(6_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.ok(asset.parts.every(({ registrations, puts }) => registrations === 2 && puts === 2))
})

t.test('really short-lived URLs', async t => {
  const sandbox = await sandboxFor(t, { urlLifetime: 1, latency: { storage: 400 } }, SMALL)
  const { upload, asset } = smallUpload(sandbox, { retry: PATIENT, concurrency: 1 })
  const data = bytes(6_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.ok(
    asset.parts.some(({ registrations }) => registrations > 1),
    'some expired while they waited',
  )
})

t.test(
  'a token that dies in mid-upload is asked for once more by all uploads together',
  async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    let asked = 0
    const client = new FrameioClient({
      token: async () => {
        asked++
        await new Promise(resolve => setTimeout(resolve, 20))
        return sandbox.token
      },
      baseUrl: sandbox.url,
    })
    t.teardown(() => client.close())
    const uploads = Array.from({ length: 4 }, () =>
      smallUpload(sandbox, { client, retry: PATIENT }),
    )
    for (const { upload } of uploads) upload.write(bytes(3_000))
    await until(() => uploads.every(({ seen }) => seen.part.length === 2), 'the first parts')
    t.equal(asked, 1, 'asked once at the start')
    sandbox.renewToken()
    for (const { upload } of uploads) upload.end(bytes(3_000))
    for (const { upload, asset } of uploads) {
      t.equal(await endOf(upload), undefined)
      await asset.whenUploaded()
    }
    t.equal(asked, 2, 'and once when it died')
  },
)

t.test('a token function that fails at first is asked again', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  let asked = 0
  const { upload, seen } = smallUpload(sandbox, {
    retry: PATIENT,
    token: () => {
      if (++asked < 3) throw new Error('no network yet')
      return sandbox.token
    },
  })
  upload.end(bytes(1_500))
  t.equal(await endOf(upload), undefined)
  t.match(seen.retry[0], { stage: 'register', error: { code: 'ERR_UNAUTHORIZED' } })
})

t.test('a stalled PUT is sent again', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add(
    { on: 'put', part: 1, do: { hang: 'body' } },
    { on: 'put', part: 2, do: { hang: 'answer' } },
  )
  const { upload, asset, seen } = smallUpload(sandbox, { retry: PATIENT, stallTimeout: 50 })
  const data = bytes(3_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
  t.ok(seen.retry.every(({ error }) => error.code === 'ERR_TIMEOUT'))
})

t.test('a real rate limit is respected: every call gets through in the end', async t => {
  const sandbox = await sandboxFor(t, { rateLimit: { limit: 2, window: 100 } }, SMALL)
  const { upload, asset } = smallUpload(sandbox, {
    retry: { ...PATIENT, maxDelay: 60 },
    concurrency: 1,
  })
  const data = bytes(8_000)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})
