/**
 * What people have in place of a Node stream: web streams, blobs, whatever can be iterated, and the
 * streams of other makers.
 */
import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { openAsBlob } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { Duplex, type DuplexOptions, PassThrough, Readable, Writable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { type Source, tee, uploadFrom } from '../lib/index.ts'
import {
  bytes,
  chunked,
  SMALL,
  sandboxFor,
  sha256,
  smallUpload,
  until,
} from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'

/** A guard against hanging, and no more. */
t.setTimeout(600_000)

/** Chooses the sizes of chunks: `SEED=… npx tap run test/sources.test.ts` runs the same ones again. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)

const DATA = bytes(20_000)

/** Of a stream of another maker no more than this is used; not all of them come with types. */
interface Foreign extends EventEmitter, AsyncIterable<Uint8Array> {
  pipe(...args: never[]): unknown
  write(chunk: unknown): boolean
  push(chunk: unknown): boolean
  end(chunk?: unknown): unknown
  destroy(error?: Error): unknown
  setEncoding(encoding: string): unknown
  resume(): unknown
  finalize(): unknown
  append(data: Buffer, entry: object): unknown
  readonly destroyed: boolean
}

type Maker = new (options?: object) => Foreign

const require = createRequire(import.meta.url)
const requireOf2 = createRequire(require.resolve('stream-chunker'))
const requireOf3 = createRequire(require.resolve('through2'))
const V4: { PassThrough: Maker } = require('readable-stream')
const V3: { PassThrough: Maker; Writable: Maker } = requireOf3('readable-stream')
const V2: { PassThrough: Maker } = createRequire(requireOf2.resolve('through2'))('readable-stream')
const streamx: { PassThrough: Maker; Readable: Maker } = require('streamx')
const { Minipass }: { Minipass: Maker } = require('minipass')
const through2: () => Foreign = require('through2')
const oldThrough2: () => Foreign = requireOf2('through2')
const archiver: (format: string, options?: object) => Foreign = require('archiver')

const uploadIn = async (t: Test) => {
  const { upload, asset } = smallUpload(await sandboxFor(t, {}, SMALL))
  t.teardown(() => upload.destroy())
  upload.on('error', () => {}) // Asked for by uploadFrom.
  return { upload, asset }
}

/** Fills a stream at the pace at which it takes. */
const fed = (stream: Foreign, data: Buffer, size = 999): Foreign => {
  const feed = async () => {
    for (const chunk of chunked(data, size)) {
      if (stream.write(chunk) === false) {
        await Promise.race([once(stream, 'drain'), new Promise(resolve => setTimeout(resolve, 50))])
      }
    }
    stream.end()
  }
  void feed()
  return stream
}

async function* later(data: Buffer, size = 999) {
  for (const chunk of chunked(data, size)) {
    await new Promise(setImmediate)
    yield chunk
  }
}

/** The same buffer again and again, as who reads a file by hand does. */
function* recycled(data: Buffer) {
  const room = Buffer.alloc(999)
  for (const chunk of chunked(data, room.length)) {
    chunk.copy(room)
    yield room.subarray(0, chunk.length)
  }
}

const webStream = (data: Buffer, source: object = {}) => {
  const chunks = chunked(data, 999)
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = chunks.next()
      if (done) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
    ...source,
  })
}

const byteStream = (data: Buffer) => {
  const chunks = chunked(data, 999)
  return new ReadableStream({
    type: 'bytes',
    pull(controller) {
      const { done, value } = chunks.next()
      if (done) controller.close()
      else controller.enqueue(new Uint8Array(value))
    },
  })
}

/** As a page, a worker or a test runner has them: none of its classes is one of ours. */
const fromElsewhere = (
  data: Buffer,
): { stream: Source; chunks: Uint8Array[]; held: ArrayBuffer[] } =>
  runInNewContext(
    `(() => {
      const copies = whole.map(chunk => Uint8Array.from(chunk))
      const rest = [...copies]
      const reader = {
        read: async () => (rest.length > 0 ? { done: false, value: rest.shift() } : { done: true }),
        cancel: async () => {},
      }
      const stream = { locked: false, getReader: () => reader }
      return { stream, chunks: copies, held: copies.map(chunk => chunk.buffer) }
    })()`,
    { whole: [...chunked(data, 999)].map(chunk => [...chunk]) },
  )

