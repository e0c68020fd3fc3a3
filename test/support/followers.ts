/**
 * Random followers: a writer that does to its file what writers do, against an upload that follows it
 * and a script of faults. A schedule is plain data, so that fast-check can shrink and print it.
 */
import { type FileHandle, mkdtemp, open, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import {
  type FollowOptions,
  RealtimeUpload,
  type UploadFromResult,
  uploadFrom,
} from '../../lib/index.ts'
import {
  type FaultAction,
  type Sandbox,
  type SandboxAsset,
  startSandbox,
} from '../../lib/sandbox/index.ts'
import { endOf, optionsFor, record, sha256, shown, targetIn, until } from './sandboxes.ts'
import { within } from './servers.ts'

// ── What a schedule is ───────────────────────────────────────────────────────────────────────────

/** What a writer may do. Where it stands is a share of the file's size: 0 is its start, 1 its end. */
export type Step =
  | { readonly do: 'append'; readonly size: number }
  | { readonly do: 'patch'; readonly at: number; readonly size: number }
  /** Bytes that are zeros, as silence is. */
  | { readonly do: 'append zeros' | 'patch zeros'; readonly at: number; readonly size: number }
  /** Makes the file larger than what was written, as one hole. */
  | { readonly do: 'preallocate'; readonly size: number }
  /** Cuts what was made large beforehand to what was written. */
  | { readonly do: 'trim' }
  | { readonly do: 'truncate'; readonly to: number }
  | { readonly do: 'pause'; readonly ms: number }
  | { readonly do: 'reopen' }

export interface FollowSchedule {
  readonly steps: readonly Step[]
  readonly isTold: boolean
  readonly partSize: number
  readonly headroom: number
  readonly concurrency: number
  readonly maxPartsPerCall: number
  readonly growthDivisor: number
  readonly integrity: 'md5' | undefined
  readonly faults: readonly {
    readonly on: 'put' | 'register'
    readonly nth: number
    readonly times: number
    readonly do: FaultAction
  }[]
}

// ── Random schedules ─────────────────────────────────────────────────────────────────────────────

const share = fc.integer({ min: 0, max: 1_000 }).map(part => part / 1_000)
const some = fc.oneof(fc.integer({ min: 1, max: 5_000 }), fc.constantFrom(1, 1_000, 1_024, 3_000))

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ do: fc.constant('append' as const), size: some }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('patch' as const), at: share, size: some }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('append zeros' as const, 'patch zeros' as const),
      at: share,
      size: some,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('preallocate' as const),
      size: fc.integer({ min: 1, max: 20_000 }),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'trim' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), to: share }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('pause' as const),
      ms: fc.integer({ min: 0, max: 12 }),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
)

/** None ends an upload that is patient. */
const PASSING: readonly FaultAction[] = [
  { status: 500 },
  { status: 503 },
  { status: 503, at: 'headers' },
  { delay: 5 },
  { delay: 20 },
  { reset: 'before' },
  { reset: 'during' },
  { reset: 'after' },
  { reset: 'answer' },
  { loseAnswer: true },
]

