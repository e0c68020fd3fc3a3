/**
 * uploadFrom, with real programs: shells that write, fail, die and linger.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { getEventListeners, once } from 'node:events'
import {
  closeSync,
  constants,
  createWriteStream,
  existsSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
} from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import {
  AbortError,
  FrameioClient,
  RealtimeUpload,
  type RealtimeUploadError,
  type RealtimeUploadOptions,
  type SourceEnd,
  uploadFrom,
} from '../lib/index.ts'
import type { SandboxOptions } from '../lib/sandbox/index.ts'
import { pathWithoutMkfifo } from './support/mkfifo.ts'
import { bytes, chunked, endOf, QUICK, sandboxFor, sha256, until } from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'

const MiB = 2 ** 20
/** A guard against hanging, and no more. */
t.setTimeout(600_000)

const start = async (
  t: Test,
  options: Partial<RealtimeUploadOptions> = {},
  sandboxOptions: SandboxOptions = {},
) => {
  const sandbox = await sandboxFor(t, sandboxOptions)
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const upload = new RealtimeUpload({
    assetId: asset.id,
    filetype: 'video/mp4',
    token: sandbox.token,
    baseUrl: sandbox.url,
    retry: QUICK,
    ...options,
  })
  t.teardown(() => upload.destroy())
  upload.on('error', () => {}) // Asked for by endOf, or by uploadFrom.
  return { sandbox, asset, upload }
}

/** A program that runs a script of the shell. */
const shell = (script: string) => ({ command: 'sh', args: ['-c', script] })

/** As a ChildProcess that the caller started. */
const started = (script: string) => spawn('sh', ['-c', script])

async function* endlessSilence() {
  await new Promise(() => {})
  yield Buffer.alloc(1)
}

/** Where some systems list the descriptors that this process holds. */
const DESCRIPTORS = '/proc/self/fd'

/** How many they are; 0 where the system does not say. */
const descriptors = () => (existsSync(DESCRIPTORS) ? readdirSync(DESCRIPTORS).length : 0)

const isOpen = (fd: number) => {
  try {
    return fstatSync(fd) !== undefined
  } catch {
    return false
  }
}

/** The descriptor of the listing itself is closed by then. */
const isSocket = (fd: number) => isOpen(fd) && fstatSync(fd).isSocket()

/** Sets a variable of the environment until the test ends. */
const withVariable = (t: Test, name: string, value: string) => {
  const before = process.env[name]
  process.env[name] = value
  t.teardown(() => {
    if (before === undefined) delete process.env[name]
    else process.env[name] = before
  })
}

/** Temporary files go to this folder until the test ends. */
const temporary = (t: Test, folder: string) => withVariable(t, 'TMPDIR', folder)

/** Its text, 20 MiB of it, is never the same for long. */
const LONG = 'seq 1 3000000'
const longSum = () => {
  const text = Array.from({ length: 3_000_000 }, (_, index) => `${index + 1}\n`).join('')
  return { size: text.length, sum: sha256(Buffer.from(text)) }
}

for (const [name, source] of [
  ['a program that is started here', () => shell(LONG)],
  ['a ChildProcess', () => started(LONG)],
] as const) {
  t.test(`${name}: every byte arrives`, async t => {
    const { asset, upload } = await start(t)
    const result = await uploadFrom(source(), upload)
    const { size, sum } = longSum()
    t.match(result, { assetId: asset.id, bytes: size, parts: Math.ceil(size / (5 * MiB)) })
    t.match(result.source, { ok: true, exitCode: 0, signal: undefined, stderr: '' })
    await asset.whenUploaded()
    t.equal(asset.sha256, sum)
  })

  t.test(`${name}: memory that is full holds it back, and loses nothing`, async t => {
    const slow = { latency: { storage: 150 } }
    const { asset, upload } = await start(t, { concurrency: 1, memoryLimit: MiB }, slow)
    let stalls = 0
    upload.on('stall', () => stalls++)
    await uploadFrom(source(), upload)
    t.ok(stalls > 0)
    await asset.whenUploaded()
    t.equal(asset.sha256, longSum().sum)
  })
}

