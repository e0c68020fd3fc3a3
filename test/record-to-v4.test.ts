import {
  appendFile,
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  AbortError,
  FrameioClient,
  type FrameioV4ClientOptions,
  type Progress,
  RealtimeUploadError,
  type RecordToV4Options,
  type ResumedV4,
  recordToV4,
  resumeUploads,
  resumeV4,
  type Source,
  type TakeEvent,
} from '../lib/index.ts'
import { lock } from '../lib/lock.ts'
import type { Sandbox, SandboxOptions } from '../lib/sandbox/index.ts'
import { lineOf } from '../lib/spool/journal.ts'
import { openTake } from '../lib/v4/take-open.ts'
import { waitingTakes } from '../lib/v4/waiting-takes.ts'
import { folderFor, until } from './support/sandboxes.ts'
import { failureOf } from './support/servers.ts'
import { noSmallDisk, smallDisk } from './support/small-disk.ts'
import { filesOf, filmIn, namesOf, slowly } from './support/takes.ts'
import { putsOf, v4ClientFor, v4For } from './support/v4.ts'

/** A guard against hanging, and no more. */
t.setTimeout(300_000)

const { film, pieces } = await filmIn(t.testdir())
const NAMES = namesOf(pieces.length)
const WANTED = pieces.map((bytes, index): [string, Buffer] => [NAMES[index] as string, bytes])

const start = async (
  t: Test,
  sandboxOptions: SandboxOptions = {},
  clientOptions: Partial<FrameioV4ClientOptions> = {},
) => {
  const sandbox = await v4For(t, { v4: { sliceSize: 100_000 }, ...sandboxOptions })
  const client = v4ClientFor(t, sandbox, clientOptions)
  const dir = await folderFor(t)
  const events: TakeEvent[] = []
  const { folderId } = sandbox.v4
  const record = (source: Source, options: Partial<RecordToV4Options> = {}) =>
    recordToV4(source, {
      ...{ client, folderId, name: 'A001.ts', segment: '10s' },
      spool: { dir, keepFree: 0, syncEvery: 20 },
      onEvent: event => void events.push(event),
      ...options,
    })
  const codes = () => events.flatMap(event => (event.type === 'warning' ? event.code : []))
  return { sandbox, client, dir, events, record, codes }
}

const resumed = async (...args: Parameters<typeof resumeV4>): Promise<ResumedV4[]> => {
  const all: ResumedV4[] = []
  for await (const one of resumeV4(...args)) all.push(one)
  return all
}

/** Each with its code, where it failed. */
const toldOf = (all: readonly ResumedV4[]) =>
  all.map(one => [one.name, 'error' in one ? (one.error as RealtimeUploadError).code : one.bytes])

const isAllThere = async (t: Test, sandbox: Sandbox, wanted = WANTED) => {
  const found = await filesOf(sandbox)
  t.strictSame(
    found.map(([name]) => name),
    wanted.map(([name]) => name),
    'each file once',
  )
  for (const [index, [name, bytes]] of found.entries())
    t.ok(wanted[index]?.[1].equals(bytes), `${name} is what was recorded`)
}

/** The folder of the only recording. */
const onlyTake = async (dir: string): Promise<string> => {
  const names = await readdir(dir)
  if (names.length !== 1) throw new Error(`One recording was expected, not ${names}`)
  return join(dir, names[0] as string)
}

t.test('a recording outlives an outage, and its source is never held', async t => {
  const { sandbox, record, events, codes } = await start(t, {}, { retry: { giveUpAfter: 50 } })
  sandbox.faults.add({ on: 'api', times: Infinity, do: { reset: 'before' } })
  let hasCome = false
  const source = async function* () {
    yield* slowly(film)
    hasCome = true
    // The last piece is whole only behind the end; all others are, and wait.
    await until(() => events.filter(({ type }) => type === 'piece').length === pieces.length - 1)
    sandbox.faults.clear()
  }
  const { files } = await record(source())
  t.ok(hasCome)
  t.ok(events.some(({ type }) => type === 'retry'))
  t.strictSame(codes(), [], 'an outage is not even worth a warning')
  t.equal(files.length, pieces.length)
  await isAllThere(t, sandbox)
})

