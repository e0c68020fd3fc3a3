/**
 * Files that are uploaded while another program writes them, through the public API.
 */
import {
  type FileHandle,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { GrownFile, unreadable } from '../lib/follow/grown-file.ts'
import {
  type FollowOptions,
  type RealtimeUploadOptions,
  type Resumed,
  resumeUploads,
  uploadFrom,
} from '../lib/index.ts'
import {
  bytes as anyBytes,
  clientFor,
  hashOf,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from './support/sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A file that is about to be written, and an upload that follows it until it is told to end. */
const setUp = async (t: Teardown, options: Partial<RealtimeUploadOptions> = {}) => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await mkdtemp(join(tmpdir(), 'follow-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const path = join(dir, 'A001.mov')
  const file = await open(path, 'w')
  t.teardown(() => file.close().catch(() => {}))
  const ending = new AbortController()
  const more = smallUpload(sandbox, options)
  const changed: (readonly number[])[] = []
  more.upload.on('changed', ({ partNumbers }) => changed.push(partNumbers))
  const follow = { headroom: 0, ended: ending.signal }
  const numbers = () => more.seen.part.map(({ number }) => number)
  return { ...more, sandbox, path, file, ending, follow, changed, numbers }
}

/** The last is not zero: at the end of a growing file it would not count. */
const bytes = (size: number): Buffer => {
  const data = anyBytes(size)
  data[size - 1] = 1
  return data
}

const append = async (file: FileHandle, chunk: Uint8Array): Promise<void> => {
  const { size } = await file.stat()
  await file.write(chunk, 0, chunk.length, size)
}

t.test('parts go up while the file grows, and the head goes last', async t => {
  const { asset, upload, path, file, ending, follow, numbers } = await setUp(t)
  const following = uploadFrom({ file: path, follow }, upload)
  const all = bytes(5_500)
  await append(file, all.subarray(0, 3_500))
  await until(() => numbers().length === 2)
  t.strictSame(numbers().sort(), [2, 3], 'stored before the file is over')
  t.equal(upload.progress.bytesReceived, 3_500)
  await append(file, all.subarray(3_500))
  await file.write(Buffer.from('patched'), 0, 7, 0)
  ending.abort()
  const { source, bytes: size, parts } = await following
  t.match({ source, size, parts }, { source: { ok: true, reason: 'told' }, size: 5_500, parts: 6 })
  t.equal(await hashOf(asset), sha256(await readFile(path)))
  t.equal(upload.progress.bytesResent, 0)
  const last = asset.parts.map(({ number, puts }) => [number, puts])
  t.strictSame(
    last,
    [1, 2, 3, 4, 5, 6].map(number => [number, 1]),
    'each was sent once',
  )
})

t.test('what was changed after it had been sent is sent again, before the head', async t => {
  const { asset, upload, path, file, ending, follow, numbers, changed } = await setUp(t)
  const following = uploadFrom({ file: path, follow: { ...follow, verify: 'all' } }, upload)
  await append(file, bytes(8_500))
  await until(() => numbers().length === 7)
  await file.write(Buffer.from('index'), 0, 5, 2_300)
  ending.abort()
  await following
  t.strictSame(changed, [[3]])
  t.equal(upload.progress.bytesResent, 1_000)
  t.equal(upload.progress.bytesUploaded, 8_500, 'no byte counts twice')
  t.equal(await hashOf(asset), sha256(await readFile(path)))
  t.equal(asset.parts[2]?.puts, 2)
  t.equal(numbers().at(-1) === 1 || numbers().at(-2) === 1, true, 'the head is among the last two')
})

t.test('a file that is there already is sent in ranges, and needs no end', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await mkdtemp(join(tmpdir(), 'follow-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  for (const size of [1, 999, 1_000, 1_001, 2_000, 2_001, 12_345]) {
    const file = join(dir, `${size}.mp4`)
    const all = bytes(size)
    await writeFile(file, all)
    const { upload, asset } = smallUpload(sandbox)
    const { source, parts } = await uploadFrom({ file }, upload)
    t.match({ source, parts }, { source: { ok: true }, parts: Math.ceil(size / 1_000) }, `${size}`)
    t.equal(await hashOf(asset), sha256(all))
  }
})

t.test('an empty file is an empty stream', async t => {
  const { upload, path, ending, follow } = await setUp(t)
  ending.abort()
  await t.rejects(uploadFrom({ file: path, follow }, upload), { code: 'ERR_EMPTY_STREAM' })
})

t.test('zeros count once something stands behind them, and at the end', async t => {
  const { asset, upload, path, file, ending, follow, numbers } = await setUp(t)
  await file.truncate(20_000)
  await file.write(bytes(2_500), 0, 2_500, 0)
  const following = uploadFrom({ file: path, follow }, upload)
  await until(() => numbers().length === 1)
  t.strictSame(numbers(), [2], 'of what was made large beforehand nothing is sent')
  await file.write(bytes(500), 0, 500, 7_000)
  await until(() => numbers().length === 6)
  await file.truncate(8_000)
  await file.close()
  ending.abort()
  await following
  t.equal(await hashOf(asset), sha256(await readFile(path)), 'with the zeros at its end')
  t.equal(asset.filesize, 8_000)
})

t.test(
  'of a file that was made large beforehand, told to be over, the zeros do not count',
  async t => {
    const { asset, upload, path, file, ending, follow } = await setUp(t)
    await file.truncate(20_000)
    await file.write(bytes(2_500), 0, 2_500, 0)
    ending.abort()
    await uploadFrom({ file: path, follow }, upload)
    await asset.whenUploaded()
    t.equal(asset.filesize, 2_500)
  },
)

t.test('told to be over, zeros that were written count: nobody makes so little room', async t => {
  const { asset, upload, path, file, ending, follow } = await setUp(t)
  await append(file, Buffer.concat([bytes(2_500), Buffer.alloc(9)]))
  ending.abort()
  await uploadFrom({ file: path, follow }, upload)
  t.equal(await hashOf(asset), sha256(await readFile(path)))
})

t.test('a file that is cut below what was sent is a clear error', async t => {
  const { asset, upload, path, file, follow, numbers } = await setUp(t)
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(5_500))
  await until(() => numbers().length === 4)
  await file.truncate(2_500)
  const error = { code: 'ERR_SOURCE_TRUNCATED', path, offset: 2_500 }
  await t.rejects(following, error)
  t.equal(asset.finals, 0)
})

t.test(
  'a file that is cut exactly behind a part that was sent: that is tried as the final one',
  async t => {
    const { upload, path, file, ending, follow, numbers } = await setUp(t)
    const following = uploadFrom({ file: path, follow }, upload)
    await append(file, bytes(3_500))
    await until(() => numbers().length === 2)
    await file.truncate(3_000)
    ending.abort()
    const error = {
      code: 'ERR_SOURCE_TRUNCATED',
      offset: 3_000,
      cause: { code: 'ERR_REQUEST_REJECTED' },
    }
    await t.rejects(following, error, 'the sandbox takes none of another kind')
  },
)

t.test('a file may appear late', async t => {
  const { asset, upload, path, follow, ending, numbers } = await setUp(t)
  const late = `${path}.late`
  const following = uploadFrom({ file: late, follow }, upload)
  await new Promise(resolve => setTimeout(resolve, 50)) // It is looked for, and is not there.
  await writeFile(late, bytes(3_234))
  await until(() => numbers().length > 0)
  ending.abort()
  await following
  t.equal(await hashOf(asset), sha256(await readFile(late)))
})

t.test('what never appears, or is no file, is a source that failed', async t => {
  const { path, sandbox, ending } = await setUp(t)
  const fails = async (file: string, follow: FollowOptions | true, message: RegExp) => {
    const { upload } = smallUpload(sandbox)
    const error = { code: 'ERR_SOURCE_FAILED', path: file, message }
    await t.rejects(uploadFrom({ file, follow }, upload), error)
  }
  const missing = `${path}.never`
  await fails(missing, { appear: 0 }, /no such file/)
  await fails(tmpdir(), true, /is a folder/)
  await fails('/dev/null', true, /is no file/)
  ending.abort()
  await fails(missing, { ended: ending.signal }, /no such file/)
})

t.test('another file of its name is told of, and the one that it was is followed', async t => {
  const { asset, upload, path, file, ending, follow, numbers, seen } = await setUp(t)
  const following = uploadFrom({ file: path, follow }, upload)
  const all = bytes(2_500)
  await append(file, all)
  await until(() => numbers().length === 1)
  await writeFile(`${path}.new`, 'another')
  await rename(`${path}.new`, path)
  await until(() => seen.warning.length === 1)
  t.match(seen.warning, [{ code: 'SOURCE_REPLACED' }])
  ending.abort()
  await following
  t.equal(await hashOf(asset), sha256(all))
})

t.test('with integrity each part is hashed as it is sent', async t => {
  const { asset, upload, path, file, ending, follow } = await setUp(t, { integrity: 'md5' })
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(3_500))
  ending.abort()
  await following
  t.equal(await hashOf(asset), sha256(await readFile(path)))
})

/** A network drive: from now on calls fail that are told to, by the byte they are about. */
const stale = (t: Teardown, path: string, fails: (at: number | undefined) => boolean) => {
  const { state, readInto } = GrownFile.prototype
  t.teardown(() => Object.assign(GrownFile.prototype, { state, readInto }))
  const error = Object.assign(new Error('ESTALE: of the test'), { code: 'ESTALE' })
  GrownFile.prototype.state = function () {
    return fails(undefined) ? Promise.reject(unreadable(path, error)) : state.call(this)
  }
  GrownFile.prototype.readInto = function (buffer, at) {
    return fails(at) ? Promise.reject(unreadable(path, error)) : readInto.call(this, buffer, at)
  }
}

t.test('a drive that hiccups as the file ends costs nothing but time', async t => {
  const retry = { giveUpAfter: Infinity, minDelay: 1, maxDelay: 5 }
  const { upload, asset, path, file, ending, follow, numbers, seen } = await setUp(t, { retry })
  const following = uploadFrom({ file: path, follow: { ...follow, verify: 'all' } }, upload)
  await append(file, bytes(5_500))
  await until(() => numbers().length === 4)
  await file.write(Buffer.from('index'), 0, 5, 2_300)
  const calls = new Map<number | undefined, number>()
  stale(t, path, at => {
    const times = (calls.get(at) ?? 0) + 1
    calls.set(at, times)
    return times <= 2
  })
  ending.abort()
  t.match(await following, { bytes: 5_500, parts: 6, source: { ok: true, reason: 'told' } })
  t.equal(await hashOf(asset), sha256(await readFile(path)))
  const reads = seen.retry.filter(({ stage }) => stage === 'read')
  t.match(reads[0], { partNumbers: [], error: { code: 'ERR_SOURCE_FAILED', path } })
  const compared = new Set(reads.flatMap(({ partNumbers }) => partNumbers))
  t.strictSame([...compared].sort(), [2, 3, 4, 5], 'each as it was compared')
})

t.test('a drive that stays away as the file ends is given up, and the journal stays', async t => {
  const setting = await setUp(t)
  const { sandbox, path, file, follow, ending } = setting
  const spool = { dir: join(path, '../spool'), keepFree: 0, syncEvery: 10 }
  const { asset, upload, seen } = smallUpload(sandbox, { spool })
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(4_500))
  await until(() => seen.part.length === 3)
  let isAway = true
  stale(t, path, () => isAway)
  ending.abort()
  const error = await following.then(
    () => undefined,
    (error: Error) => error,
  )
  t.match(error, { code: 'ERR_SOURCE_FAILED', message: /ESTALE/ })
  t.ok(seen.retry.length >= 2, 'it was asked again')
  isAway = false
  const client = clientFor(t, sandbox)
  const all: Resumed[] = []
  for await (const one of resumeUploads({ dir: spool.dir, client, follow })) all.push(one)
  t.strictSame(all, [{ assetId: asset.id, bytes: 4_500, parts: 5 }])
  t.equal(await hashOf(asset), sha256(await readFile(path)))
})

