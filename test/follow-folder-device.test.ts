/**
 * A folder that a Camera to Cloud device follows.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { PRESENCE_DOOR } from '../lib/frameio/presence.ts'
import { deviceTokens, saveDeviceTokens } from '../lib/index.ts'
import { assetsIn, follow, oldFile, type Place, placeFor } from './support/followed-folder.ts'
import { bytes, until } from './support/sandboxes.ts'

const deviceIn = ({ sandbox }: Place) => {
  const device = sandbox.devices.pair()
  return { device, connection: { token: device.accessToken, device: {} } }
}

t.test('each file says how old it is, and a pause counts for what was recorded in it', async t => {
  const place = await placeFor(t)
  const { device, connection } = deviceIn(place)
  const { sandbox, dir } = place
  await oldFile(join(dir, 'before.mov'), bytes(1_500), 3_600)
  await oldFile(join(dir, 'long-before.mov'), bytes(500), 86_400)
  device.pause()
  await new Promise(resolve => setTimeout(resolve, 1_100)) // Offsets are whole seconds.
  await writeFile(join(dir, 'meanwhile.mov'), bytes(500))
  const { ended, events } = follow(place, { connection })
  t.strictSame(await ended, { done: 2, unfinished: 0, failed: 1 })
  const ages = assetsIn(sandbox).map(({ name, offset = Number.NaN }) => [
    name,
    Number.isInteger(offset) && Math.floor(offset / 600),
  ])
  t.strictSame(ages.sort(), [
    ['before.mov', 6],
    ['long-before.mov', 144],
  ])
  const error = { code: 'ERR_CHANNEL_PAUSED' }
  t.match(
    events.filter(({ t }) => t === 'failed'),
    [{ name: 'meanwhile.mov', error }],
  )
})

t.test('while it waits for files the device is there, whatever heartbeats meet', async t => {
  const place = await placeFor(t, { presence: { heartbeatEvery: 0.000_001 } })
  const { device, connection } = deviceIn(place)
  const { sandbox } = place
  const { faults, requests } = sandbox
  faults.add(
    { on: 'heartbeat', nth: 1, do: { status: 500 } },
    { on: 'heartbeat', nth: 2, do: { status: 401, body: { error: 'no' } } },
    { on: 'heartbeat', nth: 3, do: { reset: 'before' } },
    { on: 'heartbeat', nth: 4, do: { status: 429 } },
    { on: 'heartbeat', nth: 7, do: { hang: 'answer' } },
  )
  const often = { [PRESENCE_DOOR]: { silence: 60, atMostEvery: 30 } }
  const options = { connection: { ...connection, ...often }, isOnce: false }
  const { ended, events, ending } = follow(place, options)
  await until(() => device.heartbeats >= 2, 'two after four that failed')
  await until(() => faults.fired.length === 5, 'one that hangs')
  ending.abort()
  t.strictSame(await ended, { done: 0, unfinished: 0, failed: 0 })
  t.strictSame(events, [])
  const beats = requests.length
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(requests.length, beats, 'and none once it is over')
})

t.test('an outage in which its token dies ends no folder', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, root } = place
  const { clientId, accessToken, refreshToken } = sandbox.devices.pair()
  const file = join(root, 'tokens.json')
  await saveDeviceTokens({ file, tokens: { accessToken, refreshToken, lifetime: 1 } })
  const { clientSecret } = sandbox.credentials
  const token = deviceTokens({ file, clientId, clientSecret, baseUrl: sandbox.url })
  sandbox.faults.add({ on: 'token', times: Infinity, do: { reset: 'before' } })
  await oldFile(join(dir, 'a.mov'), bytes(500))
  const first = follow(place, { connection: { token, device: {} } })
  t.strictSame(await first.ended, { done: 0, unfinished: 0, failed: 1 })
  t.match(first.events, [{ t: 'failed', error: { code: 'ERR_UNAUTHORIZED' } }])
  sandbox.faults.clear()
  const next = follow(place, { connection: { token, device: {} } })
  t.strictSame(await next.ended, { done: 1, unfinished: 0, failed: 0 })
})
