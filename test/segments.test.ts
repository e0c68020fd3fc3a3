/**
 * A recording as many assets, against a sandbox: each is stored while the next is recorded.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import t, { type Test } from 'tap'
import { LIMITS_DOOR, type Limits } from '../lib/frameio/protocol.ts'
import {
  FrameioClient,
  type FrameioClientOptions,
  type RealtimeUploadError,
  type Segments,
  type SegmentsOptions,
  segments,
} from '../lib/index.ts'
import type { Sandbox, SandboxOptions } from '../lib/sandbox/index.ts'
import { cutUp, makeMaster, piped } from './support/pieces.ts'
import { chunked, folderFor, QUICK, SMALL, sandboxFor, until } from './support/sandboxes.ts'

const master = await makeMaster(t.testdir(), ['-t', '12'])
const FILMS = {
  mp4: await piped(master, ['-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov']),
  ts: await piped(master, ['-f', 'mpegts']),
}
/** What they are cut into, four of each. */
const PIECES = {
  mp4: cutUp([FILMS.mp4], { segment: 3_000 }).pieces,
  ts: cutUp([FILMS.ts], { segment: 3_000 }).pieces,
}

const setUp = async (
  t: Test,
  options: Partial<SegmentsOptions> = {},
  { limits = SMALL, ...given }: Partial<FrameioClientOptions> & { limits?: Partial<Limits> } = {},
  sandboxOptions: SandboxOptions = {},
) => {
  const sandbox = await sandboxFor(t, sandboxOptions, limits)
  const { token, url: baseUrl, parentId } = sandbox
  const door = { [LIMITS_DOOR]: limits }
  const client = new FrameioClient({ token, baseUrl, retry: QUICK, ...given, ...door })
  t.teardown(() => client.close())
  const partSize = limits === SMALL ? 20_000 : undefined
  const whole = { segment: '3s' as const, name: 'A001.mp4', filetype: 'video/mp4', partSize }
  const film = segments(client, {
    ...door,
    ...whole,
    ...(!given.device && { parentId }),
    ...options,
  })
  film.on('error', () => {})
  return { sandbox, client, film, said: hear(film) }
}

const hear = (film: Segments) => {
  const said = { segments: [] as string[], warnings: [] as string[], received: 0 }
  film.on('segment', ({ number, name }) => said.segments.push(`${number} ${name}`))
  film.on('warning', ({ code }) => said.warnings.push(code))
  film.on('progress', ({ bytesReceived }) => {
    said.received = bytesReceived
  })
  return said
}

const creations = ({ requests }: Sandbox) =>
  requests.filter(({ operation }) => operation === 'create').length

/** What Frame.io has of each segment. */
const storedFiles = async (sandbox: Sandbox, film: Segments): Promise<Buffer[]> => {
  const files: Buffer[] = []
  for (const { assetId } of film.result?.segments ?? []) {
    const asset = sandbox.asset(assetId)
    await asset?.whenUploaded()
    files.push(await readFile(asset?.path ?? ''))
  }
  return files
}

const failed = (film: Segments, source: Iterable<Buffer>) =>
  pipeline(Readable.from(source, { objectMode: false }), film).then(
    () => undefined,
    (error: RealtimeUploadError) => error,
  )

for (const kind of ['mp4', 'ts'] as const) {
  t.test(`each segment of ${kind} is stored while the next is recorded`, async t => {
    const { sandbox, film, said } = await setUp(t)
    await pipeline(async function* () {
      for (const chunk of chunked(FILMS[kind], 10_000)) yield chunk
      // All but the last are there before the recording ends.
      await until(() => said.segments.length === 3, 'three segments')
    }, film)
    const { result } = film
    t.strictSame(
      result?.segments.map(({ name, bytes }) => ({ name, bytes })),
      PIECES[kind].map(({ length }, n) => ({ name: `A001_00${n + 1}.mp4`, bytes: length })),
    )
    t.equal(result?.bytes, Buffer.concat(PIECES[kind]).length)
    t.strictSame(await storedFiles(sandbox, film), PIECES[kind])
    t.strictSame(
      said.segments.toSorted(),
      [1, 2, 3, 4].map(n => `${n} A001_00${n}.mp4`),
    )
    t.strictSame(said.warnings, [])
    t.equal(said.received, result?.bytes, 'progress is of all together')
    t.equal(film.progress.bytesUploaded, result?.bytes)
  })
}

