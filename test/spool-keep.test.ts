/**
 * `spool.keep`: what was uploaded stays on the disk, as one file a take.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import t from 'tap'
import { LIMITS_DOOR } from '../lib/frameio/protocol.ts'
import {
  FrameioClient,
  finishWav,
  type RealtimeUploadOptions,
  type Resumed,
  resumeUploads,
} from '../lib/index.ts'
import type { Sandbox } from '../lib/sandbox/index.ts'
import { realDisk } from '../lib/spool/disk.ts'
import { partFile } from '../lib/spool/folder.ts'
import type { KeptFile, MendKept } from '../lib/spool/home.ts'
import { type Entry, lineOf, opening } from '../lib/spool/journal.ts'
import { Kept, keptNameOf } from '../lib/spool/kept.ts'
import { listUploads } from '../lib/spool/list.ts'
import { type PartOwner, SpoolPart } from '../lib/spool/spool-part.ts'
import type { Unfinished } from '../lib/spool/unfinished.ts'
import { BlockAccount, BlockPool } from '../lib/upload/blocks.ts'
import { LyingDisk } from './support/lying-disk.ts'
import {
  bytes,
  endOf,
  QUICK,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from './support/sandboxes.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'
import { openUnfinished } from './support/unfinished.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

const setUp = async (t: Teardown) => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await mkdtemp(join(tmpdir(), 'keep-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return { sandbox, dir, spool: { dir, keepFree: 0, syncEvery: 20, keep: true } }
}

const resumeAll = async (t: Teardown, sandbox: Sandbox, dir: string): Promise<Resumed[]> => {
  const client = new FrameioClient({
    token: sandbox.token,
    baseUrl: sandbox.url,
    retry: QUICK,
    ...{ [LIMITS_DOOR]: SMALL },
  })
  t.teardown(() => client.close())
  const all: Resumed[] = []
  for await (const one of resumeUploads({ dir, client })) all.push(one)
  return all
}

/** Uploads all of it; the name of the only file that is left then. */
const take = async (
  sandbox: Sandbox,
  dir: string,
  data: Buffer,
  options: Partial<RealtimeUploadOptions>,
) => {
  const { upload, asset, seen } = smallUpload(sandbox, options)
  upload.end(data)
  const error = await endOf(upload)
  if (error) throw error
  const folder = join(dir, options.assetId ?? asset.id)
  return { upload, asset, seen, folder, names: (await readdir(folder)).sort() }
}

t.test('what was uploaded stays as it was written, and nothing else does', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  for (const size of [1, 999, 1_000, 1_001, 2_000, 5_000, 23_456]) {
    const data = bytes(size)
    const { upload, asset, seen, folder, names } = await take(sandbox, dir, data, { spool })
    const path = join(folder, `${asset.id}.mp4`)
    t.strictSame(names, [`${asset.id}.mp4`])
    t.ok((await readFile(path)).equals(data), `${size} bytes`)
    t.equal((await stat(path)).mode & 0o777, 0o600)
    t.match(upload.result, { bytes: size, kept: { path, missing: [] } })
    t.equal(upload.progress.bytesSpooled, 0, 'nothing waits')
    t.strictSame(seen.warning, [])
  }
  t.strictSame(await listUploads(dir), [], 'and none of it is unfinished')
  t.strictSame(await resumeAll(t, sandbox, dir), [])
})

t.test('a WAV that stays has the head that Frame.io has', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const wav = Buffer.concat([
    Buffer.from('RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0', 'latin1'),
    Buffer.from('\x80\xbb\0\0\0\x77\x01\0\x02\0\x10\0data\xff\xff\xff\xff', 'latin1'),
    bytes(3_000),
  ])
  for (const isCutOff of [false, true]) {
    const { upload, asset, seen } = smallUpload(sandbox, { spool, lateHead: finishWav })
    upload.write(wav)
    await until(() => upload.progress.bytesDurable === wav.length)
    if (isCutOff) {
      upload.destroy(new Error('cut off'))
      await endOf(upload)
      t.match(await resumeAll(t, sandbox, dir), [{ kept: { missing: [] } }])
    } else {
      upload.end()
      t.equal(await endOf(upload), undefined)
    }
    t.strictSame(seen.warning, [])
    await asset.whenUploaded()
    const [name = ''] = await readdir(join(dir, asset.id))
    const kept = await readFile(join(dir, asset.id, name))
    t.equal(sha256(kept), asset.sha256)
    t.equal(kept.readUInt32LE(4), wav.length - 8)
  }
})

