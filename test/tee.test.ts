import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { PassThrough, Readable, Stream, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t from 'tap'
import { AbortError, tee } from '../lib/index.ts'
import {
  bytes,
  endOf,
  QUICK,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  sourceOf,
} from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'

const DATA = bytes(50_000)

t.test('what goes through is uploaded, and goes on unchanged', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const file = join(t.testdir(), 'A001.mp4')
  await pipeline(sourceOf(DATA, 999), tee(upload), createWriteStream(file))
  t.match(upload.result, { bytes: DATA.length }, 'it ends when both are through')
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(DATA))
  t.ok((await readFile(file)).equals(DATA))
})

t.test('with continue the file goes on when the upload fails', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', part: 3, do: { status: 400 } })
  const { upload } = smallUpload(sandbox)
  const file = join(t.testdir(), 'A001.mp4')
  const through = tee(upload, { onUploadError: 'continue' })
  await within(20_000, pipeline(sourceOf(DATA, 999), through, createWriteStream(file)))
  t.match(upload.errored, { code: 'ERR_STORAGE_REJECTED' })
  t.ok((await readFile(file)).equals(DATA))
})

t.test('with continue it goes on when the upload fails at its very end', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'register', times: Number.POSITIVE_INFINITY, do: { status: 400 } })
  const { upload } = smallUpload(sandbox)
  const file = join(t.testdir(), 'A001.mp4')
  const through = tee(upload, { onUploadError: 'continue' })
  await within(20_000, pipeline(Readable.from([bytes(10)]), through, createWriteStream(file)))
  t.match(upload.errored, { code: 'ERR_REQUEST_REJECTED' })
  t.equal((await readFile(file)).length, 10)
})

t.test('with stop a failure of the upload is that of the pipeline', async t => {
  for (const options of [{}, { onUploadError: 'stop' as const }]) {
    const sandbox = await sandboxFor(t, {}, SMALL)
    sandbox.faults.add({ on: 'put', do: { status: 400 } })
    const { upload } = smallUpload(sandbox)
    const sink = new PassThrough().resume()
    const through = tee(upload, options)
    const failure = await within(20_000, failureOf(pipeline(sourceOf(DATA, 999), through, sink)))
    t.match(failure, { code: 'ERR_STORAGE_REJECTED' })
    t.equal(failure, await endOf(upload))
  }
})

t.test('with stop a source without end is stopped as well', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', do: { status: 400 } })
  const { upload } = smallUpload(sandbox)
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(999))
    },
  })
  const end = pipeline(endless, tee(upload), new PassThrough().resume())
  t.match(await within(20_000, failureOf(end)), { code: 'ERR_STORAGE_REJECTED' })
})

t.test('an upload that has ended is refused', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  await pipeline(sourceOf(DATA, 999), upload)
  t.throws(() => tee(upload), { code: 'ERR_INVALID_OPTION', message: /one that has not ended/ })
})

t.test('an upload that failed before is what a pipeline is told, or goes without it', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  for (const hasEnded of [false, true]) {
    const { upload } = smallUpload(sandbox)
    upload.on('error', () => {})
    if (hasEnded) upload.end()
    upload.destroy(new Error('gone'))
    const end = pipeline(sourceOf(DATA, 999), tee(upload), new PassThrough().resume())
    t.equal(await within(20_000, failureOf(end)), upload.errored)
    const file = join(t.testdir(), 'A001.mp4')
    const through = tee(upload, { onUploadError: 'continue' })
    await within(20_000, pipeline(sourceOf(DATA, 999), through, createWriteStream(file)))
    t.ok((await readFile(file)).equals(DATA))
  }
})

t.test('an upload that is destroyed without a reason was aborted', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  const end = pipeline(new PassThrough(), tee(upload), new PassThrough().resume())
  upload.destroy()
  t.ok((await within(20_000, failureOf(end))) instanceof AbortError)
})

t.test('a failure downstream aborts the upload with its reason', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const full = new Error('no space left on device')
  const disk = new Writable({ write: (_chunk, _encoding, callback) => callback(full) })
  t.equal(await failureOf(pipeline(sourceOf(DATA, 999), tee(upload), disk)), full)
  t.equal(await endOf(upload), full)
  t.equal(asset.status, 'created')
})

t.test('a stream that is left before its end aborts the upload', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  const through = tee(upload)
  sourceOf(DATA, 999).pipe(through)
  for await (const _ of through) break
  await within(20_000, endOf(upload))
  t.equal(upload.destroyed, true)
  t.equal(upload.result, undefined)
})