t.test('what cannot be cut is one asset, with a warning', async t => {
  const { sandbox, film, said } = await setUp(t)
  const data = Buffer.from('no film at all, '.repeat(1_000))
  await pipeline(Readable.from(chunked(data, 999), { objectMode: false }), film)
  t.strictSame(await storedFiles(sandbox, film), [data])
  t.strictSame(said.warnings, ['NOT_CUTTABLE'])
})

t.test('without a time it is cut where it would grow too large', async t => {
  const maxSize = 300_000
  const { sandbox, film } = await setUp(t, { segment: undefined, maxSize })
  await pipeline(Readable.from(chunked(FILMS.ts, 10_000), { objectMode: false }), film)
  const files = await storedFiles(sandbox, film)
  t.ok(files.length > 1 && files.every(({ length }) => length <= maxSize))
  t.strictSame(files, cutUp([FILMS.ts], { segment: Number.POSITIVE_INFINITY, maxSize }).pieces)
})

t.test('nothing is created for nothing', async t => {
  const { sandbox, film } = await setUp(t)
  t.match(await failed(film, []), { code: 'ERR_EMPTY_STREAM' })
  t.equal(creations(sandbox), 0)
  t.equal(film.result, undefined)
})

t.test('a failure ends all, and says what is stored', async t => {
  const { sandbox, film, said } = await setUp(t, { segment: '4s' })
  sandbox.faults.add({ on: 'create', nth: 3, do: { status: 402, body: { error: 'full' } } })
  const error = await failed(film, chunked(FILMS.mp4, 10_000))
  t.match(error, { code: 'ERR_PLAN_LIMIT', statusCode: 402 })
  for (const segment of said.segments) t.match(error?.message, segment.slice(2))
  t.ok(film.destroyed)
  t.equal(film.result, undefined)
})

