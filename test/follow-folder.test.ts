/**
 * A folder in which each file becomes an asset of its own, as far as the engine goes: see
 * cli-follow-folder.test.ts for the command.
 */
import { existsSync } from 'node:fs'
import {
  appendFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type Resumed, resumeUploads } from '../lib/index.ts'
import { lock } from '../lib/lock.ts'
import type { Sandbox, SandboxAsset } from '../lib/sandbox/index.ts'
import { realDisk } from '../lib/spool/disk.ts'
import { lineOf } from '../lib/spool/journal.ts'
import { Ledger } from '../lib/spool/ledger.ts'
import { assetsIn, follow, isOld, oldFile, placeFor } from './support/followed-folder.ts'
import { bytes, journalsIn, sha256, until } from './support/sandboxes.ts'

const putsIn = ({ requests }: Sandbox): number =>
  requests.filter(({ operation }) => operation === 'put').length

const creationsIn = ({ requests }: Sandbox): number =>
  requests.filter(({ operation }) => operation === 'create').length

t.test('50 files of which 5 are broken: 45 assets, 5 named errors, and nothing twice', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  const contents = new Map<string, Buffer>()
  for (let n = 0; n < 46; n++) {
    const name = `A${String(n).padStart(3, '0')}.mov`
    contents.set(name, bytes(500 + n * 100))
    await oldFile(join(dir, name), contents.get(name) as Buffer, 10_000 - n)
  }
  // The oldest of them is refused by Frame.io; and four are broken on the disk.
  sandbox.faults.add({ on: 'create', do: { status: 422 } })
  await mkdir(join(dir, 'B0.mov'))
  await oldFile(join(dir, 'B1.mov'), Buffer.alloc(0))
  await symlink('B2.mov', join(dir, 'B2.mov'))
  const cut = await open(join(dir, 'B3.mov'), 'w')
  t.teardown(() => cut.close())
  await cut.write(bytes(4_500))
  const { ended, events } = follow(place)
  await until(() =>
    assetsIn(sandbox).some(it => it.name === 'B3.mov' && it.parts.some(({ stored }) => stored)),
  )
  await cut.truncate(100)
  t.strictSame(await ended, { done: 45, unfinished: 0, failed: 5 })
  const failed = new Map(
    events.flatMap(event => (event.t === 'failed' ? [[event.name, event.error]] : [])),
  )
  const refused = [...failed.keys()].find(name => name.startsWith('A')) ?? ''
  t.match(failed.get(refused), { code: 'ERR_REQUEST_REJECTED', statusCode: 422 })
  t.match(failed.get('B0.mov'), { code: 'ERR_SOURCE_FAILED', message: /is a folder/ })
  t.match(failed.get('B1.mov'), { code: 'ERR_EMPTY_STREAM', message: /B1.mov is empty/ })
  t.match(failed.get('B2.mov'), { code: 'ERR_SOURCE_FAILED', message: /ELOOP/ })
  t.match(failed.get('B3.mov'), { code: 'ERR_SOURCE_TRUNCATED' })
  t.equal(failed.size, 5)

  const whole = assetsIn(sandbox).filter(({ finals }) => finals === 1)
  t.equal(whole.length, 45)
  for (const asset of whole) {
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(contents.get(asset.name) as Buffer), asset.name)
    t.equal(asset.filetype, 'video/quicktime')
  }
  t.strictSame((await readdir(spool)).sort(), ['followed.journal', 'followed.lock'])
  t.equal((await stat(join(spool, 'followed.journal'))).mode & 0o777, 0o600)
  const kept = await readFile(join(spool, 'followed.journal'), 'utf8')
  t.notMatch(kept, sandbox.token)

  // What is still broken is named again; what was refused is tried again; what is done is let be.
  const before = { puts: putsIn(sandbox), creations: creationsIn(sandbox) }
  await cut.close()
  await isOld(join(dir, 'B3.mov'))
  const again = follow(place)
  t.strictSame(await again.ended, { done: 2, unfinished: 0, failed: 3 })
  t.strictSame(again.names('done').sort(), [refused, 'B3.mov'])
  t.strictSame(again.names('failed').sort(), ['B0.mov', 'B1.mov', 'B2.mov'])
  t.equal(creationsIn(sandbox) - before.creations, 2)
  const parts = Math.ceil((contents.get(refused) as Buffer).length / 1_000)
  t.equal(putsIn(sandbox) - before.puts, parts + 1)

  const third = follow(place)
  await third.ended
  t.strictSame(third.names('begun'), [])
  t.equal(creationsIn(sandbox) - before.creations, 2)
})

