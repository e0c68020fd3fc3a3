/**
 * Which files of a folder are meant, what is done with each, and what is remembered of them.
 */
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { lock } from '../lib/lock.ts'
import { forget } from '../lib/sources/folder-file.ts'
import { type Found, judge, type Verdict } from '../lib/sources/judge.ts'
import { matcher, mediaTypeOf } from '../lib/sources/media-files.ts'
import { isPassing } from '../lib/sources/passing.ts'
import { realDisk } from '../lib/spool/disk.ts'
import { lineOf, opening } from '../lib/spool/journal.ts'
import { type FileRecord, Ledger } from '../lib/spool/ledger.ts'

t.test('without a pattern it is what has a media type by its name', async t => {
  const isMeant = matcher([])
  for (const name of ['A001.mov', 'A001.MOV', 'x.wav', 'a b.mxf', '2026.01.mp4'])
    t.ok(isMeant(name), name)
  const others = ['.A001.mov', 'A001', 'mov', 'A001.mov.part', 'A001.mov.tmp', 'A.mp4.crdownload']
  for (const name of [...others, 'A001.mov.!ut', 'A001.mov.filepart', ''])
    t.notOk(isMeant(name), name)
  t.equal(mediaTypeOf('/x/A001.MOV'), 'video/quicktime')
  t.equal(mediaTypeOf('/x/A001.r3d'), 'application/octet-stream')
})

t.test('a pattern means names, in large and small letters', async t => {
  const isMeant = matcher(['*.mov', 'take?.r3d', '(a+b).[x]'])
  for (const name of ['A.mov', 'A.MOV', 'take1.R3D', '(A+B).[X]']) t.ok(isMeant(name), name)
  for (const name of ['A.mov.part', '.A.mov', 'take12.r3d', 'Amov', 'aab.x'])
    t.notOk(isMeant(name), name)
  t.ok(matcher(['*\u00e9*'])('Cafe\u0301.mov'), 'however it is written')
  t.ok(matcher(['*'])('no-extension'))
})

const FILE = { path: '/in/A.mov', dev: '1', ino: '2', size: 10, mtime: '5' }
const BEGUN: FileRecord = { ...FILE, t: 'begun', assetId: 'a' }
const DONE: FileRecord = { ...FILE, t: 'done', assetId: 'a' }
const FAILED = { file: FILE, isPassing: false, at: 0 }

const CASES: readonly [string, Partial<Found>, Verdict][] = [
  ['a new one', {}, 'begin'],
  ['a new one that is over', { isOver: true }, 'begin'],
  ['an empty one', { file: { ...FILE, size: 0 } }, 'wait'],
  ['an empty one that is over', { file: { ...FILE, size: 0 }, isOver: true }, 'empty'],
  ['done', { record: DONE }, 'done'],
  ['done, with another number', { record: { ...DONE, dev: '9', ino: '9' } }, 'done'],
  ['done, under another name', { record: { ...DONE, path: '/in/B.mov' } }, 'done'],
  ['changed after it was done', { record: { ...DONE, mtime: '4' } }, 'wait'],
  ['and over again', { record: { ...DONE, mtime: '4' }, isOver: true }, 'again'],
  ['grown after it was done, and over', { record: { ...DONE, size: 9 }, isOver: true }, 'again'],
  ['begun', { record: BEGUN }, 'go on'],
  ['begun, and grown since', { record: { ...BEGUN, size: 3 } }, 'go on'],
  ['asked for', { record: { ...FILE, t: 'creating' } }, 'begin'],
  ['failed before, without an asset', { record: { ...FILE, t: 'failed' } }, 'begin'],
  ['failed before, with one', { record: { ...BEGUN, t: 'failed' } }, 'go on'],
  ['failed before, for good', { record: { ...BEGUN, t: 'failed', isLost: true } }, 'begin'],
  ['failed now', { failure: FAILED, now: 1e9, isOver: true }, 'done'],
  ['failed now, and is changed', { failure: FAILED, file: { ...FILE, size: 11 } }, 'wait'],
  [
    'failed now, was changed, and is over',
    { failure: FAILED, file: { ...FILE, size: 11 }, isOver: true },
    'begin',
  ],
  ['was empty, and is no more', { failure: { ...FAILED, file: { ...FILE, size: 0 } } }, 'begin'],
  ['what passes, at once', { failure: { ...FAILED, isPassing: true }, now: 59_999 }, 'done'],
  ['what passes, later', { failure: { ...FAILED, isPassing: true }, now: 60_000 }, 'begin'],
  [
    'what passes, later, where it has grown',
    {
      failure: { ...FAILED, isPassing: true },
      record: BEGUN,
      now: 60_000,
      file: { ...FILE, size: 11 },
    },
    'go on',
  ],
  [
    'what passes, once',
    { failure: { ...FAILED, isPassing: true }, now: 60_000, isOnce: true },
    'done',
  ],
]