t.test('a Readable: every byte arrives', async t => {
  const { asset, upload } = await start(t)
  const data = bytes(6 * MiB)
  const result = await uploadFrom(Readable.from([data], { objectMode: false }), upload)
  t.match(result.source, { ok: true, exitCode: undefined, error: undefined })
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('an upload that has ended takes no second source', async t => {
  const { upload } = await start(t)
  await uploadFrom(shell('echo x'), upload)
  await t.rejects(uploadFrom(shell('echo y'), upload), {
    code: 'ERR_INVALID_OPTION',
    message: 'upload must be one that has not ended; received an object (RealtimeUpload)',
  })
})

t.test('a stream that gives something other than bytes is a source that failed', async t => {
  const { asset, upload } = await start(t)
  const chunks = ['some', Buffer.from(' bytes'), { no: 'bytes' }]
  const result = await uploadFrom(Readable.from(chunks), upload)
  t.equal(result.bytes, 10)
  const message = 'source must be a stream of bytes or strings; received an object (Object)'
  t.match(result.source, { ok: false, error: { message } })
  await asset.whenUploaded()
})

t.test('a source that failed is finalised with what arrived, and told', async t => {
  const script = 'echo some bytes; echo one line >&2; echo the reason >&2; exit 3'
  for (const source of [() => shell(script), () => started(script)]) {
    const { asset, upload } = await start(t)
    const result = await uploadFrom(source(), upload)
    t.equal(result.bytes, 11)
    const stderr = 'one line\nthe reason'
    t.match(result.source, { ok: false, exitCode: 3, signal: undefined, stderr })
    await asset.whenUploaded()
  }
  const { asset, upload } = await start(t)
  const result = await uploadFrom(shell('echo some bytes; kill -9 $$'), upload)
  t.match(result.source, { ok: false, exitCode: undefined, signal: 'SIGKILL' })
  await asset.whenUploaded()
})

t.test('a Readable that failed is finalised with what arrived, and told', async t => {
  const { asset, upload } = await start(t)
  const source = new PassThrough()
  const result = uploadFrom(source, upload)
  source.write(bytes(1_000))
  await until(() => upload.progress.bytesReceived === 1_000)
  source.destroy(new Error('the tape is torn'))
  t.match(await result, {
    bytes: 1_000,
    source: { ok: false, error: { message: 'the tape is torn' } },
  })
  await asset.whenUploaded()
})

t.test('with abort a source that failed leaves the asset unfinished', async t => {
  const script = 'echo some bytes; echo one line >&2; echo the reason >&2; exit 3'
  for (const source of [() => shell(script), () => started(script)]) {
    const { asset, upload } = await start(t)
    await t.rejects(uploadFrom(source(), upload, { onSourceFailure: 'abort' }), {
      code: 'ERR_SOURCE_FAILED',
      message: 'The source failed: exit code 3 (the reason)',
    })
    t.equal(asset.status, 'created')
    t.equal(upload.closed, true)
  }
  const { upload } = await start(t)
  const fine = await uploadFrom(shell('echo fine'), upload, { onSourceFailure: 'abort' })
  t.equal(fine.bytes, 5)
})

t.test('a function decides once it is known how the source ended', async t => {
  const ends: SourceEnd[] = []
  const decide = (verdict: 'finalise' | 'abort') => (end: SourceEnd) => {
    ends.push(end)
    return verdict
  }
  const one = await start(t)
  const onSourceFailure = decide('finalise')
  await uploadFrom(shell('echo kept; exit 9'), one.upload, { onSourceFailure })
  const other = await start(t)
  await t.rejects(
    uploadFrom(shell('echo dropped; exit 8'), other.upload, { onSourceFailure: decide('abort') }),
    { code: 'ERR_SOURCE_FAILED' },
  )
  t.match(ends, [{ exitCode: 9 }, { exitCode: 8 }])
})

t.test('a source that fails before its first byte says why', async t => {
  for (const [source, message] of [
    [() => shell('echo no camera >&2; exit 1'), 'The source failed: exit code 1 (no camera)'],
    [() => ({ command: 'no-such-program' }), 'The source failed: spawn no-such-program ENOENT'],
    [() => started('kill -9 $$'), 'The source failed: SIGKILL'],
  ] as const) {
    const { sandbox, upload } = await start(t)
    await t.rejects(uploadFrom(source(), upload), { code: 'ERR_SOURCE_FAILED', message })
    t.equal(sandbox.stats.registrations, 0)
  }
  const { upload } = await start(t)
  await t.rejects(uploadFrom(shell('exit 0'), upload), { code: 'ERR_EMPTY_STREAM' })
})

t.test('an error tells the last lines of a program, and the line that tells most', async t => {
  const muxer = '[mp4 @ 0x5] muxer does not support non seekable output'
  const lines = [muxer, 'Conversion failed', 'Error initializing output stream 0:0 --']
  const say = lines.map(line => `echo "${line}" >&2`).join('; ')
  const [one, other, third] = [await start(t), await start(t), await start(t)]
  const error = await failureOf(uploadFrom(shell(`${say}; exit 1`), one.upload))
  t.match(error, { code: 'ERR_SOURCE_FAILED', stderr: lines.join('\n') })
  const { message } = error as Error
  t.ok(message.startsWith(`The source failed: exit code 1 (${muxer}). `))
  t.match(message, '-movflags frag_keyframe+empty_moov')
  const secret = 'https://camera/live?key=1'
  const chatty = shell(`seq 1000 >&2; echo "${secret}" >&2; exit 1`)
  const { stderr = '' } = (await failureOf(uploadFrom(chatty, other.upload))) as RealtimeUploadError
  t.ok(stderr.endsWith('\n999\n1000\nhttps://camera/live?[redacted]'))
  const well = await failureOf(uploadFrom(shell('echo nothing to film >&2'), third.upload))
  t.match(well, { code: 'ERR_EMPTY_STREAM', stderr: 'nothing to film' })
})

t.test('what was said before a long progress is kept', async t => {
  const { upload } = await start(t)
  const draw = String.raw`for i in 1 2 3; do seq 2000 | tr '\n' '\r' >&2; sleep 0.05; done`
  const script = `echo x; echo a warning >&2; ${draw}; printf '\\nthe end' >&2`
  const { source } = await uploadFrom(shell(script), upload)
  t.equal(source.stderr, 'a warning\n2000\nthe end')
})

t.test('an upload that fails ends the program, and is what is told', async t => {
  const sandboxOptions = { faults: [{ on: 'put' as const, do: { status: 400 } }] }
  const { upload } = await start(t, {}, sandboxOptions)
  const script = 'trap "" PIPE; yes 2>/dev/null; exec sleep 60'
  const child = started('yes')
  const gone = new Promise(resolve => child.once('exit', resolve))
  await t.rejects(within(20_000, uploadFrom(shell(script), upload)), {
    code: 'ERR_STORAGE_REJECTED',
  })
  const other = await start(t, {}, sandboxOptions)
  await t.rejects(within(20_000, uploadFrom(child, other.upload)), { code: 'ERR_STORAGE_REJECTED' })
  await within(20_000, gone)
})

t.test('an upload that fails is what is told of a Readable, also with abort', async t => {
  const { upload } = await start(t, {}, { faults: [{ on: 'put', do: { status: 400 } }] })
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(64 * 2 ** 10))
    },
  })
  const result = uploadFrom(endless, upload, { onSourceFailure: 'abort' })
  await t.rejects(within(20_000, result), { code: 'ERR_STORAGE_REJECTED' })
  t.equal(endless.destroyed, true)
})