t.test('it has the name that is given, or the asset is given', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const rows: [Partial<RealtimeUploadOptions>, string][] = [
    [{ assetName: 'A001_C001.mov' }, 'A001_C001.mov'],
    [{ assetName: 'A001.mov', spool: { ...spool, keep: 'B001.mov' } }, 'B001.mov'],
    [{ assetName: '../../etc/passwd.mp4' }, '__.._etc_passwd.mp4'],
    [{ spool: { ...spool, keep: 'journal' } }, '_journal'],
  ]
  for (const [options, name] of rows) {
    const data = bytes(1_500)
    const { folder, names } = await take(sandbox, dir, data, { spool, ...options })
    t.strictSame(names, [name])
    t.ok((await readFile(join(folder, name))).equals(data))
  }
  for (const name of ['lock', 'Reserve', 'journal.torn', '00001.part', '00017.part.torn']) {
    t.equal(keptNameOf(name), `_${name}`)
  }
  t.ok(Buffer.byteLength(`${keptNameOf('é'.repeat(300))} (9999).incomplete`) <= 255)
})

t.test('a second take of an asset is not refused, and leaves the first as it is', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const keep = { ...spool, keep: 'clip.mp4' }
  const [first, second, third] = [bytes(2_500), bytes(3_500), bytes(1_500)]
  const { folder, asset } = await take(sandbox, dir, first, { spool: keep })
  await asset.whenUploaded()
  // As if the asset took another: what matters here is the folder.
  const other = sandbox.createAsset({ name: 'clip.mp4', filetype: 'video/mp4' })
  await mkdir(join(dir, other.id))
  await writeFile(join(dir, other.id, 'clip.mp4'), first)
  const again = await take(sandbox, dir, second, { spool: keep, assetId: other.id })
  t.strictSame(again.names, ['clip (2).mp4', 'clip.mp4'])
  t.ok((await readFile(join(again.folder, 'clip (2).mp4'))).equals(second))
  t.ok((await readFile(join(again.folder, 'clip.mp4'))).equals(first))
  t.ok((await readFile(join(folder, 'clip.mp4'))).equals(first))
  const last = sandbox.createAsset({ name: 'clip.mp4', filetype: 'video/mp4' })
  await mkdir(join(dir, last.id))
  await writeFile(join(dir, last.id, 'CLIP.mp4'), first)
  const unkept = await take(sandbox, dir, third, {
    spool: { ...spool, keep: false },
    assetId: last.id,
  })
  t.strictSame(unkept.names, ['CLIP.mp4'], 'a take that does not stay leaves it as well')
})

t.test('a take that was cut off stays once it is resumed', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const data = bytes(7_300)
  // Some of it is stored before, and some is not.
  sandbox.faults.add({ on: 'put', nth: 4, times: Infinity, do: { hang: 'answer' } })
  const { upload, asset } = smallUpload(sandbox, { spool, assetName: 'clip.mp4' })
  upload.write(data)
  await until(() => upload.progress.bytesDurable === data.length, 'all to be durable')
  await until(() => upload.progress.partsUploaded === 3, 'three parts to be stored')
  upload.destroy(new Error('cut off'))
  await endOf(upload)
  sandbox.faults.clear()
  const folder = join(dir, asset.id)
  t.ok((await readdir(folder)).includes('clip.mp4.partial'))
  t.match(await listUploads(dir), [{ assetId: asset.id, bytes: 4_300, bytesStored: 3_000 }])
  const path = join(folder, 'clip.mp4')
  const [resumed] = await resumeAll(t, sandbox, dir)
  t.strictSame(resumed, {
    assetId: asset.id,
    bytes: 7_300,
    parts: 8,
    kept: { path, missing: [] },
  })
  await asset.whenUploaded()
  t.ok((await readFile(path)).equals(data))
  t.strictSame(await readdir(folder), ['clip.mp4'])
})

