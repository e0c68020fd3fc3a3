/**
 * Part 1 that goes last, through the public API.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import {
  FrameioClient,
  finishWav,
  type MendHead,
  RealtimeUpload,
  type RealtimeUploadOptions,
  uploadFrom,
} from '../lib/index.ts'
import {
  bytes,
  clientFor,
  endOf,
  folderFor,
  hashOf,
  lastTwo,
  optionsFor,
  QUICK,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  targetIn,
  until,
} from './support/sandboxes.ts'

/** Bytes of a block of memory: a part of 1,000 takes two. */
const SMALL_BLOCK = 512

const MARK = Buffer.from('mended')
const mark: MendHead = head => void head.set(MARK.subarray(0, head.length))

/** The same with its head mended. */
const marked = (data: Buffer): Buffer => {
  const copy = Buffer.from(data)
  copy.set(MARK.subarray(0, copy.length))
  return copy
}

t.test('part 1 is mended once the size is known, and goes last', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  for (const size of [1, 999, 1_000, 1_001, 2_000, 2_001, 23_456]) {
    const calls: (readonly [size: number, bytes: number])[] = []
    const lateHead: MendHead = (head, file) => {
      calls.push([head.length, file.bytes])
      mark(head, file)
    }
    const { upload, asset } = smallUpload(sandbox, { lateHead })
    const data = bytes(size)
    upload.end(data)
    t.equal(await endOf(upload), undefined)
    t.equal(await hashOf(asset), sha256(marked(data)), `${size} bytes`)
    t.strictSame(calls, [[Math.min(size, 1_000), size]])
    const parts = Math.ceil(size / 1_000)
    t.strictSame(upload.result, { assetId: asset.id, bytes: size, parts })
    t.match(upload.progress, { bytesUploaded: size, partsFilled: parts, partsUploaded: parts })
    t.strictSame(lastTwo(sandbox, asset), parts === 1 ? [1] : [1, parts])
    t.equal(
      asset.parts.every(({ registrations, puts }) => registrations + puts === 2),
      true,
    )
  }
})

t.test('all others are stored while the stream goes on', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead: true })
  const data = bytes(5_500)
  upload.write(data)
  await until(() => seen.part.length === 4)
  t.strictSame(seen.part.map(({ number }) => number).sort(), [2, 3, 4, 5])
  t.equal(
    sandbox.asset(asset.id)?.parts.some(({ number }) => number === 1),
    false,
  )
  upload.end()
  t.equal(await endOf(upload), undefined)
  t.equal(await hashOf(asset), sha256(data), 'true changes nothing')
})

t.test('a promise is waited for, and the parts before it go on meanwhile', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  let goOn = () => {}
  const lateHead: MendHead = async (head, file) => {
    await new Promise<void>(resolve => {
      goOn = resolve
    })
    mark(head, file)
  }
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead })
  const data = bytes(3_500)
  upload.end(data)
  await until(() => seen.part.length === 2)
  t.equal(asset.filesize, undefined, 'the final part is not registered')
  goOn()
  t.equal(await endOf(upload), undefined)
  t.equal(await hashOf(asset), sha256(marked(data)))
})

t.test('what the function throws ends the upload, and the file stays open', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const reason = new Error('no such chunk')
  const throwing: MendHead = () => {
    throw reason
  }
  for (const size of [500, 3_500]) {
    for (const lateHead of [throwing, () => Promise.reject(reason)]) {
      const { upload, asset } = smallUpload(sandbox, { lateHead })
      upload.end(bytes(size))
      t.equal(await endOf(upload), reason)
      t.match({ ...asset, result: upload.result }, { filesize: undefined, result: undefined })
      t.equal(asset.finals, 0)
    }
  }
  const { upload } = smallUpload(sandbox, { lateHead: () => Promise.reject(undefined) })
  upload.end(bytes(10))
  t.ok((await endOf(upload)) instanceof Error, 'nothing at all is a failure too')
})

t.test('an upload that is destroyed while its head is mended registers nothing more', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  let goOn = () => {}
  const lateHead = () => new Promise<void>(resolve => (goOn = resolve))
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead })
  upload.end(bytes(3_500))
  await until(() => seen.part.length === 2)
  upload.destroy(new Error('enough'))
  t.match(await endOf(upload), { message: 'enough' })
  goOn()
  await new Promise(resolve => setTimeout(resolve, 20))
  t.strictSame(
    asset.parts.map(({ number }) => number),
    [2, 3],
  )
})

t.test('three parts may be held: one is filled while one is sent', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { lateHead: true, memoryLimit: 1 })
  upload.write(bytes(9_500))
  await until(() => upload.progress.bytesReceived === 3_000)
  upload.destroy()
  await endOf(upload)
})

t.test('an upload that is destroyed gives back the memory of its head', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = clientFor(t, sandbox, { memoryLimit: 6 * SMALL_BLOCK })
  const { upload, seen } = smallUpload(sandbox, { client, lateHead: true })
  upload.write(bytes(2_500))
  await until(() => seen.part.length === 1)
  upload.destroy()
  await endOf(upload)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { hang: 'answer' } })
  const other = smallUpload(sandbox, { client }).upload
  other.write(bytes(9_000))
  await until(() => other.progress.bytesReceived === 3_000)
  other.destroy()
  await endOf(other)
})