t.test('what is done with a file', async t => {
  const found = { file: FILE, record: undefined, failure: undefined, isOver: false, now: 0 }
  for (const [name, facts, verdict] of CASES)
    t.equal(judge({ ...found, isOnce: false, ...facts }), verdict, name)
})

t.test('what may pass by itself', async t => {
  const withCode = (code: string) => Object.assign(new Error(code), { code })
  for (const code of ['ERR_NETWORK', 'ERR_UNAUTHORIZED', 'ESTALE', 'ENOSPC', 'EMFILE', 'EINTR'])
    t.ok(isPassing(withCode(code)), code)
  for (const code of ['ERR_SOURCE_TRUNCATED', 'ERR_REQUEST_REJECTED', 'EACCES', 'ELOOP'])
    t.notOk(isPassing(withCode(code)), code)
  t.ok(isPassing(new Error('it', { cause: withCode('EIO') })))
})

const ledgerIn = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ledger-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const open = (origin = 'https://api.frame.io') =>
    Ledger.open({ dir, origin, disk: realDisk, lock })
  return { open, path: join(dir, 'followed.journal') }
}

t.test('what was remembered is known again, as far as it was durable', async t => {
  const { open, path } = await ledgerIn()
  const ledger = await open()
  await ledger.add(BEGUN)
  await ledger.add(DONE)
  await ledger.add({ ...BEGUN, path: '/in/B.mov', ino: '3' })
  await ledger.close()
  const before = await readFile(path)
  await appendFile(path, 'torn')
  const again = await open()
  t.match(again.of(FILE), { t: 'done', assetId: 'a' })
  t.match(again.of({ ...FILE, path: '/in/renamed.mov' }), { t: 'done' })
  t.match(again.of({ ...FILE, path: '/in/B.mov', ino: '7', size: 11 }), { t: 'begun' })
  t.equal(again.of({ ...FILE, path: '/in/new.mov', mtime: '6' }), undefined, 'its number again')
  t.equal([...again.records].length, 2)
  await again.close()
  t.strictSame(await readFile(path), before, 'what was torn is gone')
  const elsewhere = await open('http://127.0.0.1:1')
  t.equal(elsewhere.of(FILE), undefined, 'of another API')
  await elsewhere.close()
})

t.test('a recording of the same asset that waits in the spool is not forgotten', async t => {
  const dir = await mkdtemp(join(tmpdir(), 'forget-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const assetId = 'a1b2c3d4-0000-4000-8000-00000000000f'
  const folder = join(dir, assetId)
  const open = opening({
    ...{ assetId, filetype: 'video/mp4', origin: 'https://api.frame.io' },
    ...{ partSize: 10, maxSize: 100 },
  })
  for (const [bytes, left] of [
    ['footage', ['00001.part', 'journal', 'lock']],
    ['', []],
  ] as const) {
    await mkdir(folder, { recursive: true })
    const part = { t: 'part', n: 1, size: bytes.length, crc: crc32(bytes) }
    const lines = bytes === '' ? [open] : [open, part]
    await writeFile(join(folder, 'journal'), lines.map(line => lineOf(line, 0)).join(''))
    if (bytes !== '') await writeFile(join(folder, '00001.part'), bytes)
    await forget(dir, assetId)
    t.strictSame((await readdir(folder).catch(() => [])).sort(), left)
    await rm(folder, { recursive: true, force: true })
  }
})

t.test('what rotted is told of, and what a later version wrote', async t => {
  const { open, path } = await ledgerIn()
  const ledger = await open()
  await ledger.add(BEGUN)
  await ledger.add(DONE)
  await ledger.close()
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.replace('"begun"', '"begin"'))
  await t.rejects(open(), { code: 'ERR_SPOOL_DAMAGED', path })
  await writeFile(path, text.split('\n').slice(1).join('\n'))
  await t.rejects(open(), { code: 'ERR_SPOOL_DAMAGED', path, message: /knows more/ })
  await writeFile(path, text)
  await (await open()).close() // Neither left it locked.
})
