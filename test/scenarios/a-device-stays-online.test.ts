/**
 * Ten minutes of silence, of which each lasts a second: Frame.io would call the device offline after five,
 * and takes a heartbeat a minute.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PRESENCE_DOOR } from '../../lib/frameio/presence.ts'
import { FrameioClient } from '../../lib/index.ts'
import type { Sandbox, SandboxDevice } from '../../lib/sandbox/index.ts'
import { follow } from '../support/followed-folder.ts'
import { bytes, endOf, folderFor, SMALL, sandboxFor, smallUpload } from '../support/sandboxes.ts'

t.setTimeout(120_000)
t.jobs = 2

/** A minute, in ms. */
const MINUTE = 1_000
const seconds = (number: number) => (number * MINUTE) / 60

const deviceFor = async (t: Test) => {
  const presence = { heartbeatEvery: seconds(60) / 1_000, offlineAfter: seconds(300) / 1_000 }
  const sandbox = await sandboxFor(t, { presence }, SMALL)
  const device = sandbox.devices.pair()
  const rules = { [PRESENCE_DOOR]: { silence: seconds(120), atMostEvery: seconds(60) } }
  return { sandbox, device, connection: { token: device.accessToken, device: {}, ...rules } }
}

/** Lets ten minutes pass, and looks at the device all the time. */
const tenMinutes = async (t: Test, sandbox: Sandbox, device: SandboxDevice): Promise<void> => {
  const seen = new Set<string>()
  for (let at = 0; at < 10 * MINUTE; at += MINUTE / 20) {
    seen.add(device.status)
    await wait(MINUTE / 20)
  }
  t.strictSame([...seen], ['online'])
  const beats = sandbox.requests.filter(({ operation }) => operation === 'heartbeat')
  t.strictSame(
    beats.filter(({ status }) => status !== 204),
    [],
    'none comes too early for Frame.io',
  )
  t.equal(device.heartbeats, beats.length)
  t.ok(beats.length >= 2 && beats.length <= 10, 'every 60 to 300 s')
  const gaps = beats.slice(1).map(({ startedAt }, n) => startedAt - Number(beats[n]?.startedAt))
  const inSeconds = gaps.map(gap => Math.round((gap / MINUTE) * 60))
  t.comment(`${beats.length} heartbeats in ten minutes, ${inSeconds.join(', ')} s apart`)
}

t.test('while a take is silent', async t => {
  const { sandbox, device, connection } = await deviceFor(t)
  const client = new FrameioClient({ ...connection, baseUrl: sandbox.url })
  t.teardown(() => client.close())
  const { upload } = smallUpload(sandbox, { client })
  upload.write(bytes(10))
  await tenMinutes(t, sandbox, device)
  upload.end()
  t.equal(await endOf(upload), undefined)
})

t.test('while no file comes into a folder', async t => {
  const { sandbox, device, connection } = await deviceFor(t)
  const root = await folderFor(t)
  const [dir, spool] = [join(root, 'in'), join(root, 'spool')]
  await mkdir(dir)
  const { ended, ending } = follow({ t, sandbox, root, dir, spool }, { connection, isOnce: false })
  await tenMinutes(t, sandbox, device)
  ending.abort()
  t.strictSame(await ended, { done: 0, unfinished: 0, failed: 0 })
})