/** From before there were streams in Node as we know them. */
const ancient = (data: Buffer): Source => {
  const chunks = chunked(data, 999)
  let isPaused = false
  const flow = () => {
    while (!isPaused) {
      const { done, value } = chunks.next()
      if (done) return void stream.emit('end')
      stream.emit('data', value)
    }
    return undefined
  }
  const stream = Object.assign(new EventEmitter(), {
    pipe: () => {},
    pause: () => {
      isPaused = true
    },
    resume: () => {
      isPaused = false
      setImmediate(flow)
    },
  })
  setImmediate(flow)
  return stream
}

const fetched = async (t: Test, data: Buffer) => {
  const server = createServer((_req, res) => void Readable.from(chunked(data, 999)).pipe(res))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => void server.close().closeAllConnections())
  const { port } = server.address() as AddressInfo
  return (await fetch(`http://127.0.0.1:${port}`)).body as ReadableStream
}

const blobOnDisk = async (t: Test, data: Buffer) => {
  const file = join(t.testdir(), 'clip')
  await writeFile(file, data)
  return openAsBlob(file)
}

const SOURCES: Record<string, (data: Buffer, t: Test) => Source | Promise<Source>> = {
  'a web stream': data => webStream(data),
  'a web stream of bytes': byteStream,
  'the body of a fetch': (data, t) => fetched(t, data),
  'the body of a Response': data => new Response(new Uint8Array(data)).body as ReadableStream,
  'what a web transform gives': data =>
    webStream(data)
      .pipeThrough(new CompressionStream('gzip'))
      .pipeThrough(new DecompressionStream('gzip')),
  'the stream of a Blob': data => new Blob([new Uint8Array(data)]).stream(),
  'a Blob': data => new Blob([new Uint8Array(data)]),
  'a Blob on the disk': (data, t) => blobOnDisk(t, data),
  'a web stream of another realm': data => fromElsewhere(data).stream,
  'a list of bytes of another realm': data => fromElsewhere(data).chunks,
  'a list of ArrayBuffers of another realm': data => fromElsewhere(data).held,
  'an async generator': data => later(data),
  'a generator': data => chunked(data, 999),
  'a generator that uses one buffer again and again': recycled,
  'a list of buffers': data => [...chunked(data, 999)],
  'a Set of views': data =>
    new Set([
      data.subarray(0, 1_000),
      new DataView(new Uint8Array(data.subarray(1_000, 3_000)).buffer),
      new Float64Array(new Uint8Array(data.subarray(3_000, 11_000)).buffer),
      new Uint8Array(data.subarray(11_000)).buffer,
    ]),
  'an iterable of promises': data => [...chunked(data, 999)].map(async chunk => chunk).values(),
  'a Buffer': data => data,
  'an ArrayBuffer': data => new Uint8Array(data).buffer,
  'a Readable of bytes': data => Readable.from(chunked(data, 999), { objectMode: false }),
  'a Readable of views': data =>
    Readable.from([
      new Uint8Array(data.subarray(0, 9)).buffer,
      new DataView(new Uint8Array(data).buffer, 9),
    ]),
  'a Duplex': data => Duplex.from(later(data)),
  'readable-stream 2': data => fed(new V2.PassThrough(), data),
  'readable-stream 3': data => fed(new V3.PassThrough(), data),
  'readable-stream 4': data => fed(new V4.PassThrough(), data),
  'readable-stream 4, of objects': data => fed(new V4.PassThrough({ objectMode: true }), data),
  'through2 2': data => fed(oldThrough2(), data),
  'through2 4': data => fed(through2(), data),
  streamx: data => fed(new streamx.PassThrough(), data),
  minipass: data => fed(new Minipass(), data),
  'minipass, later': data => fed(new Minipass({ async: true }), data),
  'a stream from before 2013': ancient,
}

for (const [name, sourceOf] of Object.entries(SOURCES)) {
  t.test(`${name}: every byte arrives`, async t => {
    const { upload, asset } = await uploadIn(t)
    const result = await within(60_000, uploadFrom(await sourceOf(DATA, t), upload))
    t.match(result, { bytes: DATA.length, source: { ok: true, error: undefined } })
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(DATA))
  })
}

t.test('archiver: every byte arrives', async t => {
  const packed = () => {
    const archive = archiver('tar')
    archive.append(DATA, { name: 'clip', date: new Date(0) })
    archive.finalize()
    return archive
  }
  const whole = await buffer(packed())
  const { upload, asset } = await uploadIn(t)
  t.match(await uploadFrom(packed(), upload), { bytes: whole.length, source: { ok: true } })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(whole))
})