t.test('while the memory of the upload is full both wait', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  sandbox.faults.add({ on: 'put', times: 1, do: { hang: 'answer' } })
  const { upload } = smallUpload(sandbox, { concurrency: 1, memoryLimit: 2_048, retry: QUICK })
  let passed = 0
  const through = tee(upload)
  const sink = new Writable({
    write: (chunk, _encoding, callback) => {
      passed += chunk.length
      callback()
    },
  })
  const end = failureOf(pipeline(sourceOf(DATA, 999), through, sink))
  await new Promise<void>(resolve => upload.once('stall', () => resolve()))
  await new Promise(resolve => setTimeout(resolve, 50))
  t.ok(passed < 10_000, `${passed} bytes went on`)
  upload.destroy()
  await end
})

t.test('a copy has what is uploaded, and the tee ends when both are through', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const copy = createWriteStream(join(t.testdir(), 'A001.mp4'))
  const through = tee(upload, { copy })
  const closed = new Promise(resolve => through.once('close', resolve))
  await within(20_000, pipeline(sourceOf(DATA, 999), through))
  t.match(upload.result, { bytes: DATA.length })
  t.equal(copy.closed, true)
  t.ok((await readFile(copy.path)).equals(DATA))
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(DATA))
  await within(20_000, closed)
})

t.test('a disk that is full does not end the upload', { skip: noSmallDisk }, async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const room = 16_384
  const path = join(smallDisk(t, room), 'A001.mp4')
  const [one, other] = [smallUpload(sandbox), smallUpload(sandbox)]
  const copy = createWriteStream(path)
  const through = tee(one.upload, { copy, onCopyError: 'continue' })
  await within(20_000, pipeline(sourceOf(DATA, 999), through))
  t.match(copy.errored, { code: 'ENOSPC' })
  t.match(one.upload.result, { bytes: DATA.length })
  await one.asset.whenUploaded()
  t.equal(one.asset.sha256, sha256(DATA))
  const kept = await readFile(path)
  t.equal(kept.length, room, 'what fits is kept')
  t.ok(kept.equals(DATA.subarray(0, room)))
  // Otherwise it is the end of both.
  const full = tee(other.upload, { copy: createWriteStream(path, { flags: 'a' }) })
  const failure = await within(20_000, failureOf(pipeline(sourceOf(DATA, 999), full)))
  t.match(failure, { code: 'ENOSPC' })
  t.equal(await endOf(other.upload), failure)
  t.equal(other.asset.status, 'created')
})

/** Takes so many bytes, and then has no room. */
const smallFile = (room: number) => {
  let size = 0
  return new Writable({
    write(chunk, _encoding, callback) {
      size += chunk.length
      callback(size > room ? new Error('no space left on device') : null)
    },
  })
}

t.test('a copy that fails at its very end does not end the upload either', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload, asset } = smallUpload(sandbox)
  const final = (callback: (error: Error) => void) => callback(new Error('the disk was pulled'))
  const copy = new Writable({ write: (_chunk, _encoding, callback) => callback(), final })
  const through = tee(upload, { copy, onCopyError: 'continue' })
  await within(20_000, pipeline(sourceOf(DATA, 999), through))
  t.match(copy.errored, { message: 'the disk was pulled' })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(DATA))
})

t.test('an upload that fails leaves the copy whole, or ends it', async t => {
  for (const onUploadError of ['continue', 'stop'] as const) {
    const sandbox = await sandboxFor(t, {}, SMALL)
    sandbox.faults.add({ on: 'put', part: 3, do: { status: 400 } })
    const { upload } = smallUpload(sandbox)
    const copy = createWriteStream(join(t.testdir(), 'A001.mp4'))
    const end = pipeline(sourceOf(DATA, 999), tee(upload, { copy, onUploadError }))
    const failure = await within(
      20_000,
      end.catch(error => error),
    )
    t.match(upload.errored, { code: 'ERR_STORAGE_REJECTED' })
    t.equal(copy.destroyed, true)
    if (onUploadError === 'stop') t.equal(failure, upload.errored)
    else t.ok((await readFile(copy.path)).equals(DATA))
  }
})

t.test('where both fail there is nowhere to go on to', async t => {
  const both = { onUploadError: 'continue', onCopyError: 'continue' } as const
  for (const end of [undefined, DATA.length + 1]) {
    const sandbox = await sandboxFor(t, {}, SMALL)
    sandbox.faults.add({ on: 'put', do: { status: 400 } })
    const { upload } = smallUpload(sandbox)
    const copy = smallFile(10_000)
    let given = 0
    const source = new Readable({
      read() {
        given += 999
        this.push(end !== undefined && given > end ? null : Buffer.alloc(999))
      },
    })
    const failure = failureOf(pipeline(source, tee(upload, { copy, ...both })))
    const error = await within(20_000, failure)
    t.ok(error === copy.errored || error === upload.errored)
    t.ok(copy.errored && upload.errored)
  }
})

