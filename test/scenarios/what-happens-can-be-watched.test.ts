import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import t from 'tap'
import type { DiagnosticMessages } from '../../lib/index.ts'
import { bytes, endOf, SMALL, sandboxFor, shown, smallUpload } from '../support/sandboxes.ts'

type Name = keyof DiagnosticMessages
type Said = { [N in Name]?: DiagnosticMessages[N][] }

const NAMES: Name[] = [
  'frameio-realtime-upload:register',
  'frameio-realtime-upload:put',
  'frameio-realtime-upload:retry',
  'frameio-realtime-upload:stall',
  'frameio-realtime-upload:done',
]

const listen = (t: { teardown(fn: () => unknown): void }) => {
  const said: Said = {}
  for (const name of NAMES) {
    const hear = (message: unknown) => {
      const list: unknown[] = said[name] ?? []
      Object.assign(said, { [name]: [...list, message] })
    }
    subscribe(name, hear)
    t.teardown(() => unsubscribe(name, hear))
  }
  return said
}

t.test('diagnostics channels tell of registrations, PUTs, retries, stalls and the end', async t => {
  const said = listen(t)
  const sandbox = await sandboxFor(t, { latency: { storage: 5 } }, SMALL)
  sandbox.faults.add({ on: 'put', part: 2, do: { status: 503 } })
  const { upload, asset, seen } = smallUpload(sandbox, { memoryLimit: 4_096 })
  const assetId = asset.id
  upload.end(bytes(8_500))
  t.equal(await endOf(upload), undefined)

  const registered = said['frameio-realtime-upload:register'] ?? []
  const numbers = registered.flatMap(({ partNumbers }) => partNumbers)
  t.strictSame(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.ok(registered.every(({ duration }) => duration > 0))
  const puts = said['frameio-realtime-upload:put'] ?? []
  t.equal(puts.length, 9)
  t.match(
    puts.find(({ partNumber }) => partNumber === 2),
    { assetId, size: 1_000, attempts: 2 },
  )
  t.match(said['frameio-realtime-upload:retry'], [
    { assetId, stage: 'put', partNumbers: [2], attempt: 1, error: { code: 'ERR_SERVER' } },
  ])
  const stalls = said['frameio-realtime-upload:stall'] ?? []
  const turns = seen.order.filter(event => event === 'stall' || event === 'resume')
  t.ok(stalls.length > 0)
  t.strictSame(
    stalls.map(({ stalled }) => (stalled ? 'stall' : 'resume')),
    turns,
  )
  t.strictSame(said['frameio-realtime-upload:done'], [
    { assetId, bytes: 8_500, parts: 9, error: undefined },
  ])
})

t.test('the end of an upload that failed or was destroyed is told with its error', async t => {
  const said = listen(t)
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', part: 1, do: { status: 400 } })
  const failed = smallUpload(sandbox)
  failed.upload.end(bytes(10))
  const error = await endOf(failed.upload)
  const destroyed = smallUpload(sandbox)
  destroyed.upload.destroy()
  await endOf(destroyed.upload)
  t.match(said['frameio-realtime-upload:done'], [
    { assetId: failed.asset.id, bytes: 0, parts: 0, error },
    { assetId: destroyed.asset.id, error: { name: 'AbortError' } },
  ])
})

t.test('no message holds a token or the query of a URL', async t => {
  const said = listen(t)
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', perPart: true, do: { expire: true } })
  sandbox.faults.add({ on: 'register', nth: 2, do: { reset: 'after' } })
  const { upload } = smallUpload(sandbox)
  upload.end(bytes(3_500))
  t.equal(await endOf(upload), undefined)
  const told = Object.values(said).flat().map(shown).join('\n')
  t.match(told, 'ERR_URL_EXPIRED')
  t.notOk(told.includes(sandbox.token))
  t.notMatch(told, /X-Amz-(?!\w+=\[redacted\])/)
})