for (const [kind, silent] of [
  ['of bytes', () => new PassThrough()],
  ['of objects', () => new PassThrough({ objectMode: true })],
  ['that is a generator', () => Readable.from(endlessSilence())],
] as const) {
  t.test(`a silent stream ${kind} is destroyed when its upload fails`, async t => {
    const { upload } = await start(t)
    const source = silent()
    const result = uploadFrom(source, upload)
    upload.destroy(new Error('out of a sudden'))
    await t.rejects(within(20_000, result), { message: 'out of a sudden' })
    t.equal(source.destroyed, true)
  })
}

t.test('a stream of objects is held back while the memory is full', async t => {
  const slow = { latency: { storage: 30 } }
  const { asset, upload } = await start(t, { concurrency: 1, memoryLimit: MiB }, slow)
  let stalls = 0
  upload.on('stall', () => stalls++)
  const data = bytes(20 * MiB)
  const result = await uploadFrom(Readable.from(chunked(data, 100_000)), upload)
  t.match(result, { bytes: data.length, source: { ok: true } })
  t.ok(stalls > 0)
  await asset.whenUploaded()
  t.equal(asset.sha256, sha256(data))
})

t.test('an upload that fails while its program is started ends both', async t => {
  const { upload } = await start(t)
  const result = uploadFrom(shell('exec sleep 60'), upload)
  upload.destroy(new Error('at once'))
  await t.rejects(within(20_000, result), { message: 'at once' })
})

/** A program that leaves a file behind, and whether it ran, or `onStart` was told of it. */
const telltale = (t: Test) => {
  const file = join(t.testdir(), 'ran')
  let isStarted = false
  const onStart = () => {
    isStarted = true
  }
  const hasRun = () => isStarted || existsSync(file)
  return { program: { command: 'touch', args: [file] }, options: { onStart }, hasRun }
}

for (const [name, end] of [
  ['failed', (upload: RealtimeUpload) => upload.destroy(new Error('gone'))],
  ['was destroyed', (upload: RealtimeUpload) => upload.destroy()],
  ['had ended and failed', (upload: RealtimeUpload) => upload.end().destroy(new Error('gone'))],
] as const) {
  t.test(
    `an upload that ${name} before starts no program, and is refused by its error`,
    async t => {
      const { upload } = await start(t)
      const { program, options, hasRun } = telltale(t)
      end(upload)
      const error = await failureOf(within(20_000, uploadFrom(program, upload, options)))
      if (upload.errored) t.equal(error, upload.errored)
      else t.ok(error instanceof AbortError)
      t.equal(hasRun(), false)
      const source = new PassThrough()
      t.match(await failureOf(uploadFrom(source, upload)), { message: (error as Error).message })
      t.equal(source.destroyed, true)
    },
  )
}

t.test('an upload whose signal was aborted starts no program', async t => {
  const { upload } = await start(t, { signal: AbortSignal.abort() })
  const { program, options, hasRun } = telltale(t)
  const error = await failureOf(within(20_000, uploadFrom(program, upload, options)))
  t.ok(error instanceof AbortError)
  t.equal(error, upload.errored)
  t.equal(hasRun(), false)
})

for (const [when, wait] of [
  ['in the same tick', (call: () => void) => call()],
  ['while a way for its stdout is made', setImmediate],
] as const) {
  t.test(`an upload that is destroyed ${when} starts no program`, async t => {
    const { upload } = await start(t)
    const { program, options, hasRun } = telltale(t)
    const open = descriptors()
    const failure = failureOf(uploadFrom(program, upload, options))
    wait(() => upload.destroy())
    t.ok((await within(20_000, failure)) instanceof AbortError)
    t.equal(hasRun(), false)
    await until(() => descriptors() <= open, 'what was opened to be closed')
  })
}

t.test('nor does it where there can be no connection', async t => {
  temporary(t, '/no/such/folder')
  const { upload } = await start(t, {}, { storage: 'discard' })
  const { program, options, hasRun } = telltale(t)
  const failure = failureOf(uploadFrom(program, upload, options))
  upload.destroy()
  t.ok((await within(20_000, failure)) instanceof AbortError)
  t.equal(hasRun(), false)
})

