/**
 * Random schedules: an upload of random shape against a random script of faults, and what must hold
 * of it, whatever happens. A schedule is plain data, so that fast-check can shrink and print it.
 */

import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { type Agent, DecoratorHandler, type Dispatcher } from 'undici'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import {
  FrameioClient,
  RealtimeUpload,
  type RealtimeUploadOptions,
  resumeUploads,
} from '../../lib/index.ts'
import { FaultList } from '../../lib/sandbox/faults.ts'
import type { Fault, FaultAction, Sandbox, SandboxAsset } from '../../lib/sandbox/index.ts'
import { startSandbox } from '../../lib/sandbox/index.ts'
import { type Mishap, mishapDispatcher, POSITIONS } from './matrix.ts'
import { bytes, endOf, optionsFor, record, sha256, shown, until } from './sandboxes.ts'
import { within } from './servers.ts'

// ── What a schedule is ───────────────────────────────────────────────────────────────────────────

type Target = Omit<Fault, 'do'> & { readonly on: 'register' | 'put' }

/** A fault by the sandbox, or a mishap of the connection. */
export type ScriptedFault = Target & ({ readonly do: FaultAction } | { readonly wire: Mishap })

/** Who ends the upload early, once so many bytes were handed over. */
export interface Interruption {
  readonly by: 'destroy' | 'destroy with an error' | 'signal' | 'source error' | 'part' | 'retry'
  readonly after: number
}

export interface Schedule {
  readonly size: number
  /** Sizes of the chunks, in turn. */
  readonly chunks: readonly number[]
  /** `'write'` waits for each write's callback; `'pipe'` leaves the waiting to Node's streams. */
  readonly source: 'write' | 'pipe'
  readonly partSize: number
  readonly concurrency: number
  /** PUTs at once of the shared client; undefined: the upload makes a client of its own. */
  readonly clientConcurrency: number | undefined
  readonly memoryLimit: number
  readonly blockSize: number
  readonly growthDivisor: number
  readonly maxPartsPerCall: number
  readonly integrity: 'md5' | undefined
  /** Does part 1 go last, and is it changed before? */
  readonly lateHead: 'as it is' | 'mended' | undefined
  /** Is there a spool? */
  readonly spool: 'durable' | 'overflow' | undefined
  /** Calls of the token function that fail. */
  readonly tokenFails: number
  /** The token dies when so many bytes were handed over. */
  readonly tokenDiesAt: number | undefined
  readonly patient: boolean
  readonly faults: readonly ScriptedFault[]
  readonly interruption: Interruption | undefined
}

// ── Random schedules ─────────────────────────────────────────────────────────────────────────────

const XML = (code: string, message = '') =>
  `<Error><Code>${code}</Code><Message>${message}</Message></Error>`
const HTML = '<html>hotel</html>'

const storageRefusal = (status: number, code: string): FaultAction => ({ status, body: XML(code) })

/** Faults after which every upload must go on, on either side. */
const PASSING: readonly FaultAction[] = [
  { status: 500 },
  { status: 502, body: HTML },
  { status: 503, at: 'headers' },
  { status: 504, body: '' },
  { status: 408 },
  { status: 429, headers: { 'retry-after': '1' } },
  { status: 503, body: XML('SlowDown') },
  { status: 500, body: '{"cut', headers: { 'content-length': 99, connection: 'close' } },
  { delay: 3 },
  { delay: 12 },
  { reset: 'before' },
  { reset: 'during' },
  { reset: 'after' },
  { reset: 'answer' },
  { loseAnswer: true },
]
const HANGING: readonly FaultAction[] = [
  { hang: 'headers' },
  { hang: 'body' },
  { hang: 'answer' },
  { hang: 'answering' },
]
const PASSING_PUT: readonly FaultAction[] = [
  { expire: true },
  storageRefusal(400, 'RequestTimeout'),
  storageRefusal(400, 'ExpiredToken'),
]
const PASSING_CALL: readonly FaultAction[] = [
  { status: 200, body: HTML },
  { status: 200, body: '' },
  { status: 403, body: HTML },
  { status: 404, body: '' },
]
/** Faults that may end an upload, at once or when they come together. */
const GRAVE_PUT: readonly FaultAction[] = [
  storageRefusal(403, 'SignatureDoesNotMatch'),
  storageRefusal(403, 'AccessDenied'),
  storageRefusal(400, 'EntityTooLarge'),
  storageRefusal(400, 'BadDigest'),
  { status: 404, body: '' },
  { status: 501 },
  { status: 307, headers: { location: 'http://127.0.0.1:9/' } },
]
const GRAVE_CALL: readonly FaultAction[] = [
  { status: 400 },
  { status: 401 },
  { status: 403 },
  { status: 404 },
  { status: 422 },
  { status: 505 },
  { status: 200, body: { upload_urls: [] } },
]
const MISHAPS: readonly Mishap[] = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ENETUNREACH'].map(connect => ({ connect })),
  { tls: 'self-signed' },
  ...POSITIONS.flatMap(at => (['reset', 'close', 'garbage'] as const).map(peer => ({ peer, at }))),
]
const SILENCE: readonly Mishap[] = POSITIONS.map(at => ({ peer: 'hang', at }))