t.test('a source that fails ends the upload and the copy', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  const source = new PassThrough()
  const copy = new PassThrough()
  const end = failureOf(pipeline(source, tee(upload, { copy, onCopyError: 'continue' })))
  source.destroy(new Error('the tape is torn'))
  const failure = await within(20_000, end)
  t.match(failure, { message: 'the tape is torn' })
  t.equal(await endOf(upload), failure)
  t.equal(copy.errored, failure)
})

t.test('a copy that is read on, such as one that is packed, is left to its reader', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  const copy = new PassThrough()
  await within(20_000, pipeline(sourceOf(bytes(10_000), 999), tee(upload, { copy })))
  await new Promise(setImmediate)
  t.equal(
    (await copy.toArray()).reduce((sum, { length }) => sum + length, 0),
    10_000,
  )
})

const require = createRequire(import.meta.url)

/** A file of another maker, that is slow where it may be, and fails where it has no room. */
type FileOf = (chunks: Buffer[], room: number) => Writable

const full = () => new Error('no space left on device')

const FILES: Record<string, FileOf> = {
  streamx: (chunks, room) => {
    const write = (chunk: Buffer, done: (error?: Error) => void) => {
      chunks.push(chunk)
      setImmediate(done, chunks.length > room ? full() : undefined)
    }
    return new (require('streamx').Writable)({ write, highWaterMark: 1 })
  },
  minipass: chunks => {
    const { Minipass } = require('minipass')
    return new Minipass().on('data', (chunk: Buffer) => chunks.push(chunk))
  },
  'readable-stream': (chunks, room) => {
    const write = (chunk: Buffer, _encoding: string, done: (error?: Error) => void) => {
      chunks.push(chunk)
      setImmediate(done, chunks.length > room ? full() : undefined)
    }
    return new (require('readable-stream').Writable)({ write, highWaterMark: 1 })
  },
  'a stream from before 2013': (chunks, room) => {
    const file: Stream = new Stream()
    const write = (chunk: Buffer) => {
      chunks.push(chunk)
      const error = chunks.length > room && full()
      setImmediate(() => (error ? file.emit('error', error) : file.emit('drain')))
      return false
    }
    const end = () => file.emit('finish')
    return Object.assign(file, { writable: true, write, end }) as unknown as Writable
  },
}

for (const [name, fileOf] of Object.entries(FILES)) {
  t.test(`${name} may be a copy`, async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    const { upload } = smallUpload(sandbox)
    const chunks: Buffer[] = []
    const copy = fileOf(chunks, Number.POSITIVE_INFINITY)
    await within(20_000, pipeline(sourceOf(DATA, 999), tee(upload, { copy })))
    t.ok(Buffer.concat(chunks).equals(DATA))
    t.match(upload.result, { bytes: DATA.length })
  })

  const skip = name === 'minipass' && 'it keeps in memory what it is given, and never fails'
  t.test(`${name} that fails ends the upload, or does not`, { skip }, async t => {
    const sandbox = await sandboxFor(t, {}, SMALL)
    const one = smallUpload(sandbox).upload
    const lone = tee(one, { copy: fileOf([], 10), onCopyError: 'continue' })
    await within(20_000, pipeline(sourceOf(DATA, 999), lone))
    t.match(one.result, { bytes: DATA.length })
    const other = smallUpload(sandbox).upload
    const both = failureOf(pipeline(sourceOf(DATA, 999), tee(other, { copy: fileOf([], 10) })))
    t.match(await within(20_000, both), { message: 'no space left on device' })
    t.equal(await endOf(other), await both)
  })
}

t.test('arguments that make no sense are told by name', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { upload } = smallUpload(sandbox)
  t.teardown(() => upload.destroy())
  const call = tee as (...args: unknown[]) => unknown
  for (const [args, message] of [
    [[], 'upload must be a RealtimeUpload; received undefined'],
    [[new PassThrough()], 'upload must be a RealtimeUpload; received an object (PassThrough)'],
    [[upload, null], 'options must be an object; received null'],
    [
      [upload, { onUploadError: 'go' }],
      "onUploadError must be 'stop' or 'continue'; received 'go'",
    ],
    [
      [upload, { onError: 'stop' }],
      'onError is not an option; there are onUploadError, copy, onCopyError',
    ],
    [[upload, { onCopyError: 'go' }], "onCopyError must be 'stop' or 'continue'; received 'go'"],
    [
      [upload, { onCopyError: 'continue' }],
      "copy must be a Writable where onCopyError is 'continue', for pipeline() destroys the source with whatever comes after; received undefined",
    ],
    [
      [upload, { copy: 'A001.mp4' }],
      "copy must be a Writable that still takes bytes; received 'A001.mp4'",
    ],
    [
      [upload, { copy: new PassThrough().end() }],
      'copy must be a Writable that still takes bytes; received an object (PassThrough)',
    ],
  ] as const) {
    t.throws(() => call(...args), { code: 'ERR_INVALID_OPTION', message })
  }
})
