/**
 * A device whose upload runs is seen by Frame.io, and never too often.
 */
import t from 'tap'
import { PRESENCE_DOOR, Presence, type PresenceRules } from '../lib/frameio/presence.ts'
import { FrameioClient, type FrameioClientOptions } from '../lib/index.ts'
import type { Sandbox } from '../lib/sandbox/index.ts'
import { bytes, endOf, QUICK, SMALL, sandboxFor, smallUpload, until } from './support/sandboxes.ts'

const FAST: PresenceRules = { silence: 60, atMostEvery: 30 }

const clientOf = (
  t: Pick<Tap, 'teardown'>,
  sandbox: Sandbox,
  options: Partial<FrameioClientOptions> = {},
) => {
  const device = sandbox.devices.pair()
  const client = new FrameioClient({
    token: device.accessToken,
    baseUrl: sandbox.url,
    device: {},
    retry: QUICK,
    ...options,
    ...{ [PRESENCE_DOOR]: FAST },
  })
  t.teardown(() => client.close())
  return { client, device }
}

type Tap = typeof t

const beatsOf = ({ requests }: Sandbox) =>
  requests.filter(({ operation }) => operation === 'heartbeat')

/** A sandbox that takes any heartbeat. */
const often = { presence: { heartbeatEvery: 0.000_001 } }

t.test('while an upload of a device runs, heartbeats go; with its end they end', async t => {
  const sandbox = await sandboxFor(t, often, SMALL)
  const { client, device } = clientOf(t, sandbox)
  const { upload } = smallUpload(sandbox, { client })
  upload.write(bytes(10))
  await until(() => device.heartbeats >= 3, 'three heartbeats')
  for (const { headers } of beatsOf(sandbox)) t.equal(headers['x-client-version'], '0.0.0')
  upload.end()
  t.equal(await endOf(upload), undefined)
  const after = beatsOf(sandbox).length
  await new Promise(resolve => setTimeout(resolve, 5 * FAST.silence))
  t.equal(beatsOf(sandbox).length, after)
})

t.test('an upload of the platform has none', async t => {
  const sandbox = await sandboxFor(t, often, SMALL)
  const { client } = clientOf(t, sandbox, { token: sandbox.token, device: undefined })
  const { upload } = smallUpload(sandbox, { client })
  await new Promise(resolve => setTimeout(resolve, 5 * FAST.silence))
  upload.end(bytes(10))
  t.equal(await endOf(upload), undefined)
  t.equal(beatsOf(sandbox).length, 0)
})

t.test('a heartbeat that fails is no failure of the upload, nor slows it', async t => {
  const sandbox = await sandboxFor(t, often, SMALL)
  sandbox.faults.add(
    { on: 'heartbeat', nth: 1, do: { status: 429 } },
    { on: 'heartbeat', nth: 2, do: { status: 500 } },
    { on: 'heartbeat', nth: 3, do: { reset: 'before' } },
    { on: 'heartbeat', nth: 4, do: { status: 401, body: { error: 'no' } } },
    { on: 'heartbeat', nth: 5, do: { status: 404 } },
  )
  const { client, device } = clientOf(t, sandbox)
  const { upload, seen } = smallUpload(sandbox, { client })
  await until(() => device.heartbeats >= 1, 'a heartbeat after five that failed')
  upload.end(bytes(10))
  t.equal(await endOf(upload), undefined)
  t.strictSame(seen.retry, [], 'a 429 to it closes no gate')
})

t.test('an upload ends though a heartbeat hangs', async t => {
  const sandbox = await sandboxFor(t, often, SMALL)
  sandbox.faults.add({ on: 'heartbeat', do: { hang: 'answer' } })
  const { client } = clientOf(t, sandbox)
  const { upload } = smallUpload(sandbox, { client })
  await until(() => sandbox.faults.fired.length > 0, 'a heartbeat that hangs')
  upload.end(bytes(10))
  t.equal(await endOf(upload), undefined)
  await client.close()
  await until(() => sandbox.stats.openSockets === 0, 'no connection')
})

t.test(
  'never nearer to each other than is allowed, however many are at work, and none after them',
  async t => {
    const presence = new Presence({ silence: 20, atMostEvery: 50 })
    const stop = new AbortController()
    const beats: number[] = []
    const beat = async () => {
      beats.push(performance.now())
      if (beats.length % 2) throw new Error('refused')
      presence.heard()
    }
    // Several at work, as the uploads of a client: they share their heartbeats.
    for (let i = 0; i < 3; i++) presence.enter(stop.signal, beat)
    presence.enter(AbortSignal.any([stop.signal]), beat)
    await until(() => beats.length >= 6, 'six heartbeats')
    stop.abort()
    const gaps = beats.slice(1).map((at, index) => at - Number(beats[index]))
    t.ok(Math.min(...gaps) >= 50, `${gaps}`)
    const count = beats.length
    presence.enter(stop.signal, beat)
    await new Promise(resolve => setTimeout(resolve, 100))
    t.equal(beats.length, count, 'and none for who has left already')
  },
)

t.test('none where calls are made: only silence asks for one', async t => {
  const presence = new Presence({ silence: 3_600_000, atMostEvery: 1 })
  const stop = new AbortController()
  let beats = 0
  presence.enter(stop.signal, async () => {
    beats += 1
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  t.equal(beats, 0)
  stop.abort()
})