t.test('an abort ends a program that is silent', async t => {
  const aborting = new AbortController()
  const { upload } = await start(t, { signal: aborting.signal })
  const failure = failureOf(uploadFrom(shell('exec sleep 60'), upload))
  setTimeout(() => aborting.abort(), 100)
  t.ok((await within(20_000, failure)) instanceof AbortError)
  t.ok((await endOf(upload)) instanceof AbortError)
})

t.test('an abort ends the wait for a program that has outlived its upload', async t => {
  const aborting = new AbortController()
  const { upload } = await start(t, { signal: aborting.signal })
  let child: ChildProcess | undefined
  const onStart = (program: ChildProcess) => {
    child = program
  }
  const script = 'echo some bytes; exec >&- sleep 60'
  const failure = failureOf(uploadFrom(shell(script), upload, { onStart }))
  await within(20_000, endOf(upload))
  t.equal(upload.result?.bytes, 11)
  const gone = new Promise(resolve => child?.once('exit', (_, signal) => resolve(signal)))
  const reason = new Error('enough')
  aborting.abort(reason)
  const error = await within(20_000, failure)
  t.ok(error instanceof AbortError)
  t.equal((error as AbortError).cause, reason)
  t.equal(await within(20_000, gone), 'SIGTERM')
})

t.test('and of one that the caller has started, which goes on', async t => {
  const aborting = new AbortController()
  const { upload } = await start(t, { signal: aborting.signal })
  const child = started('echo some bytes; exec >&- sleep 60')
  t.teardown(() => child.kill())
  const failure = failureOf(uploadFrom(child, upload))
  await within(20_000, endOf(upload))
  aborting.abort()
  t.ok((await within(20_000, failure)) instanceof AbortError)
  t.equal(child.signalCode, null)
  t.equal(child.stdout.destroyed, true)
})

t.test('a signal is followed by many calls without a warning, and let go of', async t => {
  const aborting = new AbortController()
  const { signal } = aborting
  const warnings: Error[] = []
  const hear = (warning: Error) => void warnings.push(warning)
  process.on('warning', hear)
  t.teardown(() => process.off('warning', hear))
  const children: ChildProcess[] = []
  const onStart = (program: ChildProcess) => void children.push(program)
  const uploads = await Promise.all(Array.from({ length: 12 }, () => start(t, { signal })))
  const script = 'echo x; exec >&- sleep 60'
  const results = uploads.map(({ upload }) => uploadFrom(shell(script), upload, { onStart }))
  for (const { upload } of uploads) await within(60_000, endOf(upload))
  await new Promise(setImmediate)
  t.equal(getEventListeners(signal, 'abort').length, 1)
  for (const child of children) child.kill()
  for (const result of results) t.match((await result).source, { signal: 'SIGTERM' })
  t.equal(getEventListeners(signal, 'abort').length, 0)
  t.strictSame(warnings, [])
})

t.test('a program that closes its stdout without a byte says why when it ends', async t => {
  const { upload } = await start(t)
  const script = 'exec >&-; sleep 0.3; echo no camera >&2; exit 1'
  await t.rejects(within(20_000, uploadFrom(shell(script), upload)), {
    code: 'ERR_SOURCE_FAILED',
    message: 'The source failed: exit code 1 (no camera)',
  })
})

t.test('and where it does not end soon it is not waited for', async t => {
  const [one, other] = [await start(t), await start(t)]
  const child = started('exec >&- sleep 60')
  t.teardown(() => child.kill())
  await Promise.all([
    t.rejects(within(20_000, uploadFrom(child, one.upload)), { code: 'ERR_EMPTY_STREAM' }),
    t.rejects(within(20_000, uploadFrom(shell('exec >&- sleep 60'), other.upload)), {
      code: 'ERR_EMPTY_STREAM',
    }),
  ])
})

t.test('a program that closes its stdout early is waited for, and the upload is not', async t => {
  const { upload } = await start(t)
  let child: ChildProcess | undefined
  const onStart = (program: ChildProcess) => {
    child = program
  }
  const result = uploadFrom(shell('echo some bytes; exec >&- sleep 60'), upload, { onStart })
  await within(20_000, endOf(upload))
  t.equal(upload.result?.bytes, 11)
  t.equal(child?.exitCode, null)
  child?.kill()
  t.match((await result).source, { ok: false, signal: 'SIGTERM' })
})

t.test('an upload that fails while its program is waited for is not waited for', async t => {
  const { upload } = await start(t)
  const script = 'trap "" TERM; echo x; exec >&- 2>&-; exec sleep 60'
  const onStart = (program: ChildProcess) => t.teardown(() => program.kill('SIGKILL'))
  const result = uploadFrom(shell(script), upload, { onSourceFailure: 'abort', onStart })
  await until(() => upload.progress.bytesReceived > 0)
  setTimeout(() => upload.destroy(new Error('out of a sudden')), 100)
  await t.rejects(within(20_000, result), { message: 'out of a sudden' })
})

for (const [how, fail] of [
  [
    'throw',
    () => {
      throw new Error('a mistake')
    },
  ],
  ['reject', async () => Promise.reject(new Error('a mistake'))],
] as const) {
  t.test(`callbacks that ${how} end the upload and the program`, async t => {
    const one = await start(t)
    const decided = uploadFrom(shell('echo x; exit 1'), one.upload, { onSourceFailure: fail })
    await t.rejects(within(20_000, decided), { message: 'a mistake' })
    t.equal(one.upload.closed, true)
    const other = await start(t)
    let child: ChildProcess | undefined
    const onStart = (program: ChildProcess) => {
      child = program
      return fail()
    }
    const result = uploadFrom(shell('exec sleep 60'), other.upload, { onStart })
    await t.rejects(within(20_000, result), { message: 'a mistake' })
    t.equal(other.upload.closed, true)
    await until(() => child?.signalCode === 'SIGTERM', 'the program to end')
  })
}