export const followSchedules: fc.Arbitrary<FollowSchedule> = fc
  .oneof({ weight: 60, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
  .chain(isTold =>
    fc.record({
      steps: fc.array(step, { minLength: 1, maxLength: 25, size: 'max' }),
      isTold: fc.constant(isTold),
      partSize: fc.constantFrom(1_000, 1_024, 1_500),
      headroom: fc.constantFrom(0, 0, 1, 700, 3_000),
      concurrency: fc.integer({ min: 1, max: 4 }),
      maxPartsPerCall: fc.constantFrom(100, 2, 3),
      growthDivisor: fc.constantFrom(900, 900, 5),
      integrity: fc.constantFrom(undefined, undefined, 'md5' as const),
      faults: fc.array(
        fc.record({
          on: fc.constantFrom('put' as const, 'put' as const, 'register' as const),
          nth: fc.integer({ min: 1, max: 10 }),
          times: fc.integer({ min: 1, max: 4 }),
          do: fc.constantFrom(...PASSING),
        }),
        { maxLength: 4 },
      ),
    }),
  )

// ── The writer ───────────────────────────────────────────────────────────────────────────────────

/** Bytes without a zero, so that those which count are told from those which do not. */
const filled = (size: number, seed: number): Buffer => {
  const bytes = Buffer.alloc(size)
  for (let at = 0; at < size; at++)
    bytes[at] = 1 + ((Math.imul(at + seed, 0x9e3779b1) >>> 13) % 255)
  return bytes
}

/** Does to its file what it is told, and remembers how far it ever went. */
class Writer {
  readonly #path: string
  #file: FileHandle
  #content = Buffer.alloc(0)
  #seed = 1
  /** Bytes up to the last that is not zero, at most, since it was cut last; and where it was cut. */
  readonly cuts: { readonly to: number; readonly wasWritten: number }[] = []
  #mostWritten = 0

  static async create(path: string): Promise<Writer> {
    return new Writer(path, await open(path, 'w+'))
  }

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** What stands in the file. */
  get content(): Buffer {
    return this.#content
  }

  get written(): number {
    for (let at = this.#content.length; at > 0; at--) if (this.#content[at - 1] !== 0) return at
    return 0
  }

  /** The most that ever counted. */
  get mostWritten(): number {
    return this.#mostWritten
  }

  async take(step: Step): Promise<void> {
    const { length } = this.#content
    switch (step.do) {
      case 'append':
        return this.#write(this.written, filled(step.size, this.#seed++))
      case 'patch':
        return this.#write(Math.floor(step.at * length), filled(step.size, this.#seed++))
      case 'append zeros':
        return this.#write(length, Buffer.alloc(step.size))
      case 'patch zeros':
        return this.#write(Math.floor(step.at * length), Buffer.alloc(step.size))
      case 'preallocate':
        return this.#resize(length + step.size)
      case 'trim':
        return this.#resize(this.written)
      case 'truncate':
        return this.#resize(Math.floor(step.to * length))
      case 'pause':
        return wait(step.ms)
      case 'reopen':
        await this.#file.close()
        this.#file = await open(this.#path, 'r+')
    }
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  async #write(at: number, bytes: Buffer): Promise<void> {
    const { length } = this.#content
    const size = Math.max(length, at + bytes.length)
    const content = Buffer.alloc(size)
    this.#content.copy(content)
    bytes.copy(content, at)
    await this.#file.write(bytes, 0, bytes.length, at)
    this.#content = content
    this.#mostWritten = Math.max(this.#mostWritten, this.written)
  }

  async #resize(size: number): Promise<void> {
    const { length } = this.#content
    if (size < length) this.cuts.push({ to: size, wasWritten: this.#mostWritten })
    const content = Buffer.alloc(size)
    this.#content.copy(content)
    await this.#file.truncate(size)
    this.#content = content
  }
}

// ── What must hold ───────────────────────────────────────────────────────────────────────────────

/** A guard against hanging, in ms. */
const HANGS = 60_000
/** Sandboxes are used again, but not for ever. */
const USES = 100
/** How long nothing may change where nobody tells that it is over, in ms. */
const IDLE = 1_000
/** Between two looks at the file, in ms. */
const LOOK_EVERY = 2

const ALLOWED_WARNINGS = new Set(['SOURCE_REWRITTEN'])

/** Where schedules run, one after the other. */
export class FollowGround {
  #sandbox: Sandbox | undefined
  #uses = 0

  /** @throws {Error} that names what did not hold */
  async run(schedule: FollowSchedule): Promise<string> {
    if (!this.#sandbox || ++this.#uses > USES) {
      await this.close()
      this.#sandbox = await startSandbox({
        rateLimit: { limit: 1e6, window: 1_000 },
        ...{ [LIMITS_DOOR]: { minPartSize: 1_000 } },
      })
      this.#uses = 1
    }
    const dir = await mkdtemp(join(tmpdir(), 'follower-'))
    try {
      const { wrong, end } = await within(HANGS, play(schedule, this.#sandbox, join(dir, 'a.bin')))
      if (wrong.length > 0) throw new Error(wrong.join('\n'))
      return end
    } catch (error) {
      await this.close() // What is left of this one must not disturb the next.
      throw error
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }

  async close(): Promise<void> {
    await this.#sandbox?.close()
    this.#sandbox = undefined
  }
}

/** Ends of the parts of a file that is so large, by the plan of the design and not by the library's code. */
const endsOf = ({ partSize, growthDivisor }: FollowSchedule, size: number): number[] => {
  const ends: number[] = []
  for (let end = 0; end < size; ) {
    end = Math.min(size, end + Math.max(partSize, Math.ceil(end / growthDivisor)))
    ends.push(end)
  }
  return ends
}

/** Runs a schedule, and says what did not hold. */
const play = async (schedule: FollowSchedule, sandbox: Sandbox, path: string) => {
  const wrong = new Set<string>()
  const expect = (holds: boolean, rule: string) => {
    if (!holds) wrong.add(rule)
  }
  const { steps, isTold, headroom, concurrency, maxPartsPerCall, growthDivisor } = schedule
  const { asset } = targetIn(sandbox)
  sandbox.faults.clear()
  for (const fault of schedule.faults) sandbox.faults.add({ ...fault, assetId: asset.id })
  const limits: Partial<Limits> = {
    minPartSize: 1_000,
    growthStep: 1,
    growthDivisor,
    maxPartsPerCall,
    lookEvery: LOOK_EVERY,
  }
  const { partSize, integrity } = schedule
  const retry = { giveUpAfter: 600_000, minDelay: 1, maxDelay: 5 }
  const options = { partSize, concurrency, integrity, retry }
  const upload = new RealtimeUpload(optionsFor({ sandbox, asset }, options, limits))
  const seen = record(upload)
  const resent = new Set<number>()
  upload.on('changed', ({ partNumbers }) => {
    for (const number of partNumbers) resent.add(number)
  })
  let uploaded = 0
  upload.on('part', () => {
    const { bytesUploaded } = upload.progress
    expect(bytesUploaded >= uploaded, 'progress must never go back')
    uploaded = bytesUploaded
  })
  const ended = endOf(upload)
  const telling = new AbortController()
  const follow: FollowOptions = { headroom, idle: IDLE, ended: telling.signal }
  const writer = await Writer.create(path)
  const following = uploadFrom({ file: path, follow }, upload).then(
    result => ({ result, failure: undefined }),
    (failure: Error & { code?: string }) => ({ result: undefined, failure }),
  )
  for (const step of steps) await writer.take(step)
  /** Where the last part ends that was stored before its writer stopped. */
  const ends = endsOf(schedule, writer.mostWritten)
  const stored = asset.parts.filter(part => part.stored && !part.final && part.number > 1)
  const storedEnd = Math.max(0, ...stored.map(({ number }) => ends[number - 1] ?? 0))
  if (isTold) telling.abort()
  else await writer.close()
  const { result, failure } = await following
  if (isTold) await writer.close()
  const error = await ended

  const { content, written, cuts } = writer
  expect(content.equals(await readFile(path)), 'the model must be the file')
  /** Ends of parts that may have been sent while the file grew. */
  const isSendable = (end: number, most: number) =>
    end < most - headroom && end > (endsOf(schedule, most)[0] ?? 0)
  const mayBeCut = cuts.some(({ to, wasWritten }) =>
    endsOf(schedule, wasWritten).some(end => isSendable(end, wasWritten) && to <= end),
  )
  const isEmptyDue = content.length === 0 || written === 0
  if (result) {
    await within(HANGS / 2, asset.whenUploaded())
    const { length } = content
    // Of zeros at its end, where it was told, some or all need not count: it may be made large beforehand.
    const isSize = result.bytes <= length && result.bytes >= (isTold ? written : length)
    expect(isSize, `${result.bytes} bytes of a file of ${length} that is written up to ${written}`)
    const sum = sha256(content.subarray(0, result.bytes))
    expect(asset.sha256 === sum, 'the content must be identical')
    expect(storedEnd <= result.bytes, `a part was stored up to ${storedEnd}`)
    for (const rule of brokenBy(schedule, sandbox, asset, result, resent)) wrong.add(rule)
    const { bytesUploaded, bytesResent } = upload.progress
    expect(bytesUploaded === result.bytes, 'bytesUploaded at the end')
    expect(bytesResent > 0 === resent.size > 0, `bytesResent: ${bytesResent}`)
  } else {
    const code = failure?.code
    // A file that is cut is found by the next look and by a PUT, and each says so itself.
    const { code: ofUpload } = (error ?? {}) as { code?: string }
    expect(code === ofUpload, `the call fails with ${code}, and the upload with ${ofUpload}`)
    expect(asset.status === 'created', 'a failed one must not be complete')
    if (code === 'ERR_EMPTY_STREAM') expect(isEmptyDue, 'it is not empty')
    else if (code === 'ERR_SOURCE_TRUNCATED')
      expect(mayBeCut, `it was not cut below what was sent: ${shown(error)}`)
    else expect(false, `must survive: ${shown(error)}`)
  }
  for (const { code } of seen.warning) expect(ALLOWED_WARNINGS.has(code), `warning ${code}`)
  const errors = seen.order.filter(event => event === 'error').length
  expect(errors === (error ? 1 : 0), `errors: ${errors}`)
  expect(seen.order.at(-1) === 'close', 'close must be last')
  expect(asset.finals <= 1, 'at most one final part')
  sandbox.faults.clear()
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  const end = failure
    ? String(failure.code)
    : `${result?.source.reason}${resent.size > 0 ? ', sent again' : ''}`
  return { wrong: [...wrong], end }
}

/** Of parts and requests, what does not hold at the end of one that is complete. */
const brokenBy = (
  schedule: FollowSchedule,
  { requests }: Sandbox,
  asset: SandboxAsset,
  { bytes, parts }: UploadFromResult,
  resent: ReadonlySet<number>,
): string[] => {
  const wrong: string[] = []
  const expect = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule)
  }
  const { faults, integrity } = schedule
  const ends = endsOf(schedule, bytes)
  const sizes = ends.map((end, index) => end - (ends[index - 1] ?? 0))
  expect(asset.parts.map(({ size }) => size).join() === sizes.join(), `parts must be ${sizes}`)
  expect(asset.filesize === bytes && parts === ends.length, 'the result')
  const calls = requests.filter(
    ({ assetId, operation, status }) =>
      assetId === asset.id && operation === 'register' && status === 200,
  )
  const heads = calls.filter(({ partNumbers }) => partNumbers.includes(1))
  const isTied = heads.every(({ partNumbers }) => partNumbers.includes(parts))
  expect(isTied || faults.length > 0, 'the head is registered with the final part')
  const puts = requests.filter(
    ({ assetId, operation }) => assetId === asset.id && operation === 'put',
  )
  const again = puts.filter(({ partNumbers: [number = 0] }) => resent.has(number))
  const headAt = heads[0]?.startedAt ?? 0
  const late = again.filter(({ endedAt = 0 }) => endedAt > headAt)
  const numbers = late.map(({ partNumbers }) => partNumbers)
  expect(late.length === 0, `sent again after the head: ${numbers}`)
  // With a sum beforehand a part that is changed as it is sent is refused, and sent anew.
  if (faults.length > 0 || integrity) return wrong
  const once = puts.length - again.length
  expect(once === parts - resent.size, `${once} PUTs of ${parts} parts, beside ${resent.size}`)
  return wrong
}

// ── Many of them ─────────────────────────────────────────────────────────────────────────────────

export interface FollowTally {
  readonly ran: number
  /** How many ended how. */
  readonly ends: ReadonlyMap<string, number>
  /** What fast-check says of the first that failed, shrunk, with its seed and path. */
  readonly failure: string | undefined
}

/** Runs so many schedules from a seed; `shards` at once, each with a seed of its own. */
export const runFollowSchedules = async (
  count: number,
  seed: number,
  shards = 8,
): Promise<FollowTally> => {
  let ran = 0
  const ends = new Map<string, number>()
  const checks = Array.from({ length: shards }, async (_, shard) => {
    const ground = new FollowGround()
    let hangs = false
    const property = fc.asyncProperty(followSchedules, async schedule => {
      // One that hangs is not shrunk: each try would take as long.
      if (hangs) return
      ran++
      const start = performance.now()
      try {
        const end = await ground.run(schedule)
        ends.set(end, (ends.get(end) ?? 0) + 1)
      } finally {
        hangs = performance.now() - start >= HANGS
      }
    })
    const numRuns = Math.ceil(count / shards)
    const details = await fc.check(property, { seed: seed + shard, numRuns })
    await ground.close()
    if (!details.failed) return undefined
    return `${fc.defaultReportMessage(details)}\n${shown(details.errorInstance)}`
  })
  const failures = await Promise.all(checks)
  return { ran, ends, failure: failures.find(failure => failure !== undefined) }
}