t.test('text that is iterated becomes UTF-8', async t => {
  const { upload, asset } = await uploadIn(t)
  const lines = ['ä', '€', '😀'].values()
  await uploadFrom(lines, upload)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(Buffer.from('ä€😀')))
})

t.test(`however the bytes come, all of them arrive in order (SEED=${SEED})`, async t => {
  t.comment(`SEED=${SEED}`)
  let state = SEED
  /** Park and Miller's. */
  const random = (most: number) => {
    state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647 || 1
    return state % most
  }
  function* pieces(data: Buffer) {
    for (let at = 0; at < data.length; ) {
      const size = random(4) === 0 ? random(3) : random(5_000)
      yield data.subarray(at, at + size)
      at += size
    }
  }
  const whole = [...pieces(DATA)]
  const makers: ((chunks: Buffer[]) => Source)[] = [
    chunks => chunks,
    chunks => chunks.values(),
    chunks => Readable.from(chunks),
    chunks => new Blob(chunks.map(chunk => new Uint8Array(chunk))),
    chunks => ReadableStream.from(chunks.map(chunk => new Uint8Array(chunk))),
    chunks => {
      const stream = new streamx.PassThrough()
      for (const chunk of chunks) if (chunk.length > 0) stream.write(chunk)
      stream.end()
      return stream
    },
    chunks => {
      const stream = new V4.PassThrough()
      for (const chunk of chunks) stream.write(chunk)
      stream.end()
      return stream
    },
    chunks => {
      const stream = new Minipass()
      for (const chunk of chunks) stream.write(chunk)
      stream.end()
      return stream
    },
  ]
  for (const [index, make] of makers.entries()) {
    for (const chunks of [whole, [...pieces(DATA)]]) {
      const { upload, asset } = await uploadIn(t)
      await within(60_000, uploadFrom(make(chunks), upload))
      await asset.whenUploaded()
      t.equal(asset.sha256, sha256(DATA), `${index}, SEED=${SEED}`)
    }
  }
})

t.test('nothing is read ahead while the memory is full', async t => {
  const endless = (give: () => void) => ({
    *[Symbol.iterator]() {
      for (;;) {
        give()
        yield Buffer.alloc(999)
      }
    },
  })
  const kinds: Record<string, (give: () => void) => Source> = {
    iterable: give => endless(give),
    'async iterable': async function* (give) {
      yield* endless(give)
    },
    'web stream': give =>
      new ReadableStream({
        pull(controller) {
          give()
          controller.enqueue(new Uint8Array(999))
        },
      }),
    'readable-stream': give => {
      const stream = new V4.PassThrough()
      const feed = () => {
        do give()
        while (stream.write(Buffer.alloc(999)))
      }
      stream.on('drain', feed)
      feed()
      return stream
    },
    streamx: give => {
      const read = function (this: Foreign, done: () => void) {
        give()
        this.push(Buffer.alloc(999))
        done()
      }
      return new streamx.Readable({ read })
    },
  }
  for (const [name, make] of Object.entries(kinds)) {
    const sandbox = await sandboxFor(t, {}, SMALL)
    sandbox.faults.add({ on: 'put', times: Number.POSITIVE_INFINITY, do: { hang: 'answer' } })
    const { upload } = smallUpload(sandbox, { concurrency: 1, memoryLimit: 4_096 })
    let given = 0
    const source = make(() => {
      given += 999
    })
    const end = failureOf(uploadFrom(source, upload))
    await new Promise<void>(resolve => upload.once('stall', () => resolve()))
    await new Promise(resolve => setTimeout(resolve, 50))
    // Streams have buffers of their own: of 64 KiB each, theirs and ours.
    t.ok(given < 250_000, `${name}: ${given} bytes`)
    if (name !== 'readable-stream' && name !== 'streamx')
      t.ok(given < 12_000, `${name}: ${given} bytes`)
    upload.destroy()
    await within(20_000, end)
  }
})