t.test('maxBytes bounds what waits, and not what stays', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const data = bytes(60_000)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  const { upload, asset, seen } = smallUpload(sandbox, {
    spool: { ...spool, maxBytes: 6_000 },
    memoryLimit: 100_000,
    retry: { giveUpAfter: 60_000, minDelay: 1, maxDelay: 5 },
  })
  upload.end(data)
  await until(() => seen.warning.length > 0, 'the warning')
  t.match(seen.warning, [{ code: 'SPOOL_FULL' }])
  sandbox.faults.clear()
  t.equal(await endOf(upload), undefined)
  t.ok((await readFile(join(dir, asset.id, `${asset.id}.mp4`))).equals(data))
  t.strictSame(upload.result?.kept?.missing, [], 'what went up from memory is there as well')
})

t.test(
  'what a full disk did not take is named, and the rest stays',
  { skip: noSmallDisk },
  async t => {
    const { sandbox } = await setUp(t)
    const dir = smallDisk(t, 2 ** 20 + 64 * 1024)
    sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
    const { upload, asset, seen } = smallUpload(sandbox, {
      spool: { dir, keepFree: 0, syncEvery: 20, keep: true },
      partSize: 10_000,
      memoryLimit: 100_000,
      retry: { giveUpAfter: 60_000, minDelay: 100, maxDelay: 100 },
    })
    const data = bytes(1_300_000)
    upload.end(data)
    await until(() => seen.warning.length > 0, 'the warning')
    sandbox.faults.clear()
    t.equal(await endOf(upload), undefined)
    await asset.whenUploaded()
    const { path, missing } = upload.result?.kept ?? { path: '', missing: [] }
    t.equal(path, join(dir, asset.id, `${asset.id}.mp4.incomplete`))
    t.strictSame(await readdir(join(dir, asset.id)), [`${asset.id}.mp4.incomplete`])
    t.ok(missing.length > 0)
    const [{ from, to } = { from: 0, to: 0 }] = missing
    const said = seen.warning.find(({ code }) => code === 'SPOOL_NOT_KEPT')?.message
    t.match(said, new RegExp(`${asset.id}.mp4.incomplete lacks bytes ${from} to ${to}`))
    const kept = await readFile(path)
    for (const range of missing) data.copy(kept, range.from, range.from, range.to)
    t.ok(kept.equals(data), 'and all else is what was written')
  },
)

t.test('a disk that fails at the end keeps all for a resume, and that is said', async t => {
  const { sandbox, dir, spool } = await setUp(t)
  const data = bytes(3_300)
  const { rename } = realDisk
  t.teardown(() => Object.assign(realDisk, { rename }))
  Object.assign(realDisk, { rename: () => Promise.reject(new Error('EIO: of the test')) })
  const { upload, asset, seen } = smallUpload(sandbox, { spool, assetName: 'clip.mp4' })
  upload.end(data)
  t.equal(await endOf(upload), undefined, 'Frame.io has it')
  await asset.whenUploaded()
  t.match(seen.warning, [{ code: 'SPOOL_NOT_KEPT', message: /EIO: of the test.*resumeUploads/ }])
  t.notOk('kept' in (upload.result ?? {}))
  Object.assign(realDisk, { rename })
  const requests = sandbox.requests.length
  const path = join(dir, asset.id, 'clip.mp4')
  t.match(await resumeAll(t, sandbox, dir), [{ bytes: 3_300, kept: { path, missing: [] } }])
  t.equal(sandbox.requests.length, requests, 'which sends nothing')
  t.ok((await readFile(path)).equals(data))
  t.strictSame(await readdir(join(dir, asset.id)), ['clip.mp4'])
})

const FOLDER = '/spool/asset'
const lock = async () => ({ release: async () => {} })

/** A take of three parts that was cut off, over a disk that is prepared. */
const diskWith = (entries: readonly Entry[], file: Buffer, keep = 'clip.mp4'): LyingDisk => {
  const open = opening({
    assetId: 'asset',
    filetype: 'video/mp4',
    origin: 'https://api.frame.io',
    partSize: 1_000,
    maxSize: 1e9,
    keep,
  })
  const journal = [open, ...entries].map(entry => lineOf(entry, 0)).join('')
  return LyingDisk.of(
    new Map([
      [`${FOLDER}/journal`, Buffer.from(journal)],
      [`${FOLDER}/clip.mp4.partial`, file],
    ]),
  )
}

