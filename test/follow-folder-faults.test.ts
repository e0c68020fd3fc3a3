/**
 * A folder whose files cannot go up, through no fault of theirs.
 */
import { open, readdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { isForAll } from '../lib/sources/passing.ts'
import { assetsIn, follow, oldFile, placeFor } from './support/followed-folder.ts'
import { bytes, until } from './support/sandboxes.ts'

/** A folder with files enough that some would have to wait for their turn. */
const manyFiles = async () => {
  const place = await placeFor(t)
  for (let n = 0; n < 8; n++) await oldFile(join(place.dir, `A${n}.mov`), bytes(1_500), 100 - n)
  return place
}

/** A port at which nobody listens. */
const nobody = async (): Promise<string> => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

t.test('a dead token ends it, and is said once', async t => {
  const place = await manyFiles()
  const { ended, events } = follow(place, { isOnce: false, connection: { token: 'dead' } })
  await t.rejects(ended, { code: 'ERR_UNAUTHORIZED', message: /Creating the asset failed/ })
  t.strictSame(events, [])
  t.ok(place.sandbox.requests.length <= 4, 'those that were tried at the same time')
  t.strictSame((await follow(place).ended).done, 8, 'and the next start takes them all')
})

t.test('a token that dies on the way ends it, and all goes on at the next start', async t => {
  const place = await manyFiles()
  const { sandbox } = place
  const dead = { status: 401, body: { error: 'invalid_client' } }
  sandbox.faults.add({ on: 'register', nth: 3, times: Infinity, do: dead })
  sandbox.faults.add({ on: 'create', nth: 3, times: Infinity, do: dead })
  const first = follow(place, { isOnce: false })
  await t.rejects(first.ended, { code: 'ERR_UNAUTHORIZED' })
  t.strictSame(first.names('failed'), [])
  sandbox.faults.clear()
  const { ended, names } = follow(place)
  t.strictSame((await ended).done + first.names('done').length, 8)
  t.strictSame(names('failed'), [])
  t.equal(assetsIn(sandbox).length, 8, 'none was made twice')
})

t.test('a folder of Frame.io’s that is none ends it, and is said once', async t => {
  const place = await manyFiles()
  const { ended, events } = follow(place, { isOnce: false, parentId: 'no-such-folder' })
  await t.rejects(ended, { code: 'ERR_ASSET_NOT_FOUND' })
  t.strictSame(events, [])
  t.strictSame((await readdir(place.spool)).sort(), ['followed.journal', 'followed.lock'])
  const again = follow(place)
  t.strictSame((await again.ended).done, 8)
  // Of what was asked for in the moment of the stop nobody knows.
  t.ok(again.names('nameless').length < 4, 'of those that were refused there is no asset')
})

t.test('what is refused of one file alone ends nothing', async t => {
  const codes = ['ERR_UNAUTHORIZED', 'ERR_NOT_PAIRED', 'ERR_FORBIDDEN', 'ERR_ASSET_NOT_FOUND']
  const others = ['ERR_CHANNEL_PAUSED', 'ERR_PLAN_LIMIT', 'ERR_NETWORK', 'ERR_REQUEST_REJECTED']
  const forAll = (assetId?: string) =>
    [...codes, ...others].filter(code => isForAll({ code }, assetId))
  t.strictSame(forAll(), codes)
  t.strictSame(forAll('a1'), codes.slice(0, 2), 'an asset that is gone is that of one file')
})

t.test('an abort waits for no creation that is tried again and again', async t => {
  const place = await manyFiles()
  let tries = 0
  const retry = { giveUpAfter: Infinity, minDelay: 3_600_000, maxDelay: 3_600_000 }
  const connection = { baseUrl: await nobody(), retry, onRetry: () => tries++ }
  const { ended, aborting } = follow(place, { isOnce: false, connection })
  await until(() => tries === 4, 'all four to wait for their next try')
  aborting.abort()
  await t.rejects(ended, { name: 'AbortError' })
})

t.test('recorders that pause do not keep the others from their turn', async t => {
  const place = await placeFor(t)
  const { dir, sandbox } = place
  for (let n = 0; n < 4; n++) {
    const path = join(dir, `A${n}.mov`)
    const file = await open(path, 'w')
    t.teardown(() => file.close())
    await file.write(bytes(3_500))
  }
  const { ended, ending, names } = follow(place, { isOnce: false })
  await until(() => names('begun').length === 4)
  await oldFile(join(dir, 'B0.mov'), bytes(1_500))
  await oldFile(join(dir, 'B1.mov'), bytes(1_500))
  await until(() => names('done').length === 2, 'both that came later')
  t.strictSame(names('done').sort(), ['B0.mov', 'B1.mov'])
  ending.abort()
  t.strictSame(await ended, { done: 6, unfinished: 0, failed: 0 })
  for (const asset of assetsIn(sandbox)) await asset.whenUploaded()
})