t.test('a name too long for the disk makes files apart, which all wait out an outage', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  const stem = 'é'.repeat(200)
  await failureOf(record(slowly(film), { name: `${stem}.ts` }))
  sandbox.faults.clear()
  await resumed({ dir, client })
  const names = namesOf(pieces.length, stem)
  await isAllThere(
    t,
    sandbox,
    pieces.map((bytes, index) => [names[index] as string, bytes]),
  )
})

t.test('an outage behind the end is given up on in time, and goes on', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'put', nth: 6, times: Infinity, do: { reset: 'during' } })
  const error = await failureOf(record(slowly(film)))
  t.match(error, { code: 'ERR_NETWORK', message: /is kept in .*A001-.*: resumeV4 goes on with it/ })
  sandbox.faults.clear()
  const before = putsOf(sandbox).length
  const all = await resumed({ dir, client })
  t.strictSame(
    toldOf(all),
    WANTED.map(([name, bytes]) => [name, bytes.length]),
  )
  const slices = sandbox.v4.files.reduce((sum, { parts }) => sum + parts.length, 0)
  t.equal(putsOf(sandbox).length, slices, 'what was stored is not sent twice')
  t.ok(before > 0)
  await isAllThere(t, sandbox)
  t.strictSame(await readdir(dir), [])
})

t.test('a refusal in mid-recording is a warning, and the error at the end', async t => {
  const { sandbox, record, dir, codes } = await start(t)
  const source = async function* () {
    yield* slowly(film.subarray(0, film.length / 2))
    await until(() => sandbox.v4.files.length > 0)
    sandbox.renewToken()
    yield* slowly(film.subarray(film.length / 2))
    await until(() => codes().length > 0)
  }
  const error = await failureOf(record(source()))
  t.match(error, { code: 'ERR_UNAUTHORIZED', message: /resumeV4 goes on with it/ })
  t.strictSame(codes(), ['UPLOAD_FAILED'])
  const client = v4ClientFor(t, sandbox)
  const all = await resumed({ dir, client })
  t.strictSame(
    toldOf(all),
    WANTED.map(([name, bytes]) => [name, bytes.length]),
  )
  await isAllThere(t, sandbox)
})

t.test('a token that comes while the recording goes on is used by the next piece', async t => {
  /** How many pieces there were, each time a token was asked for. */
  const asked: number[] = []
  let first = ''
  const token = () => {
    asked.push(count('piece'))
    return count('piece') > 3 ? sandbox.token : first
  }
  const { sandbox, record, events, codes } = await start(t, {}, { token })
  const count = (wanted: string) => events.filter(({ type }) => type === wanted).length
  first = sandbox.token
  const source = async function* () {
    for await (const chunk of slowly(film)) {
      yield chunk
      await until(() => codes().length > 0 || count('piece') === count('file'))
      if (count('piece') === 1 && sandbox.token === first) sandbox.renewToken()
      // The second piece was refused, and is again as the third comes: both tokens of a try are dead.
      if (count('piece') === 3) await until(() => asked.filter(n => n === 3).length > 1)
    }
  }
  t.equal((await record(source())).files.length, pieces.length)
  t.strictSame(codes(), ['UPLOAD_FAILED'], 'it is said once')
  await isAllThere(t, sandbox)
})

t.test('where a refusal is followed by another, that is said as well', async t => {
  const { sandbox, record, events, codes } = await start(t)
  const refuse = (status: number) => {
    sandbox.faults.clear()
    sandbox.faults.add({ on: 'api', times: Infinity, do: { status, body: { errors: [] } } })
  }
  refuse(403)
  const source = async function* () {
    for await (const chunk of slowly(film)) {
      yield chunk
      if (codes().length > 0 || !events.some(({ type }) => type === 'piece')) continue
      await until(() => codes().length > 0)
      refuse(402)
    }
    await until(() => codes().length > 1)
  }
  t.match(await failureOf(record(source())), { code: 'ERR_PLAN_LIMIT' })
  t.strictSame(codes(), ['UPLOAD_FAILED', 'UPLOAD_FAILED'])
})