t.test('uploads that share the least memory go on side by side, and give it back', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const client = clientFor(t, sandbox, { memoryLimit: 1 })
  const all = Array.from({ length: 5 }, () => {
    const data = bytes(9_500)
    const { upload, asset } = smallUpload(sandbox, { client, lateHead: mark })
    upload.end(data)
    return { upload, asset, data }
  })
  for (const { upload, asset, data } of all) {
    t.equal(await endOf(upload), undefined)
    t.equal(await hashOf(asset), sha256(marked(data)))
  }
})

t.test('S3 checks the head as it is sent', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead: mark, integrity: 'md5' })
  const data = bytes(2_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  t.equal(await hashOf(asset), sha256(marked(data)))
  t.strictSame(seen.retry, [])
  const digests = sandbox.requests.filter(({ headers }) => headers['content-md5'] !== undefined)
  t.equal(digests.length, 3)
})

t.test('the head and the final part survive what others do', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add(
    { on: 'put', perPart: true, do: { reset: 'during' } },
    { on: 'put', part: 1, nth: 2, do: { expire: true } },
    { on: 'register', part: 1, do: { loseAnswer: true } },
    { on: 'register', part: 1, nth: 2, do: { status: 503 } },
  )
  const retry = { ...QUICK, giveUpAfter: 10_000 }
  const { upload, asset } = smallUpload(sandbox, { lateHead: mark, retry })
  const data = bytes(4_500)
  upload.end(data)
  t.equal(await endOf(upload), undefined)
  t.equal(await hashOf(asset), sha256(marked(data)))
})

t.test('a refusal in the middle ends the upload, and the head is not asked for', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  let isCalled = false
  const lateHead = () => {
    isCalled = true
  }
  const { upload, asset } = smallUpload(sandbox, { lateHead })
  upload.write(bytes(3_500))
  await until(() => asset.parts.filter(({ stored }) => stored).length === 2)
  sandbox.faults.add({ on: 'register', times: Infinity, do: { status: 404 } })
  upload.write(bytes(3_000))
  t.match(await endOf(upload), { code: 'ERR_ASSET_NOT_FOUND' })
  t.equal(isCalled, false)
})

t.test('a stream without a byte has no head', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox, {
    lateHead: () => void t.fail('there is nothing to mend'),
  })
  upload.end()
  t.match(await endOf(upload), { code: 'ERR_EMPTY_STREAM' })
})

t.test('what is no WAV is told of at its first bytes, and goes up as it came', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset, seen } = smallUpload(sandbox, { lateHead: finishWav })
  const data = Buffer.concat([Buffer.from('fLaC'), bytes(2_500)])
  for (const byte of data.subarray(0, 12)) upload.write(Buffer.from([byte]))
  await until(() => seen.warning.length === 1)
  t.match(seen.warning, [{ code: 'HEAD_NOT_MENDED', message: /does not begin as a WAV does/ }])
  upload.end(data.subarray(12))
  t.equal(await endOf(upload), undefined)
  t.equal(await hashOf(asset), sha256(data))
  t.equal(seen.warning.length, 1, 'once')

  const short = smallUpload(sandbox, { lateHead: finishWav })
  const headOnly = Buffer.from('RIFF\xff\xff\xff\xffWAVE', 'latin1')
  short.upload.end(headOnly)
  t.equal(await endOf(short.upload), undefined)
  t.match(short.seen.warning, [{ code: 'HEAD_NOT_MENDED', message: /sound/ }])
  t.equal(await hashOf(short.asset), sha256(headOnly))
})

t.test('wrong options are refused', async t => {
  const sandbox = await sandboxFor(t)
  const target = targetIn(sandbox)
  const make = (options: object) => () => new RealtimeUpload(optionsFor(target, options))
  const own: Partial<RealtimeUploadOptions> = { lateHead: mark }
  const refused = (option: string, message: RegExp) => ({
    code: 'ERR_INVALID_OPTION',
    option,
    message,
  })
  t.throws(make({ lateHead: 'wav' }), refused('lateHead', /true, false or a function.*'wav'/))
  t.throws(make({ ...own, partSize: 2 ** 30 + 1 }), refused('partSize', /1073741824.*lateHead/))
  const both = refused('lateHead', /spool/)
  t.throws(make({ ...own, spool: { dir: '/nowhere' } }), both)
  const spool = { dir: '/nowhere' }
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url, spool })
  t.throws(make({ ...own, client }), both)
  await client.close()
})

t.test(
  'a file is right by itself: a function is refused, and true means what it does anyway',
  async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    const file = join(await folderFor(t), 'A001.wav')
    const data = bytes(3_500)
    await writeFile(file, data)
    const refused = smallUpload(sandbox, { lateHead: finishWav })
    await t.rejects(uploadFrom({ file }, refused.upload), {
      code: 'ERR_INVALID_OPTION',
      option: 'lateHead',
    })
    const { upload, asset } = smallUpload(sandbox, { lateHead: true })
    await uploadFrom({ file }, upload)
    t.equal(await hashOf(asset), sha256(data))
  },
)