/** Sources that give some bytes and then fail. */
const FAILING: Record<string, (error: unknown) => Source> = {
  'a generator': function* (error) {
    yield DATA
    throw error
  },
  'an async generator': async function* (error) {
    yield DATA
    throw error
  },
  'a web stream': error =>
    new ReadableStream(
      {
        start: controller => controller.enqueue(new Uint8Array(DATA)),
        pull: controller => controller.error(error),
      },
      { highWaterMark: 0 },
    ),
  ...Object.fromEntries(
    (
      [
        ['readable-stream 2', () => new V2.PassThrough()],
        ['readable-stream 3', () => new V3.PassThrough()],
        ['readable-stream 4', () => new V4.PassThrough()],
        ['streamx', () => new streamx.PassThrough()],
        ['minipass', () => new Minipass()],
      ] as const
    ).map(([name, make]) => [
      name,
      (error: unknown) => {
        const stream = make()
        stream.write(DATA)
        setTimeout(() => stream.destroy(error as Error), 100)
        return stream
      },
    ]),
  ),
}

for (const [name, failing] of Object.entries(FAILING)) {
  t.test(`${name} that fails is finalised with what came, and told`, async t => {
    const { upload, asset } = await uploadIn(t)
    const error = new Error('the tape is torn')
    const { bytes, source } = await within(20_000, uploadFrom(failing(error), upload))
    t.equal(bytes, DATA.length)
    t.equal(source.ok, false)
    t.equal(source.error, error)
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(DATA))
  })

  t.test(`${name} that fails leaves the asset unfinished with abort`, async t => {
    const { upload, asset } = await uploadIn(t)
    const source = failing(new Error('the tape is torn'))
    await t.rejects(within(20_000, uploadFrom(source, upload, { onSourceFailure: 'abort' })), {
      code: 'ERR_SOURCE_FAILED',
      message: 'The source failed: the tape is torn',
    })
    t.equal(asset.status, 'created')
  })
}

t.test('a source that fails with anything at all has failed', async t => {
  for (const [reason, message] of [
    ['torn', 'torn'],
    [undefined, 'undefined'],
    [null, 'null'],
  ]) {
    for (const name of ['a generator', 'an async generator', 'a web stream'] as const) {
      const { upload } = await uploadIn(t)
      const { source } = await within(
        20_000,
        uploadFrom((FAILING[name] as (e: unknown) => Source)(reason), upload),
      )
      t.match(source, { ok: false, error: { message } }, name)
    }
  }
})

t.test('a source that cannot even be opened has failed before its first byte', async t => {
  const fail = () => {
    throw new Error('there is no tape')
  }
  const file: Blob = Object.assign(new Blob([]), { stream: fail })
  const locked = { locked: false, getReader: fail }
  for (const source of [
    { [Symbol.iterator]: fail },
    { [Symbol.asyncIterator]: fail },
    file,
    locked,
  ]) {
    const { upload } = await uploadIn(t)
    await t.rejects(within(20_000, uploadFrom(source, upload)), {
      code: 'ERR_SOURCE_FAILED',
      message: 'The source failed: there is no tape',
    })
  }
  const { upload, asset } = await uploadIn(t)
  const chunks = Object.assign(new Set([DATA]), { [Symbol.asyncIterator]: undefined })
  await within(20_000, uploadFrom(chunks, upload))
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(DATA))
})

t.test('a stream that is destroyed amid its bytes has not ended well', async t => {
  for (const make of [
    () => new V2.PassThrough(),
    () => new V3.PassThrough(),
    () => new V4.PassThrough(),
    () => new streamx.PassThrough(),
    () => new Minipass(),
  ]) {
    const { upload } = await uploadIn(t)
    const stream = make()
    const result = uploadFrom(stream, upload)
    stream.write(DATA)
    await until(() => upload.progress.bytesReceived === DATA.length)
    stream.destroy()
    t.match(await within(20_000, result), {
      bytes: DATA.length,
      source: { ok: false, error: Error },
    })
  }
})

t.test('what comes after the end of a source does not cost what came before', async t => {
  const stray = (source: EventEmitter, last: 'end' | 'error', error?: Error) => {
    setImmediate(() => {
      source.emit('data', DATA)
      source.emit(last, error)
      const talking = setInterval(() => source.emit('data', Buffer.from('more')), 1)
      t.teardown(() => clearInterval(talking))
    })
    return source as unknown as Source
  }
  const old = () => Object.assign(new EventEmitter(), { pipe: () => {} })
  const stubborn = () => new Readable({ autoDestroy: false, emitClose: false, read() {} })
  const torn = new Error('the tape is torn')
  for (const [make, last, error] of [
    [old, 'end', undefined],
    [old, 'error', torn],
    [stubborn, 'error', torn],
  ] as const) {
    const { upload, asset } = await uploadIn(t)
    const source = stray(make(), last, error)
    const result = await within(20_000, uploadFrom(source, upload))
    t.match(result, { bytes: DATA.length, source: { ok: !error, error } })
    await asset.whenUploaded()
    t.equal(asset.sha256, sha256(DATA))
    if (source instanceof Readable) t.equal(source.destroyed, true, 'nobody else would let it go')
  }
})