t.test('so does one that has ended, while another is filled', async t => {
  // Of one part each, which is registered as the segment ends.
  const { sandbox, film } = await setUp(t, {}, { limits: {} })
  sandbox.faults.add({ on: 'register', nth: 2, do: { status: 402, body: { error: 'full' } } })
  let hasStored = false
  film.on('segment', () => {
    hasStored = true
  })
  const end = failed(
    film,
    (async function* () {
      const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = PIECES.ts
      yield FILMS.ts.subarray(0, first.length + 20_000)
      await until(() => hasStored, 'the first')
      yield FILMS.ts.subarray(first.length + 20_000, first.length + second.length + 20_000)
      await new Promise(() => {})
    })() as unknown as Iterable<Buffer>,
  )
  const error = await end
  t.match(error, { code: 'ERR_PLAN_LIMIT' })
  t.match(error?.message, /Stored and complete: A001_001\.mp4 \(/)
})

t.test('while the network is in trouble the segment becomes longer', async t => {
  const { sandbox, film } = await setUp(t, {}, { retry: { ...QUICK, giveUpAfter: 60_000 } })
  sandbox.faults.add({ on: 'put', times: 1_000_000, do: { status: 503 } })
  let retries = 0
  await pipeline(async function* () {
    const half = FILMS.ts.length / 2
    yield FILMS.ts.subarray(0, 60_000)
    await until(() => film.progress.retries > 0, 'trouble')
    yield FILMS.ts.subarray(60_000, half)
    retries = creations(sandbox)
    sandbox.faults.clear()
    await until(() => film.progress.bytesUploaded > 0, 'the network')
    yield FILMS.ts.subarray(half)
  }, film)
  t.equal(retries, 1, 'half of it is in the first')
  t.equal(film.result?.segments.length, 3)
})

t.test('a few segments at most are under way at once', async t => {
  const { sandbox, film } = await setUp(t, { segment: '1s' })
  sandbox.faults.add({ on: 'register', times: 1_000_000, do: { hang: 'answer' } })
  const end = failed(film, [FILMS.ts])
  await until(() => creations(sandbox) === 5, 'five')
  // Time for a sixth, if there were to be one.
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(creations(sandbox), 5)
  film.destroy()
  await end
})

t.test('with a spool what is recorded goes on when a segment fails at its end', async t => {
  const dir = await folderFor(t)
  const { sandbox, film, said } = await setUp(t, { spool: { dir } }, { limits: {} })
  sandbox.faults.add({ on: 'register', do: { status: 402, body: { error: 'full' } } })
  const error = await failed(
    film,
    (async function* () {
      yield FILMS.ts.subarray(0, FILMS.ts.length / 2)
      await until(() => said.warnings.includes('UPLOAD_FAILED'), 'the warning')
      yield FILMS.ts.subarray(FILMS.ts.length / 2)
    })() as unknown as Iterable<Buffer>,
  )
  t.match(error, { code: 'ERR_PLAN_LIMIT' })
  t.match(error?.message, /resumeUploads/)
  t.equal(said.segments.length, creations(sandbox) - 1, 'all others are whole')
  const first = sandbox.requests.find(({ operation }) => operation === 'register')?.assetId ?? ''
  const part = await readFile(join(dir, first, '00001.part'))
  t.ok(part.equals(PIECES.ts[0] as Buffer), 'and that one is in the spool')
})

t.test('kept in a spool each has its name', async t => {
  const dir = await folderFor(t)
  const { film } = await setUp(t, { spool: { dir, keep: true } })
  await pipeline(Readable.from(chunked(FILMS.mp4, 10_000), { objectMode: false }), film)
  for (const [n, { assetId, name }] of (film.result?.segments ?? []).entries()) {
    t.ok((await readFile(join(dir, assetId, name))).equals(PIECES.mp4[n] as Buffer))
  }
})

t.test('of a device', async t => {
  const { sandbox, film } = await setUp(t, { channel: 2 }, { device: { clientVersion: '1.0.0' } })
  await pipeline(Readable.from(chunked(FILMS.mp4, 10_000), { objectMode: false }), film)
  t.strictSame(await storedFiles(sandbox, film), PIECES.mp4)
  t.equal(sandbox.asset(film.result?.segments[3]?.assetId ?? '')?.channel, 2)
})

t.test('a signal ends it, also while an asset is created', async t => {
  const ending = new AbortController()
  const { sandbox, film } = await setUp(t, { signal: ending.signal }, { apiTimeout: 600_000 })
  sandbox.faults.add({ on: 'create', do: { hang: 'answer' } })
  const end = failed(film, [FILMS.mp4])
  await until(() => creations(sandbox) === 1, 'the call')
  ending.abort()
  t.match(await end, { name: 'AbortError' })
  // The call as well: its connection is cut.
  await until(() => sandbox.requests[0]?.endedAt !== undefined, 'the end of the call')
})

t.test('what makes no sense is refused at once', async t => {
  const sandbox = await sandboxFor(t)
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  t.teardown(() => client.close())
  const right = { name: 'A001.mp4', filetype: 'video/mp4', parentId: sandbox.parentId }
  for (const [wrong, option] of [
    [{ segment: '5 minutes' }, 'segment'],
    [{ segment: 999 }, 'segment'],
    [{ segment: '25h' }, 'segment'],
    [{ segment: Number.NaN }, 'segment'],
    [{ name: 'A001' }, 'name'],
    [{ filetype: 'mp4' }, 'filetype'],
    [{ parentId: undefined }, 'parentId'],
    [{ assetId: 'a' }, 'assetId'],
    [{ token: 'secret' }, 'token'],
    [{ segments: 5 }, 'segments'],
    [{ channel: 1 }, 'offset and channel'],
    [{ maxSize: 0 }, 'maxSize'],
  ] as const) {
    const options = { ...right, ...wrong } as unknown as SegmentsOptions
    t.throws(() => segments(client, options), { code: 'ERR_INVALID_OPTION', option })
  }
  t.throws(() => segments({} as FrameioClient, right), {
    code: 'ERR_INVALID_OPTION',
    option: 'client',
  })
  const refused = t.throws(() => segments(client, { ...right, segment: '5x' as '5m' })) as Error
  t.match(refused.message, /segment must be a time from '1s' to '24h'.*; received '5x'/)
  t.doesNotThrow(() => segments(client, { ...right, segment: '1.5h' }).destroy())
})

t.test('the call that creates an asset can be aborted alone', async t => {
  const { sandbox, client } = await setUp(t)
  sandbox.faults.add({ on: 'create', do: { hang: 'answer' } })
  const ending = new AbortController()
  const { parentId } = sandbox
  const asset = { parentId, name: 'a.mp4', filetype: 'video/mp4', signal: ending.signal }
  const call = client.createRealtimeAsset(asset)
  await until(() => creations(sandbox) === 1, 'the call')
  ending.abort()
  await t.rejects(call, { name: 'AbortError', code: 'ABORT_ERR' })
})