t.test('a callback that rejects after the upload has finished is told as well', async t => {
  const { upload } = await start(t)
  const onStart = async () => {
    await endOf(upload)
    throw new Error('a mistake')
  }
  const result = uploadFrom(shell('echo x; exec >&- sleep 60'), upload, { onStart })
  await t.rejects(within(20_000, result), { message: 'a mistake' })
})

t.test('a function may take its time to decide, and an upload that fails is not kept', async t => {
  const one = await start(t)
  const later = async () => {
    await new Promise(setImmediate)
    return 'abort' as const
  }
  const aborted = uploadFrom(shell('echo x; exit 1'), one.upload, { onSourceFailure: later })
  await t.rejects(within(20_000, aborted), { code: 'ERR_SOURCE_FAILED' })
  const { upload } = await start(t)
  const never = () => {
    setImmediate(() => upload.destroy(new Error('out of a sudden')))
    return new Promise<never>(() => {})
  }
  const kept = uploadFrom(shell('echo x; exit 1'), upload, { onSourceFailure: never })
  await t.rejects(within(20_000, kept), { message: 'out of a sudden' })
})

t.test('a program is told of before its first event', async t => {
  for (const folder of [undefined, '/no/such/folder']) {
    if (folder) temporary(t, folder)
    const { upload } = await start(t, {}, { storage: 'discard' })
    let spawned = 0
    const onStart = (program: ChildProcess) => void program.once('spawn', () => spawned++)
    await uploadFrom(shell('echo x'), upload, { onStart })
    t.equal(spawned, 1)
  }
})

t.test('lines that are drawn again and again count once', async t => {
  const { upload } = await start(t)
  const script = String.raw`echo x; printf 'frame=1\rframe=2\rframe=3\nthe end\n' >&2; exit 1`
  const { source } = await uploadFrom(shell(script), upload)
  t.equal(source.stderr, 'frame=3\nthe end')
})

t.test('last words may come late, and in pieces', async t => {
  const { upload } = await start(t)
  const words = String.raw`printf 'late \303'; sleep 0.1; printf '\244'`
  const { source } = await uploadFrom(shell(`(sleep 0.1; ${words}) >&2 & echo x; exit 1`), upload)
  t.equal(source.stderr, 'late ä')
})

t.test('a stderr that another program holds open is not waited for', async t => {
  const { asset, upload } = await start(t)
  const script = 'sleep 30 >&2 & echo $!; echo why >&2; exit 1'
  const { source } = await within(15_000, uploadFrom(shell(script), upload))
  t.match(source, { exitCode: 1, stderr: 'why' })
  await asset.whenUploaded()
  process.kill(Number(await readFile(asset.path ?? '', 'utf8')))
})

t.test('a long stderr is read to its end, and its tail is kept', async t => {
  const { upload } = await start(t)
  const { source } = await uploadFrom(shell('echo x; seq 1 100000 >&2; exit 1'), upload)
  t.ok(source.stderr.endsWith('\n99999\n100000'))
  t.ok(source.stderr.length <= 4_096)
})

t.test('a last line without end is cut before it becomes a message', async t => {
  const { upload } = await start(t)
  const script = String.raw`head -c 9000 /dev/zero | tr '\0' x >&2; exit 1`
  const error = (await failureOf(uploadFrom(shell(script), upload))) as Error
  t.equal(error.message, `The source failed: exit code 1 (${'x'.repeat(500)})`)
})

t.test('an error of a ChildProcess that runs all the same is not its end', async t => {
  const { upload } = await start(t)
  const child = started('sleep 0.2; echo some bytes')
  const result = uploadFrom(child, upload)
  child.emit('error', new Error('a signal could not be sent'))
  t.match(await result, { bytes: 11, source: { ok: true } })
})

t.test('a stdout that broke is a failure, although its program ended well', async t => {
  const { upload } = await start(t)
  const child = started('echo some bytes; sleep 0.5')
  const result = uploadFrom(child, upload)
  await until(() => upload.progress.bytesReceived > 0)
  child.stdout.destroy(new Error('the pipe is torn'))
  const error = { message: 'the pipe is torn' }
  t.match(await result, { bytes: 11, source: { ok: false, exitCode: 0, error } })
})

t.test('a stderr that broke costs the last words, and nothing else', async t => {
  const { upload } = await start(t)
  const child = started('echo some bytes; sleep 0.5')
  const result = uploadFrom(child, upload)
  child.stderr.destroy(new Error('the pipe is torn'))
  t.match(await result, { bytes: 11, source: { ok: true, stderr: '' } })
})

t.test('a child that has ended is refused, for Node has thrown away what it wrote', async t => {
  const { upload } = await start(t)
  for (const script of ['echo some bytes; exit 2', 'kill -9 $$']) {
    const child = started(script)
    await new Promise(resolve => child.once('exit', resolve))
    await t.rejects(uploadFrom(child, upload), { code: 'ERR_INVALID_OPTION' })
  }
})