const GRAVE = new Set<unknown>([...GRAVE_PUT, ...GRAVE_CALL].map(action => JSON.stringify(action)))
const isGrave = (fault: ScriptedFault) => 'do' in fault && GRAVE.has(JSON.stringify(fault.do))
const isHang = (fault: ScriptedFault) =>
  'do' in fault ? 'hang' in fault.do : 'peer' in fault.wire && fault.wire.peer === 'hang'

const when = fc.record(
  {
    nth: fc.integer({ min: 1, max: 8 }),
    times: fc.oneof(
      { weight: 12, arbitrary: fc.integer({ min: 1, max: 4 }) },
      { weight: 1, arbitrary: fc.constant(Infinity) },
    ),
    perPart: fc.boolean(),
    part: fc.integer({ min: 1, max: 12 }),
  },
  { requiredKeys: [] },
)

const doing = (actions: readonly FaultAction[]) =>
  fc.constantFrom(...actions).map(act => ({ do: act }))
const happening = (mishaps: readonly Mishap[]) =>
  fc.constantFrom(...mishaps).map(wire => ({ wire }))

const what = (on: Target['on']) =>
  fc.oneof(
    { weight: 8, arbitrary: doing(PASSING) },
    { weight: 4, arbitrary: doing(on === 'put' ? PASSING_PUT : PASSING_CALL) },
    { weight: 4, arbitrary: happening(MISHAPS) },
    { weight: 1, arbitrary: doing(HANGING) },
    { weight: 1, arbitrary: happening(SILENCE) },
    { weight: 1, arbitrary: doing(on === 'put' ? GRAVE_PUT : GRAVE_CALL) },
  )

const scriptedFault: fc.Arbitrary<ScriptedFault> = fc
  .constantFrom<Target['on'][]>('register', 'put')
  .chain(on => fc.tuple(when, what(on)).map(([at, act]) => ({ on, ...at, ...act })))

/** Dead PUTs in a row: each is waited for three times as long as the one before it, the sixth 10 s. */
const SILENT_AT_MOST = 6

/**
 * A long series of dead PUTs would take hours, and pass for an upload that hangs: one such fault, and
 * for ever, or few times in all.
 */
const tame = (
  faults: readonly ScriptedFault[],
  size: number,
  partSize: number,
): ScriptedFault[] => {
  const silent = faults.find(isHang)
  const parts = Math.ceil(size / partSize)
  return faults.flatMap(fault => {
    if (!isHang(fault)) return [fault]
    if (fault !== silent || size > 20_000) return []
    if (fault.times === Infinity) return [fault]
    const times = Math.min(fault.times ?? 1, 2)
    const perPart = fault.perPart === true && times * parts <= SILENT_AT_MOST
    return [{ ...fault, times, perPart }]
  })
}

/** Sizes about the borders of parts, and any other. */
const sizeFor = (partSize: number) =>
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .tuple(fc.integer({ min: 0, max: 14 }), fc.constantFrom(-1, 0, 1))
        .map(([parts, more]) => Math.max(0, parts * partSize + more)),
    },
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 16_000 }) },
    { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 200_000 }) },
  )