t.test('an abort leaves all that is not stored for a resume', async t => {
  const { sandbox, record, dir, client, events } = await start(t)
  const aborting = new AbortController()
  const source = async function* () {
    yield* slowly(film.subarray(0, film.length / 2))
    await until(() => events.some(({ type }) => type === 'file'))
    aborting.abort()
    yield* slowly(film)
  }
  const error = await failureOf(record(source(), { signal: aborting.signal }))
  t.type(error, AbortError)
  t.match(error, { message: /resumeV4 goes on with it/ })
  const folder = await onlyTake(dir)
  t.equal((await stat(folder)).mode & 0o777, 0o700)
  for (const name of await readdir(folder)) {
    const { mode } = await stat(join(folder, name))
    t.equal(mode & 0o077, 0, `${name} is for its owner alone`)
  }
  const all = await resumed({ dir, client })
  t.notOk(all.some(one => 'error' in one))
  const found = await filesOf(sandbox)
  t.strictSame(
    found.map(([name]) => name),
    NAMES.slice(0, found.length),
  )
  for (const [index, [name, bytes]] of found.entries()) {
    const wanted = pieces[index] as Buffer
    const isLast = index === found.length - 1
    t.ok(wanted.subarray(0, bytes.length).equals(bytes), `${name} is an honest prefix`)
    t.ok(isLast || bytes.length === wanted.length, `${name} is whole`)
  }
  t.strictSame(await readdir(dir), [])
})

t.test('while it runs nobody else touches it', async t => {
  const { record, dir, client, events } = await start(t)
  const source = async function* () {
    yield* slowly(film.subarray(0, film.length / 2))
    await until(() => events.some(({ type }) => type === 'piece'))
    t.strictSame(toldOf(await resumed({ dir, client })), [[undefined, 'ERR_SPOOL_IN_USE']])
    yield* slowly(film.subarray(film.length / 2))
  }
  t.equal((await record(source())).files.length, pieces.length)
})

t.test('what stays lies there under its own name', async t => {
  const { sandbox, record, dir } = await start(t)
  const { kept } = await record(slowly(film), { spool: { dir, keepFree: 0, keep: true } })
  t.equal(kept, await onlyTake(dir))
  t.strictSame((await readdir(kept as string)).sort(), NAMES)
  for (const [name, bytes] of WANTED)
    t.ok((await readFile(join(kept as string, name))).equals(bytes))
  await isAllThere(t, sandbox)
})

t.test('a full disk holds the source until pieces are gone', { skip: noSmallDisk }, async t => {
  const { sandbox, record, events, codes } = await start(t)
  // Beside what is kept for journals there is room for a third of the film.
  const room = Math.ceil(film.length / 3)
  const dir = smallDisk(t, 2 ** 21 + room)
  sandbox.faults.add({ on: 'put', times: 3, do: { reset: 'before' } })
  const { files } = await record(slowly(film, 65_536, 0), { spool: { dir, keepFree: 0 } })
  t.equal(files.length, pieces.length)
  t.ok(codes().includes('SPOOL_FULL'))
  const holds = events.flatMap(({ type }) => (type === 'stall' || type === 'resume' ? type : []))
  t.strictSame(holds.slice(0, 2), ['stall', 'resume'])
  await isAllThere(t, sandbox)
})

t.test('beyond maxBytes the source is held as well', async t => {
  const { sandbox, record, dir, codes } = await start(t)
  const maxBytes = Math.max(...pieces.map(({ length }) => length)) + 100_000
  await record(slowly(film, 65_536, 0), { spool: { dir, keepFree: 0, maxBytes } })
  t.ok(codes().includes('SPOOL_FULL'))
  await isAllThere(t, sandbox)
})

t.test('where no piece will ever make room below maxBytes it ends, and all stays', async t => {
  const { sandbox, record, dir, client } = await start(t)
  const spool = { dir, keepFree: 0, maxBytes: 300_000 }
  const error = await failureOf(record(slowly(film), { spool, segment: undefined }))
  t.match(error, { code: 'ERR_STREAM_TOO_LARGE', message: /spool\.maxBytes \(300000\)/ })
  const [one] = await resumed({ dir, client })
  t.match(one, { name: 'A001.ts' })
  const [[, bytes = Buffer.alloc(0)] = []] = await filesOf(sandbox)
  t.ok(bytes.length > 250_000 && film.subarray(0, bytes.length).equals(bytes))
})

