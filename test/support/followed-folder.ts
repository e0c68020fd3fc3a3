/**
 * A folder that is followed by the engine, with what is needed to see what became of its files.
 */
import { mkdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { resolveFollow } from '../../lib/follow/options.ts'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { FrameioClient, type FrameioClientOptions } from '../../lib/index.ts'
import type { Sandbox, SandboxAsset, SandboxOptions } from '../../lib/sandbox/index.ts'
import {
  type FolderEvent,
  type FolderOptions,
  followFolder,
} from '../../lib/sources/follow-folder.ts'
import { folderFor, QUICK, SMALL, sandboxFor } from './sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** A folder with a spool beside it, and a sandbox. */
export const placeFor = async (t: Teardown, options: SandboxOptions = {}) => {
  const sandbox = await sandboxFor(t, options, SMALL)
  const root = await folderFor(t)
  const dir = join(root, 'in')
  await mkdir(dir)
  return { t, sandbox, dir, spool: join(root, 'spool'), root }
}

export type Place = Awaited<ReturnType<typeof placeFor>>

type Options = Partial<FolderOptions> & {
  readonly idle?: number
  /** Of its client: without, an account's on the platform. */
  readonly connection?: Partial<FrameioClientOptions>
}

/** Follows it, until told to end or aborted. */
export const follow = (place: Place, options: Options = {}) => {
  const { t, sandbox, dir, spool } = place
  const ending = new AbortController()
  const aborting = new AbortController()
  const { idle = 1_000, connection = {}, ...rest } = options
  const events: FolderEvent[] = []
  const limits = { [LIMITS_DOOR]: SMALL }
  const { token, url: baseUrl, parentId } = sandbox
  const client = new FrameioClient({ token, baseUrl, retry: QUICK, ...limits, ...connection })
  t.teardown(() => client.close())
  const followed = resolveFollow('follow', { appear: 0, headroom: 0, idle, ended: ending.signal })
  if (!followed) throw new Error('It is to be followed')
  const ended = followFolder({
    client,
    parentId: connection.device ? undefined : parentId,
    dir,
    spool: { dir: spool, keepFree: 0, syncEvery: 10 },
    follow: followed,
    upload: limits as FolderOptions['upload'],
    match: [],
    isOnce: true,
    signal: aborting.signal,
    onEvent: event => events.push(event),
    ...rest,
  })
  ended.catch(() => {})
  const names = (kind: FolderEvent['t']) =>
    events.flatMap(event => (event.t === kind && 'name' in event ? [event.name] : []))
  return { ended, events, names, ending, aborting, client }
}

/** A file that was left alone for long, in seconds. */
export const oldFile = async (path: string, content: Uint8Array, age = 3_600): Promise<void> => {
  await writeFile(path, content)
  await isOld(path, age)
}

export const isOld = async (path: string, age = 3_600): Promise<void> => {
  const then = Date.now() / 1_000 - age
  await utimes(path, then, then)
}

/** In the order in which they were first asked for anything. */
export const assetsIn = (sandbox: Sandbox): SandboxAsset[] => {
  const ids = sandbox.requests.flatMap(({ assetId }) => assetId ?? [])
  return [...new Set(ids)].flatMap(id => sandbox.asset(id) ?? [])
}