const part = (n: number, data: Buffer): Entry => ({
  t: 'part',
  n,
  size: data.length,
  crc: crc32(data),
})

/** Sends what is left of it, and is done. */
const finish = async (disk: LyingDisk, mend?: MendKept) => {
  const unfinished = (await openUnfinished({ folder: FOLDER, disk, lock })) as Unfinished
  await unfinished.end()
  const sent: Buffer[] = []
  for await (const part of unfinished.parts(error => t.fail(error.message))) {
    for await (const chunk of part.body()) sent.push(Buffer.from(chunk))
    part.release(true)
  }
  return { kept: await unfinished.finish(mend), sent: Buffer.concat(sent) }
}

t.test('what went up from memory before a crash is a hole, and is named', async t => {
  const data = bytes(2_400)
  const [one, two, three] = [0, 1, 2].map(n => data.subarray(n * 1_000, (n + 1) * 1_000)) as [
    Buffer,
    Buffer,
    Buffer,
  ]
  const memory: Entry[] = [
    { t: 'mem', n: 2, size: 1_000 },
    { t: 'stored', n: 2, size: 1_000 },
  ]
  const file = Buffer.concat([one, Buffer.alloc(1_000), three])
  const disk = diskWith([part(1, one), ...memory, part(3, three)], file)
  const path = `${FOLDER}/clip.mp4.incomplete`
  const { kept, sent } = await finish(disk)
  t.strictSame(kept, { path, missing: [{ from: 1_000, to: 2_000 }] })
  t.ok(sent.equals(Buffer.concat([one, three])))
  t.strictSame([...disk.files.keys()], [path])
  t.ok(disk.files.get(path)?.equals(file))
  // Written since, from memory: the journal says so.
  const late = diskWith([part(1, one), ...memory, part(2, two), part(3, three)], data)
  t.strictSame((await finish(late)).kept, { path: `${FOLDER}/clip.mp4`, missing: [] })
  t.ok(late.files.get(`${FOLDER}/clip.mp4`)?.equals(data))
})

t.test('what Frame.io has another head of is mended before its journal goes', async t => {
  const data = bytes(500)
  const disk = diskWith([part(1, data)], data)
  const mended: string[] = []
  const mend = async ({ path }: KeptFile) => {
    if (mended.push(path) === 1) throw new Error('EIO: of the test')
  }
  await t.rejects(finish(disk, mend), { message: /EIO/ })
  t.ok(disk.files.has(`${FOLDER}/journal`), 'whoever resumes does it again')
  const path = `${FOLDER}/clip.mp4`
  const unfinished = (await openUnfinished({ folder: FOLDER, disk, lock })) as Unfinished
  t.strictSame(await unfinished.finish(mend), { path, missing: [] })
  t.strictSame(mended, [path, path])
  t.strictSame([...disk.files.keys()], [path])
})

t.test('a part that is stored while it is written is not written as what others make of it', t => {
  const disk = new LyingDisk()
  const kept = new Kept({ folder: FOLDER, disk, name: 'a', keepFree: 0, memoryLimit: 1_000 })
  const memory = new BlockAccount(new BlockPool(1_000, 512))
  const owner = {} as PartOwner
  const stored = [1, 2, 3].map(n => {
    kept.begin(1_000)
    return new SpoolPart({ n, size: 1_000, path: partFile(FOLDER, n), disk, memory, owner })
  }) as [SpoolPart, SpoolPart, SpoolPart]
  const [one, two, three] = stored
  t.ok(kept.wants(one))
  t.notOk(kept.giveSpare(), 'memory is short, and one part may stay')
  two.isBeingWritten = true
  t.ok(kept.wants(two), 'its memory is being read')
  t.notOk(kept.wants(three))
  t.end()
})