t.test('a full disk beside a refused upload ends it with the refusal', async t => {
  const { sandbox, record, dir } = await start(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { status: 403 } })
  const maxBytes = 2 * Math.max(...pieces.map(({ length }) => length))
  const error = await failureOf(record(slowly(film), { spool: { dir, keepFree: 0, maxBytes } }))
  t.match(error, { code: 'ERR_STORAGE_REJECTED', message: /resumeV4/ })
})

t.test('a file may not exceed maxSize, and what came is kept', async t => {
  const { sandbox, record, dir, client } = await start(t)
  const error = await failureOf(record(slowly(film), { segment: undefined, maxSize: 400_000 }))
  t.match(error, { code: 'ERR_STREAM_TOO_LARGE', message: /400000/ })
  await resumed({ dir, client })
  const [[, bytes = Buffer.alloc(0)] = []] = await filesOf(sandbox)
  t.ok(bytes.length > 300_000 && film.subarray(0, bytes.length).equals(bytes))
})

t.test('a source that fails', async t => {
  const failing = async function* () {
    yield film.subarray(0, film.length / 2)
    throw new Error('the cable')
  }
  t.test('is finalised as far as it came', async t => {
    const { record, sandbox } = await start(t)
    const { source, files } = await record(failing())
    t.match(source, { ok: false, error: { message: 'the cable' } })
    t.strictSame(
      files.map(({ name }) => name),
      (await filesOf(sandbox)).map(([name]) => name),
    )
  })
  t.test('or left for a resume', async t => {
    const { record, dir, client } = await start(t)
    const error = await failureOf(record(failing(), { onSourceFailure: 'abort' }))
    t.match(error, { code: 'ERR_SOURCE_FAILED', message: /the cable/ })
    t.ok((await resumed({ dir, client })).length > 0)
  })
  t.test('before its first byte it leaves nothing', async t => {
    const { record, dir, sandbox } = await start(t)
    const silent = { command: 'sh', args: ['-c', 'echo no camera >&2; exit 4'] }
    const error = await failureOf(record(silent))
    t.match(error, { code: 'ERR_SOURCE_FAILED', message: /no camera/ })
    t.strictSame(await readdir(dir), [])
    t.equal(sandbox.requests.length, 0)
  })
})

t.test('what a resume finds damaged it names, and does all else', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const folder = await onlyTake(dir)
  await truncate(join(folder, NAMES[1] as string), 1_000)
  await rm(join(folder, NAMES[2] as string))
  const expected = WANTED.map(([name, bytes], index) => [
    name,
    ['ERR_SPOOL_DAMAGED', 'ERR_SPOOL_INCOMPLETE'][index - 1] ?? bytes.length,
  ])
  t.strictSame(toldOf(await resumed({ dir, client })), expected)
  t.strictSame(toldOf(await resumed({ dir, client })), expected, 'and once more, sending nothing')
  t.equal(sandbox.v4.files.length, pieces.length - 2)
  t.ok((await readdir(folder)).includes(NAMES[1] as string), 'nothing was deleted')
})

t.test('a piece that was edited is not uploaded as what was recorded', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const folder = await onlyTake(dir)
  const path = join(folder, NAMES[2] as string)
  const edited = Buffer.from(pieces[2] as Buffer)
  edited[1_000] = (edited[1_000] as number) ^ 1
  await writeFile(path, edited)
  const expected = WANTED.map(([name, bytes], index) => [
    name,
    index === 2 ? 'ERR_SPOOL_DAMAGED' : bytes.length,
  ])
  t.strictSame(toldOf(await resumed({ dir, client })), expected)
  t.ok((await readFile(path)).equals(edited), 'it stays as it is')
  await writeFile(path, pieces[2] as Buffer)
  t.equal((await resumed({ dir, client })).length, pieces.length)
  await isAllThere(t, sandbox)
})