t.test('who waits for a drive at the end waits no longer than the upload', async t => {
  const retry = { giveUpAfter: Infinity, minDelay: 600_000, maxDelay: 600_000 }
  const { upload, path, file, ending, follow, numbers, seen } = await setUp(t, { retry })
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(3_500))
  await until(() => numbers().length === 2)
  stale(t, path, () => true)
  ending.abort()
  await until(() => seen.retry.some(({ stage }) => stage === 'read'))
  upload.destroy(new Error('enough'))
  await t.rejects(following, { message: 'enough' })
})

t.test('an upload that is destroyed leaves neither timer nor descriptor', async t => {
  const { upload, path, file, follow, numbers } = await setUp(t)
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(3_500))
  await until(() => numbers().length === 2)
  upload.destroy(new Error('enough'))
  await t.rejects(following, { message: 'enough' })
})

t.test('an upload that was cut off goes on from its journal', async t => {
  const setting = await setUp(t)
  const { sandbox, path, file, follow, ending } = setting
  const spool = { dir: join(path, '../spool'), keepFree: 0, syncEvery: 10 }
  const { asset, upload, seen } = smallUpload(sandbox, { spool })
  const following = uploadFrom({ file: path, follow }, upload)
  await append(file, bytes(4_500))
  await until(() => seen.part.length === 3)
  t.equal(upload.progress.bytesDurable, 3_000)
  upload.destroy(new Error('cut off'))
  await t.rejects(following, { message: 'cut off' })
  const folder = join(spool.dir, asset.id)
  t.strictSame((await readdir(folder)).sort(), ['journal', 'lock', 'reserve'], 'the journal alone')

  // Meanwhile it grew, and a part that was stored has other bytes.
  await append(file, bytes(3_000))
  await file.write(Buffer.from('index'), 0, 5, 2_100)
  ending.abort()
  const client = clientFor(t, sandbox)
  const all: Resumed[] = []
  for await (const one of resumeUploads({ dir: spool.dir, client, follow })) all.push(one)
  t.strictSame(all, [{ assetId: asset.id, bytes: 7_500, parts: 8 }])
  t.equal(await hashOf(asset), sha256(await readFile(path)))
  const puts = asset.parts.map(({ puts }) => puts)
  t.strictSame(
    puts,
    [1, 1, 2, 1, 1, 1, 1, 1],
    'what was stored, and is the same, is not sent again',
  )
  t.strictSame(await readdir(spool.dir), [])
})

t.test(
  'a file that is gone when it is resumed is a clear error, and the journal stays',
  async t => {
    const { sandbox, path, file, follow } = await setUp(t)
    const spool = { dir: join(path, '../spool'), keepFree: 0, syncEvery: 10 }
    const { asset, upload, seen } = smallUpload(sandbox, { spool })
    const following = uploadFrom({ file: path, follow }, upload)
    await append(file, bytes(4_500))
    await until(() => seen.part.length === 3)
    upload.destroy(new Error('cut off'))
    await t.rejects(following)
    await rm(path)
    const client = clientFor(t, sandbox)
    const all: Resumed[] = []
    for await (const one of resumeUploads({ dir: spool.dir, client })) all.push(one)
    t.match(all, [{ assetId: asset.id, error: { code: 'ERR_SOURCE_FAILED', path } }])
    t.strictSame(await readdir(spool.dir), [asset.id])
  },
)