t.test('the four oldest at a time; and told to end, what is under way is over', async t => {
  const place = await placeFor(t)
  const { sandbox, dir } = place
  const files = await Promise.all(
    ['c', 'a', 'f', 'b', 'e', 'd'].map(async (name, index) => {
      const path = join(dir, `${name}.wav`)
      const file = await open(path, 'w')
      t.teardown(() => file.close())
      await file.write(bytes(3_500))
      await isOld(path, 1_000 - index)
      return file
    }),
  )
  const { ended, names, ending } = follow(place, { isOnce: false, idle: 60_000 })
  await until(() => putsIn(sandbox) === 8)
  t.strictSame(names('begun').sort(), ['a.wav', 'b.wav', 'c.wav', 'f.wav'])
  ending.abort()
  t.strictSame(await ended, { done: 4, unfinished: 0, failed: 0 })
  t.equal(creationsIn(sandbox), 4)
  for (const asset of assetsIn(sandbox)) {
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(await readFile(join(dir, asset.name))))
  }
  t.equal(files.length, 6)
})

t.test(
  'what comes while it runs goes up while it grows, under its name when it has one',
  async t => {
    const place = await placeFor(t)
    const { sandbox, dir, root } = place
    await oldFile(join(dir, '.hidden.mov'), bytes(10))
    await oldFile(join(dir, 'A1.mov.part'), bytes(10))
    await mkdir(join(dir, 'sub'))
    await oldFile(join(dir, 'sub', 'A2.mov'), bytes(10))
    const { ended, names, ending, events } = follow(place, { isOnce: false })
    const path = join(dir, 'live.mp4')
    const file = await open(path, 'w')
    await file.write(bytes(2_500))
    await until(() => putsIn(sandbox) === 1, 'the second part, for the head goes last')
    await rename(path, join(dir, 'renamed.mp4'))
    await rename(join(dir, 'A1.mov.part'), join(dir, 'A1.mov'))
    await until(() => names('done').length === 1)
    await rename(dir, join(root, 'away'))
    await until(() => names('done').length === 1 && events.some(({ t }) => t === 'gone'))
    await rename(join(root, 'away'), dir)
    await until(() => events.some(({ t }) => t === 'back'))
    await file.write(bytes(1_000))
    await file.close()
    await until(() => names('done').length === 2)
    // Long enough for two more looks at what was renamed.
    await new Promise(resolve => setTimeout(resolve, 2_500))
    ending.abort()
    t.strictSame(
      events.filter(({ t }) => t === 'failed'),
      [],
    )
    t.strictSame(await ended, { done: 2, unfinished: 0, failed: 0 })
    t.strictSame(names('begun').sort(), ['A1.mov', 'live.mp4'])
    t.equal(events.filter(({ t }) => t === 'gone').length, 1)
    t.equal(creationsIn(sandbox), 2)
  },
)

t.test('what was cut off goes on where it was', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  const path = join(dir, 'A001.mov')
  const file = await open(path, 'w')
  await file.write(bytes(4_500))
  const { ended, aborting } = follow(place)
  await until(() => putsIn(sandbox) === 3)
  const [asset] = assetsIn(sandbox) as [SandboxAsset]
  await until(() => asset.parts.filter(({ stored }) => stored).length === 3)
  await until(() => journalsIn(spool).split('"stored"').length === 4, 'the journal to have it')
  aborting.abort()
  await t.rejects(ended, { name: 'AbortError' })
  t.strictSame((await readdir(spool)).sort(), [asset.id, 'followed.journal', 'followed.lock'])
  await file.write(bytes(3_000))
  await file.close()
  await isOld(path)
  const again = follow(place)
  t.strictSame(await again.ended, { done: 1, unfinished: 0, failed: 0 })
  t.strictSame(again.names('resumed'), ['A001.mov'])
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(await readFile(path)))
  t.strictSame(
    asset.parts.map(({ puts }) => puts),
    [1, 1, 1, 1, 1, 1, 1, 1],
  )
  t.equal(creationsIn(sandbox), 1)
  t.strictSame((await readdir(spool)).sort(), ['followed.journal', 'followed.lock'])
})

t.test('what a resume finishes in the spool of a folder is done there', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  const path = join(dir, 'A001.mov')
  const file = await open(path, 'w')
  await file.write(bytes(4_500))
  const { ended, aborting, client } = follow(place)
  await until(() => putsIn(sandbox) === 3)
  aborting.abort()
  await t.rejects(ended, { name: 'AbortError' })
  await file.close()
  await isOld(path)
  const all: Resumed[] = []
  for await (const one of resumeUploads({ dir: spool, client })) all.push(one)
  t.match(all, [{ bytes: 4_500, parts: 5 }])
  const again = follow(place)
  t.strictSame(await again.ended, { done: 0, unfinished: 0, failed: 0 })
  t.strictSame(again.events, [])
  t.equal(creationsIn(sandbox), 1)
})

t.test('a file that was changed after it was done is a new take', async t => {
  const place = await placeFor(t)
  const { sandbox, dir } = place
  const path = join(dir, 'A001.mov')
  await oldFile(path, bytes(1_500))
  await follow(place).ended
  await rename(path, join(dir, 'B001.mov'))
  const renamed = follow(place)
  t.strictSame(await renamed.ended, { done: 0, unfinished: 0, failed: 0 }, 'it is the same')
  await appendFile(join(dir, 'B001.mov'), bytes(10))
  await oldFile(path, bytes(700))
  await follow(place).ended
  t.equal(creationsIn(sandbox), 3, 'two that are new')
  await oldFile(path, bytes(800), 1_800)
  const changed = follow(place)
  t.strictSame(await changed.ended, { done: 1, unfinished: 0, failed: 0 })
  t.strictSame(changed.names('changed'), ['A001.mov'])
  const hashes = assetsIn(sandbox).map(({ sha256 }) => sha256)
  t.ok(hashes.includes(sha256(await readFile(path))))
})