t.test(
  'what lacks a part has its length before its name, and nothing is written to it later',
  async t => {
    const disk = new LyingDisk()
    const kept = new Kept({ folder: FOLDER, disk, name: 'a', keepFree: 0, memoryLimit: 5_000 })
    const memory = new BlockAccount(new BlockPool(5_000, 512))
    const owner = { onPushed() {} } as unknown as PartOwner
    kept.begin(1_000)
    const part = new SpoolPart({
      n: 1,
      size: 1_000,
      path: partFile(FOLDER, 1),
      disk,
      memory,
      owner,
    })
    part.push(bytes(1_000), 0, 1_000)
    t.ok(kept.wants(part))
    const path = `${FOLDER}/a.incomplete`
    t.strictSame(await kept.conclude(1_000), { path, missing: [{ from: 0, to: 1_000 }] })
    const named = disk.calls.findIndex(({ t }) => t === 'rename') + 1
    // A name may be durable before the call that makes it so.
    let isName = true
    const left = disk.crash(named, 'torn at 512', () => {
      const fate = isName ? 0 : 0.9
      isName = false
      return fate
    })
    t.strictSame(
      [...left].map(([name, { length }]) => ({ name, length })),
      [{ name: path, length: 1_000 }],
    )
    t.equal(await kept.catchUp(), undefined)
    t.strictSame([...disk.files.keys()], [path])
  },
)

t.test('what stands behind a gap is set aside, and never taken for what follows', async t => {
  const data = Buffer.alloc(3_000, 7) // The same everywhere: its place alone tells what is what.
  const marks = (n: number, ...ats: number[]): Entry[] =>
    ats.map(at => ({
      t: 'mark',
      n,
      at,
      crc: crc32(data.subarray(0, at)),
      whole: at === 1_000 || undefined,
    }))
  const torn = Buffer.from(data)
  torn.fill(0, 1_400, 2_000)
  const disk = diskWith(
    [part(1, data.subarray(0, 1_000)), ...marks(2, 300, 1_000), ...marks(3, 500)],
    torn,
  )
  const opened = (await openUnfinished({ folder: FOLDER, disk, lock })) as Unfinished
  t.same(opened.whole, { parts: 2, bytes: 1_300 })
  t.ok(disk.files.get(`${FOLDER}/00003.part.torn`)?.equals(torn.subarray(2_000)))
  await opened.close()
  const { kept, sent } = await finish(disk)
  t.strictSame(kept, { path: `${FOLDER}/clip.mp4`, missing: [] })
  t.equal(sent.length, 1_300)
  t.ok(disk.files.get(`${FOLDER}/clip.mp4`)?.equals(data.subarray(0, 1_300)))
})

t.test('bytes that rotted are found before they are sent, and stay', async t => {
  const data = bytes(2_000)
  const entries = [part(1, data.subarray(0, 1_000)), part(2, data.subarray(1_000))]
  const rotten = Buffer.from(data)
  rotten[1_700] = (rotten[1_700] as number) ^ 1
  const disk = diskWith(entries, rotten)
  const unfinished = (await openUnfinished({ folder: FOLDER, disk, lock })) as Unfinished
  await unfinished.end()
  const damages: Error[] = []
  for await (const { ready } of unfinished.parts(error => damages.push(error))) await ready
  t.match(damages, [{ code: 'ERR_SPOOL_DAMAGED' }])
  await unfinished.close()
  t.ok(disk.files.get(`${FOLDER}/clip.mp4.partial`)?.equals(rotten))
})

t.test('whoever can write to a journal does not choose where a file is written', async t => {
  const data = bytes(500)
  const disk = diskWith([part(1, data)], data, '../../etc/cron.d/x')
  await t.rejects(finish(disk), { code: 'ERR_SPOOL_INCOMPLETE' })
  for (const path of disk.files.keys()) t.match(path, /^\/spool\/asset\/[^/]+$/)
})

t.test('what makes no sense is refused by name', async t => {
  const { sandbox, dir } = await setUp(t)
  for (const spool of [
    { dir, keep: '' },
    { dir, keep: 1 },
    { dir, keep: true, durable: false },
    { dir, keep: 'clip.mp4', durable: false },
  ]) {
    const made = () => smallUpload(sandbox, { spool } as never)
    t.throws(made, { code: 'ERR_INVALID_OPTION', option: 'spool.keep' })
    if ('durable' in spool) t.throws(made, { message: /spool\.keep.*spool\.durable: false/ })
  }
})