t.test('nor is one that was edited while it waited for its turn, and nothing goes', async t => {
  const third = pieces[2] as Buffer
  const edited = Buffer.from(third)
  edited[1_000] = (edited[1_000] as number) ^ 1
  for (const damage of [
    (path: string) => writeFile(path, edited),
    (path: string) => truncate(path, 1_000),
    (path: string) => rm(path),
  ]) {
    const { sandbox, record, dir, client, events, codes } = await start(t)
    sandbox.faults.add({ on: 'api', times: Infinity, do: { reset: 'before' } })
    const source = async function* () {
      yield* slowly(film)
      await until(() => events.filter(({ type }) => type === 'piece').length === pieces.length - 1)
      const folder = await onlyTake(dir)
      // A copy that took its place, of the same bytes, is what was recorded.
      const second = join(folder, NAMES[1] as string)
      await copyFile(second, `${second}.copy`)
      await rename(`${second}.copy`, second)
      await damage(join(folder, NAMES[2] as string))
      sandbox.faults.clear()
      await until(() => codes().length > 0)
    }
    const error = (await failureOf(record(source()))) as RealtimeUploadError
    t.strictSame(codes(), ['UPLOAD_FAILED'])
    await isAllThere(t, sandbox, WANTED.slice(0, 2))
    const all = await resumed({ dir, client })
    const [same] = all.flatMap(one => ('error' in one ? [one.error as RealtimeUploadError] : []))
    t.match(error, { code: same?.code, message: same?.message, path: same?.path })
    t.strictSame(
      toldOf(all),
      WANTED.map(([name, bytes], n) => [name, n === 2 ? error.code : bytes.length]),
      'a resume says the same of it, and does all else',
    )
    await isAllThere(
      t,
      sandbox,
      WANTED.filter((_, n) => n !== 2),
    )
    t.ok(await onlyTake(dir), 'nothing was deleted')
  }
})

t.test('a resume that is aborted says so once', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const aborting = new AbortController()
  const { signal } = aborting
  const onEvent = ({ type }: TakeEvent) => void (type === 'file' && aborting.abort())
  const all = await resumed({ dir, client, signal, onEvent })
  t.match(all, [{ name: NAMES[0] }, { name: NAMES[1], error: { name: 'AbortError' } }])
  t.equal(all.length, 2)
  t.equal((await resumed({ dir, client })).length, pieces.length)
})

t.test('nor one that got its name before the cut, and was edited', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const folder = await onlyTake(dir)
  const journal = join(folder, 'journal')
  const [before] = (await readFile(journal, 'utf8')).split(/^.*"t":"whole"/m)
  await writeFile(journal, before as string)
  await appendFile(join(folder, NAMES[0] as string), 'more')
  const [first] = toldOf(await resumed({ dir, client }))
  t.strictSame(first, [NAMES[0], 'ERR_SPOOL_DAMAGED'])
  await truncate(join(folder, NAMES[0] as string), WANTED[0]?.[1].length)
  t.strictSame(toldOf(await resumed({ dir, client })), [[NAMES[0], WANTED[0]?.[1].length]])
})

t.test('a bad line of the journal that was durable is damage', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const path = join(await onlyTake(dir), 'journal')
  const journal = await readFile(path)
  const torn = Buffer.concat([journal, Buffer.from('1234 torn')])
  await writeFile(
    path,
    Buffer.concat([journal.subarray(0, 300), Buffer.from('x'), journal.subarray(301)]),
  )
  t.strictSame(toldOf(await resumed({ dir, client })), [[undefined, 'ERR_SPOOL_DAMAGED']])
  await writeFile(path, torn)
  t.equal((await resumed({ dir, client })).length, pieces.length)
  await isAllThere(t, sandbox)
})

type Forgery = (line: Record<string, unknown>) => object

/** The same journal, with other lines, each of which holds. */
const forgedBy = (journal: string, change: Forgery): string =>
  journal
    .trimEnd()
    .split('\n')
    .map(line => change(JSON.parse(line.slice(9))))
    .map(({ d, ...entry }: { d?: number }) => lineOf(entry, d ?? 0))
    .join('')