t.test('what is no bytes ends the source, and is told', async t => {
  let hasReturned = false
  const generator = function* () {
    try {
      yield DATA
      yield 7 as unknown as Buffer
    } finally {
      hasReturned = true
    }
  }
  let reason: unknown
  const web = new ReadableStream({
    start(controller) {
      controller.enqueue(DATA)
      controller.enqueue({ no: 'bytes' })
    },
    cancel(given) {
      reason = given ?? 'cancelled'
    },
  })
  const stream = new streamx.Readable()
  stream.push(DATA)
  stream.push({ no: 'bytes' })
  const told =
    /^source must be a (?:source|stream) of bytes.*; received (?:7|an object \(Object\))$/
  for (const source of [generator(), web, stream]) {
    const { upload } = await uploadIn(t)
    const result = await within(20_000, uploadFrom(source, upload))
    t.match(result, { bytes: DATA.length, source: { ok: false, error: { message: told } } })
  }
  t.equal(hasReturned, true)
  t.equal(reason, 'cancelled')
  t.equal(stream.destroyed, true)
})

t.test('a silent source is cancelled when its upload fails, and does not keep it', async t => {
  const seen: string[] = []
  const never = new Promise<never>(() => {})
  const silent: Record<string, () => Source> = {
    iterator: () => ({
      [Symbol.asyncIterator]: () => ({
        next: () => never,
        return: async () => {
          seen.push('iterator')
          return never
        },
      }),
    }),
    'iterator without return': () => ({ [Symbol.asyncIterator]: () => ({ next: () => never }) }),
    generator: async function* () {
      yield await never
    },
    'web stream': () => new ReadableStream({ cancel: () => void seen.push('web stream') }),
    'web stream that does not answer': () =>
      new ReadableStream({
        cancel: () => {
          seen.push('web stream that does not answer')
          return never
        },
      }),
    'web stream whose cancel fails': () =>
      new ReadableStream({
        cancel: () => {
          throw new Error('no')
        },
      }),
    'readable-stream': () =>
      new V4.PassThrough().on('close', () => seen.push('readable-stream')) as Foreign,
    streamx: () => new streamx.PassThrough().on('close', () => seen.push('streamx')) as Foreign,
  }
  for (const [name, make] of Object.entries(silent)) {
    for (const isLate of [false, true]) {
      const { upload } = await uploadIn(t)
      const result = uploadFrom(make(), upload)
      if (isLate) await new Promise(setImmediate)
      upload.destroy(new Error('out of a sudden'))
      await t.rejects(within(20_000, result), { message: 'out of a sudden' }, name)
    }
  }
  await until(() => seen.length >= 10)
  t.strictSame([...new Set(seen)].sort(), [
    'iterator',
    'readable-stream',
    'streamx',
    'web stream',
    'web stream that does not answer',
  ])
})

t.test('of an upload that is over nothing is read', async t => {
  const { upload } = await uploadIn(t)
  upload.destroy(new Error('gone'))
  let hasBegun = false
  const generator = async function* () {
    hasBegun = true
    yield DATA
  }
  await t.rejects(uploadFrom(generator(), upload), { message: 'gone' })
  t.equal(hasBegun, false)
})