t.test('the environment and the folder of a program can be set', async t => {
  const { upload } = await start(t)
  const options = { cwd: '/', env: { ...process.env, TAKE: '7' } }
  const program = { ...shell('printf %s "$TAKE$PWD"'), options, stdin: 'ignore' as const }
  t.equal((await uploadFrom(program, upload)).bytes, 2)
})

t.test('no program sees the token, unless it is handed to it', async t => {
  const { FRAMEIO_TOKEN } = process.env
  process.env.FRAMEIO_TOKEN = 'fio-u-secret'
  t.teardown(() => {
    if (FRAMEIO_TOKEN === undefined) delete process.env.FRAMEIO_TOKEN
    else process.env.FRAMEIO_TOKEN = FRAMEIO_TOKEN
  })
  const script = 'printf %s "$' + '{FRAMEIO_TOKEN-none}$' + '{PATH:+ path}"'
  const long = join(t.testdir(), 'a'.repeat(100)) // There can be no pair of sockets there.
  mkdirSync(long)
  const path = pathWithoutMkfifo(t)
  for (const [folder, programs] of [
    [tmpdir(), process.env.PATH ?? ''],
    [tmpdir(), path],
    [long, path],
  ] as const) {
    temporary(t, folder)
    withVariable(t, 'PATH', programs)
    for (const [options, seen] of [
      [undefined, 'none path'],
      [{}, 'none path'],
      [{ cwd: '/', env: undefined }, 'none path'],
      [{ env: process.env }, 'fio-u-secret path'],
    ] as const) {
      const { asset, upload } = await start(t)
      await uploadFrom({ ...shell(script), options }, upload)
      await asset.whenUploaded()
      t.equal(asset.sha256, sha256(Buffer.from(seen)))
    }
  }
})

t.test('options of spawn that make no sense fail before anything runs', async t => {
  const { upload } = await start(t)
  const program = { ...shell('echo x'), options: { cwd: 7 as unknown as string } }
  await t.rejects(uploadFrom(program, upload), {
    code: 'ERR_INVALID_OPTION',
    option: 'source.options.cwd',
    message: 'source.options.cwd must be a path or a file: URL, without null bytes; received 7',
  })
  t.equal(upload.destroyed, true)
})

t.test("what only Node's own spawn refuses is told as what it is", async t => {
  for (const folder of [undefined, '/no/such/folder']) {
    const [one, other] = [await start(t), await start(t)]
    if (folder) temporary(t, folder)
    const options = { killSignal: 'SIGNONE' as NodeJS.Signals }
    const open = descriptors()
    await t.rejects(uploadFrom({ ...shell('echo x'), options }, one.upload), {
      code: 'ERR_INVALID_OPTION',
      option: 'source.options',
      message: /^source.options must be what spawn takes; it says: .*SIGNONE/,
    })
    const tooLong = { command: 'true', args: ['x'.repeat(4 * MiB)] }
    await t.rejects(uploadFrom(tooLong, other.upload), {
      code: 'ERR_SOURCE_FAILED',
      message: 'The source failed: spawn E2BIG',
    })
    t.equal(one.upload.closed && other.upload.closed, true)
    await until(() => descriptors() <= open, 'what was opened to be closed')
  }
})

t.test('options of spawn that do make sense are passed on', async t => {
  const { upload } = await start(t)
  const options = {
    cwd: pathToFileURL('/'),
    env: { ...process.env, TAKE: '7', LEFT_OUT: undefined, PORT: 80 as unknown as string },
    argv0: 'camera',
    detached: true,
    timeout: 60_000,
    killSignal: 'SIGINT' as const,
    shell: false,
    signal: new AbortController().signal,
  }
  const program = { ...shell('printf %s "$TAKE$PWD$0$PORT"'), options, stdin: 'ignore' as const }
  t.equal((await uploadFrom(program, upload)).bytes, '7/camera80'.length)
})

t.test('nothing is left in the folder for temporary files', async t => {
  const folder = mkdtempSync('/tmp/x')
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { upload } = await start(t, {}, { storage: 'discard' })
  temporary(t, folder)
  await uploadFrom(shell('echo x'), upload)
  t.strictSame(readdirSync(folder), [])
})

t.test('where there can be no named pipe a pair of sockets does', async t => {
  const { asset, upload } = await start(t)
  withVariable(t, 'PATH', pathWithoutMkfifo(t))
  const reasons: unknown[] = []
  const hear = (reason: unknown) => void reasons.push(reason)
  subscribe('frameio-realtime-upload:pair', hear)
  t.teardown(() => unsubscribe('frameio-realtime-upload:pair', hear))
  const script = `${LONG}; echo why >&2; [ -S /proc/self/fd/1 ] && exit 9; exit 8`
  const { source } = await uploadFrom(shell(script), upload)
  await asset.whenUploaded()
  t.equal(asset.sha256, longSum().sum)
  const isLinux = process.platform === 'linux'
  t.match(source, { exitCode: isLinux ? 9 : Number, stderr: 'why' })
  t.match(reasons, isLinux ? [{ error: { message: /mkfifo/ } }] : [], 'it tells why')
})