const sometimes = <T>(arbitrary: fc.Arbitrary<T>, one: number) =>
  fc.oneof({ weight: one - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

export const schedules: fc.Arbitrary<Schedule> = fc
  .constantFrom(1_000, 1_000, 1_024, 1_500, 2_999)
  .chain(partSize =>
    sizeFor(partSize).chain(size =>
      fc.record({
        size: fc.constant(size),
        chunks: fc.array(fc.integer({ min: size > 20_000 ? 300 : 20, max: 6_000 }), {
          minLength: 1,
          maxLength: 6,
        }),
        source: fc.constantFrom('write' as const, 'pipe' as const),
        partSize: fc.constant(partSize),
        concurrency: fc.integer({ min: 1, max: 6 }),
        clientConcurrency: sometimes(fc.integer({ min: 1, max: 6 }), 3),
        memoryLimit: fc.integer({ min: 1, max: 20_000 }),
        blockSize: fc.constantFrom(256, 512, 1_000, 4_096),
        growthDivisor: fc.constantFrom(900, 900, 5),
        maxPartsPerCall: fc.constantFrom(100, 100, 1, 3),
        integrity: sometimes(fc.constant('md5' as const), 3),
        lateHead: sometimes(fc.constantFrom('as it is' as const, 'mended' as const), 3),
        spool: sometimes(fc.constantFrom('durable' as const, 'overflow' as const), 4),
        tokenFails: fc.constantFrom(0, 0, 0, 1, 3),
        tokenDiesAt: sometimes(fc.integer({ min: 0, max: size }), 6),
        patient: fc.boolean(),
        faults: fc
          .array(scriptedFault, { maxLength: 5 })
          .map(faults => tame(faults, size, partSize)),
        interruption: sometimes(
          fc.record({
            by: fc.constantFrom(
              'destroy' as const,
              'destroy with an error' as const,
              'signal' as const,
              'source error' as const,
              'part' as const,
              'retry' as const,
            ),
            after: fc.integer({ min: 0, max: size }),
          }),
          5,
        ),
      }),
    ),
  )

// ── What must hold ───────────────────────────────────────────────────────────────────────────────

/** A guard against hanging, in ms. */
const HANGS = 60_000

/** High-water mark of the source in `'pipe'`, in bytes. */
const SOURCE_MARK = 1_000

/** Sandboxes are used again, since one takes as long to start as an upload; but not for ever. */
const USES = 100

const SANDBOX = {
  rateLimit: { limit: 1e6, window: 1_000 },
  ...{ [LIMITS_DOOR]: { minPartSize: 1_000 } },
}

/** Where schedules run, one after the other. */
export class Ground {
  #sandbox: Sandbox | undefined
  #uses = 0

  /** @throws {Error} that names what did not hold */
  async run(schedule: Schedule): Promise<void> {
    if (!this.#sandbox || ++this.#uses > USES) {
      await this.close()
      this.#sandbox = await startSandbox(SANDBOX)
      this.#uses = 1
    }
    const sandbox = this.#sandbox
    try {
      const wrong = await within(HANGS, play(schedule, sandbox))
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
    } catch (error) {
      await this.close() // What is left of this one must not disturb the next.
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#sandbox?.close()
    this.#sandbox = undefined
  }
}

/** Runs a schedule, and says what did not hold. */
const play = async (schedule: Schedule, sandbox: Sandbox): Promise<string[]> => {
  const wrong = new Set<string>()
  const expect = (holds: boolean, rule: string) => {
    if (!holds) wrong.add(rule)
  }
  const { size, concurrency, clientConcurrency = Infinity, interruption } = schedule
  const asset = sandbox.createAsset({ name: 'clip.mp4', filetype: 'video/mp4' })
  const data = bytes(size)
  const isMended = schedule.lateHead === 'mended' && schedule.spool !== 'durable'
  const expected = isMended
    ? Buffer.concat([data.subarray(0, 1).map(flip), data.subarray(1)])
    : data
  const cuts = cutsOf(schedule)
  const network = networkOf(schedule, sandbox, asset)
  const controller = new AbortController()
  const client = clientOf(schedule, sandbox, network.dispatcher)
  const dir = schedule.spool && (await mkdtemp(join(tmpdir(), 'schedule-')))
  const upload = new RealtimeUpload(
    optionsFor(
      { sandbox, asset },
      {
        ...uploadOptions(schedule, sandbox, network.dispatcher, client),
        signal: controller.signal,
        lateHead: isMended ? mendFirst : schedule.lateHead !== undefined,
        ...(dir && {
          spool: { dir, durable: schedule.spool === 'durable', keepFree: 0, syncEvery: 10 },
        }),
      },
      limitsOf(schedule),
    ),
  )
  const seen = record(upload)
  const ended = endOf(upload)

  let finishedSource = false
  let interrupted = false
  let cutShort = false
  const interrupt = () => {
    if (interrupted || !interruption) return
    interrupted = true
    cutShort = !finishedSource
    if (interruption.by === 'destroy') upload.destroy()
    else if (interruption.by === 'signal') controller.abort()
    else if (interruption.by !== 'source error') upload.destroy(new Error('enough'))
  }
  if (interruption?.by === 'part') upload.on('part', interrupt)
  if (interruption?.by === 'retry') upload.on('retry', interrupt)

  let uploaded = 0
  /** Holds at any moment, by what the server stored and not by the library's own count. */
  const look = (handed: number, streams: number) => {
    const { bytesUploaded, partsInFlight } = upload.progress
    expect(bytesUploaded >= uploaded, 'progress must never go back')
    uploaded = bytesUploaded
    expect(bytesUploaded <= asset.storedBytes, 'progress must not be ahead of what is stored')
    expect(partsInFlight <= concurrency, `parts in lanes: ${partsInFlight}`)
    const most = heldAtMost(schedule, cuts, handed)
    const ahead = handed - asset.storedBytes
    expect(
      schedule.spool !== undefined || ahead <= most + streams,
      `${ahead} bytes were taken and not stored; at most ${most} (memory) + ${streams} (streams)`,
    )
  }
  for (const event of ['part', 'retry', 'progress'] as const) upload.on(event, () => look(0, 0))

  await feed(schedule, data, upload, {
    look,
    handOver: async handed => {
      if (schedule.tokenDiesAt !== undefined && handed >= schedule.tokenDiesAt) network.killToken()
      if (interruption && handed >= interruption.after) {
        interrupt()
        if (interruption.by === 'source error') throw SOURCE_ERROR
      }
    },
    ended: () => {
      finishedSource = true
    },
  })
  const error = await ended

  const all = size > 0 && error === undefined && seen.order.includes('finish')
  if (all) {
    await within(HANGS / 2, asset.whenUploaded())
    expect(asset.sha256 === sha256(expected), 'the content must be identical')
    const sizes = asset.parts.map(part => part.size)
    expect(sizes.join() === cuts.join(), `parts must be ${cuts}: ${sizes}`)
    const result = { assetId: asset.id, bytes: size, parts: cuts.length }
    expect(JSON.stringify(upload.result) === JSON.stringify(result), 'the result')
    expect(upload.progress.bytesUploaded === size, 'bytesUploaded at the end')
    expect(upload.progress.partsUploaded === cuts.length, 'partsUploaded at the end')
    expect(asset.filesize === size, 'the total at the end')
    expect(asset.finals === 1, 'one final part')
    expect(asset.parts.at(-1)?.final === true, 'the last part must be the final one')
  } else {
    expect(upload.result === undefined, 'there must be no result')
    expect(!seen.order.includes('finish'), 'there must be no finish')
    const plain = interruption?.by === 'destroy' && interrupted
    expect(plain || error !== undefined, 'there must be an error')
    expect(error === undefined || isExpected(error), `an error of the library: ${shown(error)}`)
  }
  if (size === 0 && !interrupted) {
    expect((error as { code?: string }).code === 'ERR_EMPTY_STREAM', 'an empty stream')
  }
  expect(!(all && cutShort), 'an upload that was cut short must not finish')
  if (mustSurvive(schedule)) expect(all, `it must survive: ${shown(error)}`)
  if (!finishedSource) {
    expect(asset.finals === 0, 'a source that fails must not leave a finalised asset')
    expect(asset.status === 'created', 'a source that fails must not leave an asset complete')
  }
  for (const { number, size, final } of asset.parts) {
    expect(size === cuts[number - 1], `part ${number} must have ${cuts[number - 1]}: ${size}`)
    expect(final === (number === cuts.length), `part ${number} must be final if the last`)
    expect(final || size >= schedule.partSize, `part ${number} is below the limit: ${size}`)
  }
  expect(asset.finals <= 1, 'at most one final part')
  const errors = seen.order.filter(event => event === 'error').length
  expect(errors === (error ? 1 : 0), `errors: ${errors}`)
  expect(seen.order.at(-1) === 'close', 'close must be last')
  expect(seen.order.filter(event => event === 'close').length === 1, 'close must come once')
  const told = seen.part.map(part => part.number)
  expect(new Set(told).size === told.length, `each part must be told at most once: ${told}`)
  expect(upload.progress.bytesUploaded <= asset.storedBytes, 'no more than is stored')
  const text = [error, ...seen.retry].map(shown).join('\n')
  expect(!text.includes(sandbox.token), 'no token must be told')
  expect(!/X-Amz-(Signature|Credential)=(?!\[redacted\])/i.test(text), 'no URL must be told')
  const lanes = Math.min(concurrency, clientConcurrency)
  expect(network.most.puts <= lanes, `PUTs at once: ${network.most.puts} of ${lanes}`)
  expect(network.most.calls <= 1, `registrations at once: ${network.most.calls}`)
  // Promise 6: the window grows with the time of a call, and a part that waits for another try has
  // left its lane. No more can wait than the memory holds.
  const held = Math.ceil(heldAtMost(schedule, cuts, size) / schedule.partSize) + 1
  expect(
    schedule.spool !== undefined || network.most.waiting <= held,
    `parts registered: ${network.most.waiting} of ${held}`,
  )
  expect(network.inFlight() === 0, `requests after close: ${network.inFlight()}`)

  await client?.close()
  await network.close()
  if (dir && (schedule.spool === 'durable' || all)) {
    sandbox.faults.clear()
    const durable = upload.progress.bytesDurable
    for (const rule of await finishFrom(dir, sandbox, asset, data, all ? size : durable))
      wrong.add(rule)
  }
  if (dir) await rm(dir, { recursive: true })
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  sandbox.faults.clear()
  return [...wrong]
}

const flip = (byte: number): number => byte ^ 0xff

const mendFirst = async (head: Buffer): Promise<void> => {
  await new Promise(setImmediate)
  head[0] = flip(head[0] as number)
}

/** What a spool holds must become an asset, and the spool empty. Says what did not hold. */
const finishFrom = async (
  dir: string,
  sandbox: Sandbox,
  asset: SandboxAsset,
  data: Buffer,
  least: number,
): Promise<string[]> => {
  const wrong: string[] = []
  const { token, url: baseUrl } = sandbox
  const client = new FrameioClient({ token, baseUrl, ...{ [LIMITS_DOOR]: { minPartSize: 1_000 } } })
  for await (const one of resumeUploads({ dir, client })) {
    if ('error' in one) wrong.push(`a resume must finish: ${shown(one.error)}`)
    else if (one.bytes < least) wrong.push(`${least} bytes were durable, and ${one.bytes} are left`)
    else if (one.bytes > 0) {
      await within(HANGS / 2, asset.whenUploaded())
      if (asset.sha256 !== sha256(data.subarray(0, one.bytes))) wrong.push('another content')
    }
  }
  await client.close()
  const left = await readdir(dir)
  return left.length === 0 ? wrong : [...wrong, `the spool must be empty: ${left}`]
}

const SOURCE_ERROR = new Error('the camera fell')

/** What may end an upload: errors of the library, aborts, and what the schedule threw itself. */
const isExpected = (error: Error) =>
  error === SOURCE_ERROR ||
  error.message === 'enough' ||
  error.name === 'RealtimeUploadError' ||
  error.name === 'AbortError'

/** With faults that pass and no end from outside, patience must win. */
const mustSurvive = ({ size, patient, faults, interruption }: Schedule): boolean =>
  size > 0 && patient && !interruption && !faults.some(fault => isGrave(fault) || isEndless(fault))

/** Patience with such a fault would last as long. */
const isEndless = (fault: ScriptedFault) =>
  fault.times === Infinity && !('do' in fault && 'delay' in fault.do)

/** Sizes of the parts, by the plan of the design and not by the library's code. */
const cutsOf = ({ size, partSize, growthDivisor }: Schedule): number[] => {
  const cuts: number[] = []
  for (let cut = 0; cut < size; ) {
    const part = Math.min(size - cut, planned(partSize, growthDivisor, cut))
    cuts.push(part)
    cut += part
  }
  return cuts
}

const planned = (partSize: number, growthDivisor: number, cut: number) =>
  Math.max(partSize, Math.ceil(cut / growthDivisor))

/**
 * Promise 3: bytes in memory never exceed `memoryLimit`, or two parts of the current size in whole
 * blocks where that is more; and the first, where that goes last. The server stores a part before its memory comes back, so bytes handed
 * over minus bytes stored are at most as many. The current part is at most the one that the last
 * byte handed over falls into.
 */
const heldAtMost = (schedule: Schedule, cuts: readonly number[], handed: number): number => {
  const { partSize, growthDivisor, blockSize, memoryLimit } = schedule
  let cut = 0
  for (const part of cuts) {
    if (cut + part >= handed) break
    cut += part
  }
  const size = planned(partSize, growthDivisor, cut)
  const inBlocks = (bytes: number) => Math.ceil(bytes / blockSize) * blockSize
  const head = schedule.lateHead === undefined ? 0 : inBlocks(partSize)
  return Math.max(memoryLimit, head + 2 * inBlocks(size))
}

interface Feeding {
  look(handed: number, streams: number): void
  /** Before each chunk, told how many bytes were handed over. */
  handOver(handed: number): Promise<void>
  ended(): void
}

/** Gives the data to the upload, until all is given or the upload has ended. */
const feed = async (
  { chunks, source }: Schedule,
  data: Buffer,
  upload: RealtimeUpload,
  { look, handOver, ended }: Feeding,
): Promise<void> => {
  let handed = 0
  const pieces = async function* () {
    for (let index = 0; handed < data.length; index++) {
      const piece = data.subarray(handed, handed + (chunks[index % chunks.length] ?? 1))
      await handOver(handed)
      handed += piece.length
      yield piece
    }
    await handOver(handed)
  }
  const broken = (error: unknown) => void upload.destroy(error as Error)
  if (source === 'write') {
    try {
      for await (const piece of pieces()) {
        if (upload.destroyed) return
        await new Promise<void>(resolve => upload.write(piece, () => resolve()))
        // What was called back lies in memory blocks, or is stored: nothing else holds any of it.
        if (!upload.destroyed) look(handed, 0)
        await turn()
      }
    } catch (error) {
      return broken(error)
    }
    if (upload.destroyed) return
    ended()
    upload.end()
    return
  }
  const readable = Readable.from(pieces(), { objectMode: false, highWaterMark: SOURCE_MARK })
  const chunk = Math.max(...chunks)
  const streams = upload.writableHighWaterMark + SOURCE_MARK + 2 * chunk
  readable.on('data', () => look(handed, streams))
  readable.on('end', ended).on('error', broken)
  upload.on('close', () => readable.destroy())
  readable.pipe(upload)
  await new Promise<void>(resolve => readable.once('close', resolve))
}

// ── The surroundings ─────────────────────────────────────────────────────────────────────────────

const limitsOf = ({
  blockSize,
  growthDivisor,
  maxPartsPerCall,
  lateHead,
}: Schedule): Partial<Limits> => ({
  minPartSize: 1_000,
  growthStep: 1,
  blockSize,
  growthDivisor,
  // Two parts that go together need room for both.
  maxPartsPerCall: Math.max(maxPartsPerCall, lateHead === undefined ? 1 : 2),
})

const connectionOf = (schedule: Schedule, sandbox: Sandbox, dispatcher: Dispatcher) => {
  let failures = schedule.tokenFails
  return {
    token: async () => {
      if (failures-- > 0) throw new Error('no network yet')
      return sandbox.token
    },
    baseUrl: sandbox.url,
    dispatcher,
    retry: {
      giveUpAfter: schedule.patient && !schedule.faults.some(isEndless) ? 600_000 : 10,
      minDelay: 1,
      maxDelay: 5,
    },
    apiTimeout: schedule.faults.some(isHang) ? 60 : 30_000,
    memoryLimit: schedule.memoryLimit,
  }
}

const clientOf = (schedule: Schedule, sandbox: Sandbox, dispatcher: Dispatcher) => {
  const { clientConcurrency } = schedule
  if (clientConcurrency === undefined) return undefined
  return new FrameioClient({
    ...connectionOf(schedule, sandbox, dispatcher),
    concurrency: clientConcurrency,
    ...{ [LIMITS_DOOR]: limitsOf(schedule) },
  })
}

const uploadOptions = (
  schedule: Schedule,
  sandbox: Sandbox,
  dispatcher: Dispatcher,
  client: FrameioClient | undefined,
): Partial<RealtimeUploadOptions> => ({
  ...(client ? { client } : connectionOf(schedule, sandbox, dispatcher)),
  partSize: schedule.partSize,
  concurrency: schedule.concurrency,
  integrity: schedule.integrity,
  stallTimeout: schedule.faults.some(isHang) ? 20 : 30_000,
})

/** The faults put in force, and a dispatcher that counts what is in flight. */
const networkOf = ({ faults }: Schedule, sandbox: Sandbox, { id: assetId }: SandboxAsset) => {
  const mishaps = new Map<Fault, Mishap>()
  const due = new FaultList()
  for (const fault of faults) {
    if ('do' in fault) sandbox.faults.add({ ...fault, assetId })
    else {
      const { wire, ...target } = fault
      const entry: Fault = { ...target, do: { loseAnswer: true } }
      mishaps.set(entry, wire)
      due.add(entry)
    }
  }
  const now = { puts: 0, calls: 0 }
  const most = { puts: 0, calls: 0, waiting: 0 }
  /** Parts that a call named, and those of which a PUT began. */
  const named = new Set<number>()
  const begun = new Set<number>()
  const inner = mishapDispatcher(request => {
    for (const number of request.partNumbers) {
      if (request.operation === 'put') begun.add(number)
      else named.add(number)
    }
    most.waiting = Math.max(most.waiting, named.size - begun.size)
    const hit = due.due(request) && due.fired.at(-1)?.fault
    return hit && mishaps.get(hit)
  })
  const dispatcher = (inner.dispatcher as Agent).compose(dispatch => (options, handler) => {
    const kind = options.method === 'PUT' ? 'puts' : 'calls'
    most[kind] = Math.max(most[kind], ++now[kind])
    return dispatch(
      options,
      counted(handler, () => now[kind]--),
    )
  })
  let alive = true
  return {
    dispatcher,
    most,
    inFlight: () => now.puts + now.calls,
    killToken: () => {
      if (alive) sandbox.renewToken()
      alive = false
    },
    close: inner.close,
  }
}

/** The handler, and `onEnd` called once when the request is over, however it ended. */
const counted = (handler: Dispatcher.DispatchHandler, onEnd: () => void) => {
  const inner: Dispatcher.DispatchHandler = new DecoratorHandler(handler)
  let over = false
  const end = () => {
    if (!over) onEnd()
    over = true
  }
  const outer: Dispatcher.DispatchHandler = {
    onRequestStart: (...args) => inner.onRequestStart?.(...args),
    onRequestUpgrade: (...args) => inner.onRequestUpgrade?.(...args),
    onResponseStart: (...args) => inner.onResponseStart?.(...args),
    onResponseData: (...args) => inner.onResponseData?.(...args),
    onResponseEnd: (...args) => {
      end()
      inner.onResponseEnd?.(...args)
    },
    onResponseError: (...args) => {
      end()
      inner.onResponseError?.(...args)
    },
  }
  return outer
}

// ── Many of them ─────────────────────────────────────────────────────────────────────────────────

export interface Tally {
  readonly ran: number
  /** What fast-check says of the first that failed, shrunk, with its seed and path. */
  readonly failure: string | undefined
}

/** Runs so many schedules from a seed; `shards` at once, each with a seed of its own. */
export const runSchedules = async (
  count: number,
  seed: number,
  {
    shards = 4,
    path,
    onRun = () => {},
  }: { shards?: number; path?: string; onRun?: () => void } = {},
): Promise<Tally> => {
  let ran = 0
  const checks = Array.from({ length: shards }, async (_, shard) => {
    const ground = new Ground()
    let hangs = false
    const property = fc.asyncProperty(schedules, async schedule => {
      // One that hangs is not shrunk: each try would take as long.
      if (hangs) return
      ran++
      onRun()
      const start = performance.now()
      try {
        await ground.run(schedule)
      } finally {
        hangs = performance.now() - start >= HANGS
      }
    })
    const details = await fc.check(property, {
      seed: seed + shard,
      numRuns: Math.ceil(count / shards),
      ...(path !== undefined && { path }),
    })
    await ground.close()
    if (!details.failed) return undefined
    return `${fc.defaultReportMessage(details)}\n${shown(details.errorInstance)}`
  })
  const failures = await Promise.all(checks)
  return { ran, failure: failures.find(failure => failure !== undefined) }
}