t.test('a source that cannot give its bytes is refused before anything starts', async t => {
  const locked = webStream(DATA)
  locked.getReader()
  const read = webStream(DATA)
  const reader = read.getReader()
  await reader.read()
  reader.releaseLock()
  const ended = Readable.from([])
  await buffer(ended)
  const destroyed = new PassThrough()
  destroyed.destroy()
  const gone = new streamx.PassThrough()
  gone.destroy()
  await once(gone, 'close')
  const over = new Minipass()
  over.resume()
  over.end()
  const write = (_chunk: unknown, _encoding: unknown, callback: () => void) => callback()
  const writable = new Duplex({ readable: false, write } as DuplexOptions)
  const child = spawn('sh', ['-c', 'echo x; sleep 1'])
  t.teardown(() => child.kill())
  await once(child.stdout, 'data')
  const alone = 'a ReadableStream that nobody else reads'
  const readable = 'a stream that can still be read'
  for (const [source, message] of [
    [locked, `source must be ${alone}; received one that is locked`],
    [read, `source must be ${alone}; received one that was read before`],
    [ended, `source must be ${readable}; received one that has ended`],
    [destroyed, `source must be ${readable}; received one that was destroyed`],
    [gone, `source must be ${readable}; received one that was destroyed`],
    [over, `source must be ${readable}; received one that is not readable`],
    [writable, `source must be ${readable}; received one that has ended`],
    [new Writable({ write }), `source must be ${readable}; received one that is not readable`],
    [new V3.Writable({ write }), `source must be ${readable}; received one that is not readable`],
    [
      child,
      'source must be a ChildProcess of which nobody has read the stdout; received an object (ChildProcess)',
    ],
    [
      ['-i', 'clip.mp4'],
      'source[0] must be bytes: of a text, Buffer.from(text); received a value of type string',
    ],
    ['clip.mp4', /^source must be a stream, a Blob, .*; received 'clip\.mp4'$/],
    [
      Promise.resolve(DATA),
      /^source must be a stream, a Blob, .*; received an object \(Promise\)$/,
    ],
    [new Response('x'), /^source must be a stream, a Blob, .*; received an object \(Response\)$/],
    [() => chunked(DATA, 9), /^source must be a stream, a Blob, .*; received \[Function/],
  ] as const) {
    const { upload } = await uploadIn(t)
    await t.rejects(uploadFrom(source as Source, upload), { code: 'ERR_INVALID_OPTION', message })
    t.equal(upload.progress.bytesReceived, 0)
  }
})

t.test('a Node stream that failed before says so', async t => {
  const { upload } = await uploadIn(t)
  const torn = new PassThrough().on('error', () => {})
  torn.destroy(new Error('the tape is torn'))
  await t.rejects(uploadFrom(torn, upload), {
    code: 'ERR_SOURCE_FAILED',
    message: 'The source failed: the tape is torn',
  })
})

const TOLD = {
  code: 'ERR_INVALID_OPTION',
  option: 'source',
  message: /^source must be a stream of bytes, and not one that was told to decode text/,
}

t.test(
  'a stream that was told to decode text is refused, for its bytes are no longer those',
  async t => {
    const decoding = <S extends { setEncoding(encoding: 'utf8'): unknown }>(stream: S): S => {
      stream.setEncoding('utf8')
      return stream
    }
    const child = spawn('sh', ['-c', 'sleep 1'])
    t.teardown(() => child.kill())
    child.stdout.setEncoding('latin1')
    const idle = [
      decoding(new PassThrough()),
      new Readable({ encoding: 'hex', read() {} }),
      decoding(new V2.PassThrough()),
      decoding(new V3.PassThrough()),
      decoding(new V4.PassThrough()),
      new Minipass({ encoding: 'utf8' }),
    ]
    for (const source of [...idle, child]) {
      const { upload } = await uploadIn(t)
      await t.rejects(uploadFrom(source, upload), TOLD)
      if ('destroyed' in source) t.equal(source.destroyed, false)
    }
    for (const source of [idle[0] as PassThrough, decoding(new PassThrough())]) {
      const { upload } = await uploadIn(t)
      source.write(DATA)
      t.match(await failureOf(within(20_000, pipeline(source, upload))), TOLD, 'piped')
    }
    const { upload } = await uploadIn(t)
    const source = decoding(new PassThrough())
    source.write(DATA)
    const through = tee(upload)
    const copy = new PassThrough().resume()
    t.match(await failureOf(within(20_000, pipeline(source, through, copy))), TOLD, 'through a tee')
  },
)

t.test('streamx does not say that it decodes: its text is refused', async t => {
  const { upload } = await uploadIn(t)
  const stream = new streamx.PassThrough()
  stream.setEncoding('utf8')
  stream.write(DATA)
  await t.rejects(within(20_000, uploadFrom(stream, upload)), {
    code: 'ERR_SOURCE_FAILED',
    message: /source must be a stream of bytes; received/,
  })
  t.equal(stream.destroyed, true)
})
