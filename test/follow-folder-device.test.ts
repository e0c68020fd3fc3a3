/**
 * A folder that a Camera to Cloud device follows.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { assetsIn, follow, oldFile, type Place, placeFor } from './support/followed-folder.ts'
import { bytes } from './support/sandboxes.ts'

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