t.test('a journal that leads elsewhere is not followed', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const before = sandbox.requests.length
  const path = join(await onlyTake(dir), 'journal')
  const precious = join(dir, 'precious.ts')
  await writeFile(precious, 'not for Frame.io')
  const journal = await readFile(path, 'utf8')
  const forged = (change: Forgery) => forgedBy(journal, change)
  for (const file of ['../precious.ts', precious, '..', 'journal', '', 7, undefined]) {
    await writeFile(
      path,
      forged(line => (line.t === 'begin' ? { ...line, file } : line)),
    )
    t.strictSame(
      toldOf(await resumed({ dir, client })),
      [[undefined, 'ERR_SPOOL_DAMAGED']],
      `${file}`,
    )
    t.equal((await waitingTakes(dir))[0]?.error instanceof Error, true)
  }
  for (const folderId of ['..', '../../x', '']) {
    await writeFile(
      path,
      forged(line => (line.t === 'take' ? { ...line, folderId } : line)),
    )
    const [first] = toldOf(await resumed({ dir, client }))
    t.strictSame(first, [NAMES[0], 'ERR_INVALID_OPTION'], folderId)
  }
  t.equal(sandbox.requests.length, before)
  t.equal(await readFile(precious, 'utf8'), 'not for Frame.io')
})

t.test('nor one of the upload of a piece', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'put', times: Infinity, do: { reset: 'during' } })
  await failureOf(record(slowly(film.subarray(0, 100_000))))
  const path = join(await onlyTake(dir), `${NAMES[0]}.upload`, 'journal')
  const change: Forgery = line => (line.t === 'created' ? { ...line, fileId: '..' } : line)
  await writeFile(path, forgedBy(await readFile(path, 'utf8'), change))
  const before = sandbox.requests.length
  t.strictSame(toldOf(await resumed({ dir, client })), [[NAMES[0], 'ERR_INVALID_OPTION']])
  t.equal(sandbox.requests.length, before)
})

t.test('each resume leaves alone what is the other’s, and what is nobody’s', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  await mkdir(join(dir, 'lost+found'))
  await mkdir(join(dir, 'b3c0b1f2-0000-4000-8000-000000000000'))
  await appendFile(join(dir, 'notes.txt'), 'of somebody')
  const names = (await readdir(dir)).sort()
  const v2 = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  t.teardown(() => v2.close())
  const others: unknown[] = []
  for await (const one of resumeUploads({ dir, client: v2 })) others.push(one)
  t.equal(others.length, 1, 'the empty folder of an asset, and no more')
  await mkdir(join(dir, 'b3c0b1f2-0000-4000-8000-000000000000'))
  t.strictSame((await readdir(dir)).sort(), names)
  t.equal((await resumed({ dir, client })).length, pieces.length)
  t.strictSame(
    (await readdir(dir)).sort(),
    names.filter(name => !name.startsWith('A001-')),
  )
})

t.test('another account’s client is refused', async t => {
  const { sandbox, record, dir } = await start(t)
  sandbox.faults.add({ on: 'api', times: Infinity, do: { status: 403, body: { errors: [] } } })
  await failureOf(record(slowly(film)))
  const { requests } = sandbox
  const before = requests.length
  const client = v4ClientFor(t, sandbox, { accountId: 'another' })
  t.strictSame(toldOf(await resumed({ dir, client })), [['A001.ts', 'ERR_INVALID_OPTION']])
  t.equal(requests.length, before)
})

t.test('a file is the recording itself', async t => {
  const { sandbox, record, dir, client } = await start(t)
  const file = join(await folderFor(t), 'clip.ts')
  await writeFile(file, film)
  t.match(await failureOf(record({ file })), { code: 'ERR_INVALID_OPTION', option: 'segment' })
  t.test('finished', async t => {
    const { files, source } = await record({ file }, { segment: undefined })
    t.equal(source.ok, true)
    t.strictSame(
      files.map(({ name, bytes }) => [name, bytes]),
      [['A001.ts', film.length]],
    )
  })
  t.test('or once it is over', async t => {
    const growing = join(await folderFor(t), 'growing.ts')
    await writeFile(growing, film.subarray(0, 100_000))
    const ended = new AbortController()
    const recording = record(
      { file: growing, follow: { ended: ended.signal } },
      { segment: undefined, name: 'B001.ts' },
    )
    await appendFile(growing, film.subarray(100_000))
    ended.abort()
    const { source, files } = await recording
    t.match(source, { ok: true, reason: 'told' })
    t.equal(files[0]?.bytes, film.length)
  })
  t.test('and its upload is resumed with the rest', async t => {
    sandbox.faults.add({ on: 'put', nth: 3, times: Infinity, do: { reset: 'during' } })
    await failureOf(record({ file }, { segment: undefined, name: 'C001.ts' }))
    sandbox.faults.clear()
    t.strictSame(toldOf(await resumed({ dir, client })), [['C001.ts', film.length]])
    t.strictSame(await readdir(dir), [])
  })
})

