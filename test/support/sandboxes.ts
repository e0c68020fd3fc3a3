/**
 * A sandbox for a test, uploads into it, and sources of bytes to upload.
 */
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { inspect } from 'node:util'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import {
  type EventMap,
  FrameioClient,
  type FrameioClientOptions,
  RealtimeUpload,
  type RealtimeUploadOptions,
} from '../../lib/index.ts'
import {
  type Sandbox,
  type SandboxAsset,
  type SandboxOptions,
  startSandbox,
} from '../../lib/sandbox/index.ts'

/** Anything that tears down, such as a tap test. */
interface Teardown {
  teardown(fn: () => unknown): void
}

/** Limits so low that a test of many parts takes few bytes. */
export const SMALL: Partial<Limits> = { minPartSize: 1_000, growthStep: 1, blockSize: 512 }

/** Retries that do not keep a test waiting. */
export const QUICK = { giveUpAfter: 200, minDelay: 1, maxDelay: 10 }

/** A sandbox that is closed with the test. */
export const sandboxFor = async (
  t: Teardown,
  options: SandboxOptions = {},
  limits: Partial<Limits> = {},
): Promise<Sandbox> => {
  const sandbox = await startSandbox({ ...options, [LIMITS_DOOR]: limits } as SandboxOptions)
  t.teardown(() => sandbox.close())
  return sandbox
}

export interface Target {
  readonly sandbox: Sandbox
  readonly asset: SandboxAsset
}

/** A new asset in a sandbox. */
export const targetIn = (sandbox: Sandbox): Target => ({
  sandbox,
  asset: sandbox.createAsset({ name: 'clip.mp4', filetype: 'video/mp4' }),
})

/** What an upload to this target needs, with what the test sets itself. */
export const optionsFor = (
  { sandbox, asset }: Target,
  options: Partial<RealtimeUploadOptions> = {},
  limits: Partial<Limits> = {},
): RealtimeUploadOptions =>
  ({
    assetId: asset.id,
    filetype: asset.filetype,
    ...(options.client ? {} : { token: sandbox.token, baseUrl: sandbox.url }),
    [LIMITS_DOOR]: limits,
    ...options,
  }) as RealtimeUploadOptions

/** An upload to a new asset, with small parts and quick retries. */
export const smallUpload = (sandbox: Sandbox, options: Partial<RealtimeUploadOptions> = {}) => {
  const target = targetIn(sandbox)
  const upload = new RealtimeUpload(optionsFor(target, { retry: QUICK, ...options }, SMALL))
  return { ...target, upload, seen: record(upload) }
}

interface Seen {
  readonly part: EventMap['part'][0][]
  readonly retry: EventMap['retry'][0][]
  readonly warning: EventMap['warning'][0][]
  readonly progress: EventMap['progress'][0][]
  /** The names of all events, in order. */
  readonly order: string[]
}

/** Everything an upload says. */
export const record = (upload: RealtimeUpload): Seen => {
  const seen: Seen = { part: [], retry: [], warning: [], progress: [], order: [] }
  upload.on('part', part => seen.part.push(part))
  upload.on('retry', info => seen.retry.push(info))
  upload.on('warning', warning => seen.warning.push(warning))
  upload.on('progress', progress => seen.progress.push(progress))
  for (const event of EVENTS) upload.on(event, () => seen.order.push(event))
  return seen
}

const EVENTS = [
  'part',
  'retry',
  'warning',
  'progress',
  'stall',
  'resume',
  'finish',
  'error',
  'close',
] as const

/** How an upload ended: its error, or undefined; once `close` was emitted. */
export const endOf = async (upload: RealtimeUpload): Promise<Error | undefined> => {
  let error = upload.errored ?? undefined
  upload.on('error', first => {
    error ??= first
  })
  if (!upload.closed) await new Promise<void>(resolve => upload.once('close', resolve))
  return error
}

/** A client of a sandbox, with small parts and quick retries, that is closed with the test. */
export const clientFor = (
  t: Teardown,
  { token, url: baseUrl }: Sandbox,
  options: Partial<FrameioClientOptions> = {},
): FrameioClient => {
  const limits = { [LIMITS_DOOR]: SMALL }
  const client = new FrameioClient({ token, baseUrl, retry: QUICK, ...options, ...limits })
  t.teardown(() => client.close())
  return client
}

/** A folder that is removed with the test. */
export const folderFor = async (t: Teardown): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'frameio-test-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** What Frame.io has, once it is put together. */
export const hashOf = async (asset: SandboxAsset): Promise<string | undefined> => {
  await asset.whenUploaded()
  return asset.sha256
}

/** The last two parts of the last registration of an asset that was answered. */
export const lastTwo = (sandbox: Sandbox, { id }: SandboxAsset) =>
  sandbox.requests
    .findLast(
      ({ operation, status, assetId }) =>
        operation === 'register' && status === 200 && assetId === id,
    )
    ?.partNumbers.slice(-2)

export const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

export const bytes = (size: number): Buffer => randomBytes(size)

/** The data as chunks of a size; the last may be smaller. */
export function* chunked(data: Buffer, size: number): Generator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size)
}

export const sourceOf = (data: Buffer, size: number): Readable =>
  Readable.from(chunked(data, size), { objectMode: false })

/** Every way in which an error may show what it holds. */
export const shown = (error: unknown): string =>
  [inspect(error, { depth: 9 }), JSON.stringify(error), error instanceof Error && error.stack].join(
    '\n',
  )

/** What the journals of all uploads in a spool say by now. */
export const journalsIn = (dir: string): string =>
  (existsSync(dir) ? readdirSync(dir) : [])
    .map(name => join(dir, name, 'journal'))
    .filter(path => existsSync(path))
    .map(path => readFileSync(path, 'utf8'))
    .join('')

/** Waits until the condition holds. Only a guard against hanging fails it. */
export const until = async (condition: () => boolean, what = 'a condition'): Promise<void> => {
  for (const start = Date.now(); !condition(); ) {
    if (Date.now() - start > 60_000) throw new Error(`Waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}