t.test('an asset that holds nothing is deleted, or filled by the next try', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  await oldFile(join(dir, 'A001.mov'), bytes(1_500))
  sandbox.faults.add({ on: 'register', do: { status: 422 } })
  const { ended, events } = follow(place)
  t.strictSame(await ended, { done: 0, unfinished: 0, failed: 1 })
  t.match(events.at(-1), { t: 'failed', name: 'A001.mov', left: /was deleted/ })
  t.strictSame(assetsIn(sandbox), [])
  t.strictSame((await readdir(spool)).sort(), ['followed.journal', 'followed.lock'])

  sandbox.faults.add({ on: 'register', do: { status: 422 } }, { on: 'delete', do: { status: 403 } })
  const kept = follow(place)
  await kept.ended
  t.match(kept.events.at(-1), { t: 'failed', left: /could not be deleted/ })
  const [asset] = assetsIn(sandbox) as [SandboxAsset]
  const again = follow(place)
  t.strictSame(await again.ended, { done: 1, unfinished: 0, failed: 0 })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(await readFile(join(dir, 'A001.mov'))))
  t.equal(creationsIn(sandbox), 2)
})

t.test('what is left of an upload that is done, and damaged, holds up no other', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  await oldFile(join(dir, 'A001.mov'), bytes(1_500))
  await follow(place).ended
  const [asset] = assetsIn(sandbox) as [SandboxAsset]
  await mkdir(join(spool, asset.id))
  const journal = join(spool, asset.id, 'journal')
  await writeFile(journal, `rotten\n${lineOf({ t: 'done' }, 7)}`)
  await oldFile(join(dir, 'A002.mov'), bytes(1_500))
  const { ended, events } = follow(place)
  t.strictSame(await ended, { done: 1, unfinished: 0, failed: 0 })
  const error = { code: 'ERR_SPOOL_DAMAGED' }
  t.match(events[0], { t: 'failed', name: 'A001.mov', assetId: asset.id, error, left: /remove it/ })
  t.ok(existsSync(journal))
})

t.test('a second process on a spool is refused', async t => {
  const place = await placeFor(t)
  const { ended, ending } = follow(place, { isOnce: false })
  await until(() => existsSync(join(place.spool, 'followed.lock')))
  await t.rejects(follow(place).ended, { code: 'ERR_SPOOL_IN_USE' })
  ending.abort()
  await ended
})

t.test('what a crash may leave: an asset without a number, an empty one, a journal', async t => {
  const place = await placeFor(t)
  const { sandbox, dir, spool } = place
  const content = bytes(1_500)
  for (const name of ['asked.mov', 'begun.mov', 'done.mov']) await oldFile(join(dir, name), content)
  const begun = sandbox.createAsset({ name: 'begun.mov', filetype: 'video/quicktime' })
  const origin = new URL(sandbox.url).origin
  const ledger = await Ledger.open({ dir: spool, origin, disk: realDisk, lock })
  const factsOf = async (name: string) => {
    const path = join(dir, name)
    const { dev, ino, size, mtimeNs } = await stat(path, { bigint: true })
    const id = { dev: String(dev), ino: String(ino) }
    return { path, ...id, size: Number(size), mtime: String(mtimeNs) }
  }
  await ledger.add({ ...(await factsOf('asked.mov')), t: 'creating' })
  await ledger.add({ ...(await factsOf('begun.mov')), t: 'begun', assetId: begun.id })
  await ledger.add({ ...(await factsOf('done.mov')), t: 'done', assetId: DONE })
  const gone = { ...(await factsOf('done.mov')), path: join(dir, 'gone.mov'), ino: '0' }
  await ledger.add({ ...gone, t: 'begun', assetId: GONE })
  await ledger.close()
  // Killed before its journal was removed.
  await mkdir(join(spool, DONE))
  await writeFile(join(spool, DONE, 'journal'), '')
  const { ended, names } = follow(place)
  t.strictSame(await ended, { done: 2, unfinished: 0, failed: 0 })
  t.strictSame(names('nameless'), ['asked.mov'])
  t.strictSame(names('missing'), ['gone.mov'])
  t.strictSame([names('begun'), names('resumed')], [['asked.mov'], ['begun.mov']])
  await begun.whenUploaded()
  t.equal(begun.sha256, sha256(content), 'the empty one is filled')
  t.equal(creationsIn(sandbox), 1)
  t.strictSame((await readdir(spool)).sort(), ['followed.journal', 'followed.lock'])
})

const DONE = '00000000-0000-4000-8000-000000000001'
const GONE = '00000000-0000-4000-8000-000000000002'