t.test('bad options are refused before anything is started', async t => {
  const { record, dir, sandbox } = await start(t)
  const cases: [string, object][] = [
    ['segment', { segment: '5 minutes' }],
    ['name', { name: '' }],
    ['name', { name: `${'x'.repeat(250)}.mp4` }],
    ['folderId', { folderId: '../x' }],
    ['spool', { spool: undefined }],
    ['spool.dir', { spool: {} }],
    ['spool.keep', { spool: { dir, keep: 'name' } }],
    ['spool.durable', { spool: { dir, durable: false } }],
    ['maxSize', { maxSize: 5_000_000_000_001 }],
    ['filetype', { filetype: 'video/mp4' }],
    ['client', { client: {} }],
    ['onSourceFailure', { onSourceFailure: 'ignore' }],
  ]
  for (const [option, options] of cases) {
    const error = await failureOf(record(slowly(film), options))
    t.match(error, { code: 'ERR_INVALID_OPTION', option }, option)
  }
  t.strictSame(await readdir(dir), [])
  t.equal(sandbox.requests.length, 0)
})

t.test('what a callback throws ends the recording, and all stays', async t => {
  const { record, dir, client } = await start(t)
  const onEvent = ({ type }: TakeEvent) => {
    if (type === 'piece') throw new Error('mine')
  }
  t.match(await failureOf(record(slowly(film), { onEvent })), { message: 'mine' })
  t.ok((await resumed({ dir, client })).length > 0)
})

t.test('what an asynchronous one rejects with as well, whatever it is told of', async t => {
  const unhandled: unknown[] = []
  const note = (error: unknown) => void unhandled.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const rejectsAt = (wanted: string) => async (event: TakeEvent) => {
    if (event.type === wanted) throw new Error(`mine, at ${wanted}`)
  }
  const { record, dir, client } = await start(t)
  const file = join(await folderFor(t), 'clip.mkv')
  await writeFile(file, 'no film')
  for (const type of ['end', 'file']) {
    const recording = record({ file }, { segment: undefined, onEvent: rejectsAt(type) })
    t.match(await failureOf(recording), { message: `mine, at ${type}` })
  }
  const onEvent = rejectsAt('warning')
  t.match(await failureOf(record([film.subarray(1, 200_000)], { onEvent })), { message: /mine/ })
  await failureOf(record(slowly(film), { onEvent: rejectsAt('piece') }))
  const [first] = await resumed({ dir, client, onEvent: rejectsAt('file') })
  t.match(first, { error: { message: 'mine, at file' } })
  t.ok((await resumed({ dir, client })).length > 0)
  t.strictSame(unhandled, [])
})

t.test('and what is thrown that is no error, as it is', async t => {
  const { record, dir, client } = await start(t)
  const throwsAt = (wanted: string) => (event: TakeEvent) => {
    if (event.type === wanted) throw 'mine'
  }
  t.equal(await failureOf(record(slowly(film), { onEvent: throwsAt('piece') })), 'mine')
  for (const nothing of [undefined, 0]) {
    const onEvent = ({ type }: TakeEvent) => {
      if (type === 'begin') throw nothing
    }
    const message = `A callback failed with ${nothing}`
    t.match(await failureOf(record(slowly(film), { onEvent })), { message })
  }
  const [first] = await resumed({ dir, client, onEvent: throwsAt('part') })
  t.match(first, { name: NAMES[0], error: 'mine' })
  t.ok((await resumed({ dir, client })).length > 0)
})

t.test('aborted before it begins it leaves nothing', async t => {
  const { record, dir, sandbox } = await start(t)
  const error = await failureOf(record(slowly(film), { signal: AbortSignal.abort() }))
  t.type(error, AbortError)
  t.strictSame(await readdir(dir), [])
  t.equal(sandbox.requests.length, 0)
})

t.test('a client that is closed records nothing', async t => {
  const { record, dir, client } = await start(t)
  await client.close()
  t.match(await failureOf(record(slowly(film))), { code: 'ERR_CLIENT_CLOSED' })
  t.strictSame(await readdir(dir), [])
})