t.test('where there can be no socket either a pipe does', async t => {
  const long = join(t.testdir(), 'a'.repeat(100)) // Its name would be cut.
  mkdirSync(long)
  withVariable(t, 'PATH', pathWithoutMkfifo(t))
  const [one, other, third] = [await start(t), await start(t), await start(t)]
  const fourth = await start(t)
  const reasons: unknown[] = []
  const hear = (reason: unknown) => void reasons.push(reason)
  subscribe('frameio-realtime-upload:pair', hear)
  t.teardown(() => unsubscribe('frameio-realtime-upload:pair', hear))
  for (const [folder, { asset, upload }] of [
    [long, one],
    ['/no/such/folder', other],
  ] as const) {
    temporary(t, folder)
    await uploadFrom(shell(LONG), upload)
    await asset.whenUploaded()
    t.equal(asset.sha256, longSum().sum)
  }
  t.strictSame(readdirSync(long), [])
  const first = process.platform === 'linux' ? [{ error: { message: /mkfifo/ } }] : []
  t.match(
    reasons,
    [...first, { error: { message: /103 bytes/ } }, { error: { code: 'ENOENT' } }],
    'it tells why',
  )
  // From a timer: there what cannot be started says so before any promise is settled.
  temporary(t, long)
  const missing = new Promise((resolve, reject) => {
    setTimeout(() => uploadFrom({ command: 'no-such-program' }, third.upload).then(resolve, reject))
  })
  await t.rejects(missing, {
    code: 'ERR_SOURCE_FAILED',
    message: /ENOENT/,
    cause: { code: 'ENOENT' },
  })
  const options = { cwd: '/', env: { ...process.env, TAKE: '7' } }
  const program = { ...shell('printf %s "$TAKE$PWD"'), options }
  t.equal((await uploadFrom(program, fourth.upload)).bytes, 2)
})

t.test('after a mistake in the arguments nothing ends the process', async t => {
  const sandbox = await sandboxFor(t)
  const { id: assetId, filetype } = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  const upload = new RealtimeUpload({ assetId, filetype, client })
  const source = new PassThrough()
  const wrong = { onSourceFailure: 'stop' as 'abort' }
  await t.rejects(uploadFrom(source, upload, wrong), { code: 'ERR_INVALID_OPTION' })
  await client.close() // It destroys uploads that go on, which nobody listens to here.
  t.equal(upload.closed, true)
  t.equal(source.destroyed, false)
})

t.test('a descriptor that cannot be read is told by name, and stays open', async t => {
  const { upload } = await start(t)
  const folder = t.testdir({ file: '' })
  const opened = [openSync(folder, 'r'), openSync(join(folder, 'file'), 'a')] as const
  const closed = openSync(folder, 'r')
  t.teardown(() => opened.map(closeSync))
  closeSync(closed)
  for (const [fd, received] of [
    [closed, `${closed} (EBADF)`],
    [opened[0], `${opened[0]} (a folder)`],
    [opened[1], `${opened[1]} (EBADF)`],
  ] as const) {
    await t.rejects(uploadFrom({ fd }, upload), {
      code: 'ERR_INVALID_OPTION',
      option: 'source.fd',
      message: `source.fd must be a file, pipe or socket open for reading; received ${received}`,
    })
  }
  for (const fd of opened) t.ok(fstatSync(fd))
  t.equal(upload.closed, true)
})