t.test('a folder that cannot be locked is an error of the spool’s', async t => {
  const { dir, client } = await start(t)
  await mkdir(join(dir, 'A001-20261201-150000-0000', 'lock'), { recursive: true })
  const expected = [[undefined, 'ERR_SPOOL_DAMAGED']]
  t.strictSame(toldOf(await resumed({ dir, client })), expected)
})

t.test('pieces are cut below maxSize, whatever their time', async t => {
  const { record } = await start(t)
  const maxSize = 500_000
  const { files } = await record(slowly(film, 65_536, 0), { segment: '24h', maxSize })
  t.ok(files.length > film.length / maxSize)
  for (const { bytes } of files) t.ok(bytes <= maxSize, `${bytes} bytes`)
})

t.test('progress never goes back, and ends with all', async t => {
  const { record } = await start(t)
  const told: Progress[] = []
  const onProgress = (progress: Progress) => void told.push(progress)
  const { bytes } = await record(slowly(film), { onProgress })
  for (const key of ['bytesReceived', 'bytesUploaded', 'partsUploaded'] as const) {
    const figures = told.map(progress => progress[key])
    t.strictSame(
      figures,
      figures.toSorted((one, other) => one - other),
      key,
    )
  }
  t.match(told.at(-1), {
    ...{ bytesReceived: bytes, bytesUploaded: bytes, bytesDurable: bytes },
    ...{ bytesSpooled: 0, bytesBuffered: 0, partsInFlight: 0 },
  })
  t.ok(told.some(({ bytesSpooled }) => bytesSpooled > 0))
})

t.test('what waits can be seen, and is not touched', async t => {
  const { sandbox, record, dir, client } = await start(t)
  sandbox.faults.add({ on: 'put', nth: 8, times: Infinity, do: { status: 403 } })
  await failureOf(record(slowly(film)))
  sandbox.faults.clear()
  const [take, ...others] = await waitingTakes(dir)
  t.strictSame(others, [])
  t.match(take, { name: 'A001.ts', pieces: pieces.length, lockedBy: undefined, error: undefined })
  const { piecesStored = 0, bytes = 0, bytesStored = 0 } = take ?? {}
  t.ok(piecesStored > 0 && piecesStored < pieces.length)
  t.equal(
    bytes + bytesStored,
    pieces.reduce((sum, { length }) => sum + length, 0),
  )
  t.equal((await resumed({ dir, client })).length, pieces.length)
  t.strictSame(await waitingTakes(dir), [])
})

t.test('what goes while it is looked at is no longer there', async t => {
  const { dir } = await start(t)
  const folders = Array.from({ length: 100 }, (_, n) =>
    join(dir, `A001-20261201-150000-${String(n).padStart(4, '0')}`),
  )
  for (const folder of folders) await mkdir(folder)
  const looking = waitingTakes(dir)
  for (const folder of folders.toReversed()) await rmdir(folder)
  await looking
  t.strictSame(await waitingTakes(dir), [])
})

t.test('a folder that whoever resumes has found empty is left to them', async t => {
  const { dir } = await start(t)
  const { origin } = new URL('https://api.frame.io')
  const opening = { origin, accountId: 'a', folderId: 'b', name: 'A001.ts' }
  const tried: string[] = []
  const lockAt: typeof lock = path => {
    tried.push(path)
    if (tried.length > 1) return lock(path)
    return Promise.reject(new RealtimeUploadError('ERR_SPOOL_IN_USE', 'Somebody looks at it'))
  }
  const taken = await openTake({ dir, opening }, lockAt)
  t.equal(join(taken.folder, 'lock'), tried[1])
  t.not(tried[0], tried[1])
  await taken.journal.close()
  await taken.lock.release()
})

t.test('what a recording leaves that is cut off at once goes without a word', async t => {
  const { dir, client } = await start(t)
  for (const [index, names] of [[], ['lock'], ['lock', 'reserve'], ['journal']].entries()) {
    const folder = join(dir, `A001-20261201-150000-000${index}`)
    await mkdir(folder)
    for (const name of names) await writeFile(join(folder, name), '')
  }
  t.equal((await waitingTakes(dir)).length, 4)
  t.strictSame(await resumed({ dir, client }), [])
  t.strictSame(await readdir(dir), [])
})