t.test('a descriptor is closed when it was read to its end', async t => {
  const folder = t.testdir({ file: 'some bytes' })
  execFileSync('mkfifo', [join(folder, 'pipe')])
  const [one, other] = [await start(t), await start(t)]
  const file = openSync(join(folder, 'file'), 'r')
  t.match(await uploadFrom({ fd: file }, one.upload), { bytes: 10, source: { ok: true } })
  await until(() => !isOpen(file), 'the file to be closed')
  const pipe = openSync(join(folder, 'pipe'), constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = createWriteStream(join(folder, 'pipe'))
  writer.end('bytes')
  t.match(await uploadFrom({ fd: pipe }, other.upload), { bytes: 5, source: { ok: true } })
  await until(() => !isOpen(pipe), 'the pipe to be closed')
})

t.test('a descriptor is closed when its upload fails, be it silent', async t => {
  const folder = t.testdir({ file: 'some bytes' })
  execFileSync('mkfifo', [join(folder, 'pipe')])
  for (const name of ['file', 'pipe']) {
    const { upload } = await start(t)
    const fd = openSync(join(folder, name), 'r+')
    const result = uploadFrom({ fd }, upload)
    upload.destroy(new Error('out of a sudden'))
    await t.rejects(within(20_000, result), { message: 'out of a sudden' })
    await until(() => !isOpen(fd), `the ${name} to be closed`)
  }
})

t.test('a socket that is no stream is a source that failed', async t => {
  if (!existsSync(DESCRIPTORS)) return t.pass('the system does not say which it is')
  const sockets = () => readdirSync(DESCRIPTORS).map(Number).filter(isSocket)
  const before = sockets()
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  t.teardown(() => socket.close())
  await once(socket, 'listening')
  const fd = sockets().find(found => !before.includes(found)) ?? -1
  const { upload } = await start(t)
  await t.rejects(uploadFrom({ fd }, upload), {
    code: 'ERR_SOURCE_FAILED',
    message: 'The source failed: Unsupported fd type: UDP',
    cause: { code: 'ERR_INVALID_FD_TYPE' },
  })
  t.equal(upload.closed, true)
  return undefined
})

t.test('arguments that make no sense are told by name', async t => {
  const { upload } = await start(t)
  const call = uploadFrom as (...args: unknown[]) => Promise<unknown>
  const child = spawn('true', { stdio: 'ignore' })
  const plain = 'a string without null bytes'
  const kinds =
    'a stream, a Blob, bytes or what gives them piece by piece, a ChildProcess, { command, args }, { file } or { fd }'
  for (const [args, message] of [
    [[], 'upload must be a RealtimeUpload; received undefined'],
    [[null, upload], `source must be ${kinds}; received null`],
    [['ffmpeg', upload], `source must be ${kinds}; received 'ffmpeg'`],
    [[{ args: ['-c', 'x'] }, upload], `source must be ${kinds}; received an object (Object)`],
    [
      [child, upload],
      'source must be a ChildProcess whose stdout is a pipe; received an object (ChildProcess)',
    ],
    [
      [shell('x'), new PassThrough()],
      'upload must be a RealtimeUpload; received an object (PassThrough)',
    ],
    [[shell('x'), upload, null], 'options must be an object; received null'],
    [
      [shell('x'), upload, { onSourceFailure: 'stop' }],
      "onSourceFailure must be 'finalise', 'abort', or a function that returns one of them; received 'stop'",
    ],
    [[shell('x'), upload, { onStart: 7 }], 'onStart must be a function; received 7'],
    [
      [shell('x'), upload, { onsourcefailure: 'abort' }],
      'onsourcefailure is not an option; did you mean onSourceFailure?',
    ],
  ] as const) {
    await t.rejects(call(...args), { code: 'ERR_INVALID_OPTION', message })
  }
  for (const [source, option, rest] of [
    [{ fd: '0' }, 'source.fd', "must be an integer from 0 to 2147483647; received '0'"],
    [{ fd: -1 }, 'source.fd', 'must be an integer from 0 to 2147483647; received -1'],
    [{ fd: 0, end: 7 }, 'source.end', 'is not an option; there are fd'],
    [
      { command: '' },
      'source.command',
      `must be a non-empty string without null bytes; received ''`,
    ],
    [
      { command: 'a\0b' },
      'source.command',
      String.raw`must be a non-empty string without null bytes; received 'a\x00b'`,
    ],
    [
      { command: ['sh'] },
      'source.command',
      'must be a non-empty string without null bytes; received an object (Array)',
    ],
    [{ command: 'sh', fd: 0 }, 'source.command', 'is not an option; there are fd'],
    [
      { command: 'sh', arguments: ['x'] },
      'source.arguments',
      'is not an option; there are command, args, options, stdin',
    ],
    [{ command: 'sh', Args: ['x'] }, 'source.Args', 'is not an option; did you mean source.args?'],
    [
      { command: 'sh', args: '-c secret' },
      'source.args',
      'must be a list of strings; received a string',
    ],
    [{ command: 'sh', args: null }, 'source.args', 'must be a list of strings; received null'],
    [{ command: 'sh', args: ['-c', 7] }, 'source.args[1]', `must be ${plain}; received number`],
    [
      { command: 'sh', args: ['secret\0'] },
      'source.args[0]',
      `must be ${plain}; received a string with one`,
    ],
    [
      { command: 'sh', stdin: 'pipe' },
      'source.stdin',
      "must be 'ignore' or 'inherit'; received 'pipe'",
    ],
    [{ command: 'sh', options: null }, 'source.options', 'must be an object; received null'],
    [
      { command: 'sh', options: { detatched: true } },
      'source.options.detatched',
      /^source.options.detatched is not an option; there are cwd, argv0, /,
    ],
    [{ command: 'sh', options: { stdio: 'inherit' } }, 'source.options.stdio', /is not an option/],
    [
      { command: 'sh', options: { cwd: 'a\0b' } },
      'source.options.cwd',
      String.raw`must be a path or a file: URL, without null bytes; received 'a\x00b'`,
    ],
    [
      { command: 'sh', options: { cwd: new URL('http://a') } },
      'source.options.cwd',
      'must be a path or a file: URL, without null bytes; received an object (URL)',
    ],
    [
      { command: 'sh', options: { env: 'A=1' } },
      'source.options.env',
      'must be an object; received a string',
    ],
    [
      { command: 'sh', options: { env: { A: 'secret\0' } } },
      'source.options.env.A',
      `must be ${plain}; received a string with one`,
    ],
    [
      { command: 'sh', options: { env: { A: { secret: 1 } } } },
      'source.options.env.A',
      `must be ${plain}; received object`,
    ],
    [
      { command: 'sh', options: { env: { 'A\0': 'x' } } },
      'source.options.env',
      'must be an object of names without null bytes; received a null byte',
    ],
    [{ command: 'sh', options: { signal: {} } }, 'source.options.signal', /must be an AbortSignal/],
    [{ command: 'sh', options: { timeout: -1 } }, 'source.options.timeout', /must be an integer/],
    [{ command: 'sh', options: { uid: 1.5 } }, 'source.options.uid', /must be an integer/],
  ] as const) {
    const message = typeof rest === 'string' ? `${option} ${rest}` : rest
    await t.rejects(call(source, upload), { code: 'ERR_INVALID_OPTION', option, message })
  }
  t.equal(upload.closed, true)
})
