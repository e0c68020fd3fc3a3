/**
 * Where the command uploads to: an asset of an account, or of a sandbox that it starts.
 */
import { mkdtemp, readdir, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrameioClient } from '../frameio/client.ts'
import { DEFAULT_CAP } from '../frameio/options.ts'
import { readProxies } from '../net/proxies.ts'
import { openProxyAgent } from '../net/proxy-agent.ts'
import { listOf } from '../sandbox/files.ts'
import { type Sandbox, type SandboxAsset, startSandbox } from '../sandbox/index.ts'
import type { Settings } from './arguments.ts'
import type { Secrets } from './secrets.ts'
import { tokensOf } from './tokens.ts'
import { showSize } from './units.ts'
import { UsageError } from './usage.ts'

export interface Target {
  readonly client: FrameioClient
  readonly assetId: string
  /** Waits until Frame.io has put the file together. The file, where it is a sandbox's. */
  whenUploaded(signal: AbortSignal): Promise<string | undefined>
  /** What is there of a take that failed, in a sentence. @param isSent was every byte sent? */
  left(isSent: boolean): string | undefined
  close(): Promise<void>
}

/** How long the questions before the take are asked, where a program waits for them, in ms. */
const PATIENT = { giveUpAfter: 15_000, apiTimeout: 5_000 }

export const openTarget = async (settings: Settings, secrets: Secrets): Promise<Target> =>
  settings.sandbox === undefined
    ? openAccount(settings, secrets)
    : openSandbox(settings, settings.sandbox)

const openAccount = async (settings: Settings, secrets: Secrets): Promise<Target> => {
  const { upload, asset, producer, check } = settings
  const { baseUrl, device, memoryLimit, concurrency = 0, retry } = upload
  const tokens = await tokensOf(settings, secrets)
  const proxyFor = readProxies(process.env)
  const proxy = proxyFor && openProxyAgent(proxyFor)
  const dispatcher = proxy?.dispatcher
  const connection = { token: tokens.first, baseUrl, device, dispatcher }
  // A program that has not begun can wait a while, and begin when it is sure to be heard. What comes
  // through stdin is running already: there the whole patience is right.
  const { giveUpAfter = PATIENT.giveUpAfter } = retry ?? {}
  const asking = new FrameioClient(
    producer
      ? {
          ...connection,
          apiTimeout: PATIENT.apiTimeout,
          retry: { giveUpAfter: Math.min(giveUpAfter, PATIENT.giveUpAfter) },
        }
      : { ...connection, retry },
  )
  try {
    const assetId = asset ?? (await create(settings, asking))
    if (asset !== undefined && check && !device) await asking.getAsset(asset)
    const cap = Math.max(concurrency, DEFAULT_CAP)
    const client = new FrameioClient({
      ...connection,
      token: tokens.renewing,
      retry,
      memoryLimit,
      concurrency: cap,
    })
    return {
      client,
      assetId,
      whenUploaded: async signal => {
        await client.waitUntilUploaded(assetId, { signal })
        return undefined
      },
      left: isSent =>
        isSent
          ? `Asset ${assetId} has every byte all the same.`
          : `Asset ${assetId} stays unfinished.`,
      close: async () => {
        await client.close()
        await proxy?.close()
      },
    }
  } finally {
    await asking.close()
  }
}

const create = async (
  { parent: parentId, name, extension, filetype }: Settings,
  client: FrameioClient,
): Promise<string> => {
  // With an extension alone the name is given at the end.
  const called = extension === undefined ? { name } : { extension }
  const asset = await client.createRealtimeAsset({ parentId, filetype, ...called })
  return asset.id
}

const openSandbox = async (settings: Settings, given: string): Promise<Target> => {
  const dir = given === '' ? await mkdtemp(join(tmpdir(), 'frameio-upload-')) : given
  const sandbox = await startSandbox({ dir })
  const close = async () => {
    await sandbox.close()
    // A folder of our own stays for what is in it, whatever became of the take.
    if (given === '' && (await readdir(dir)).length === 0) await rmdir(dir)
  }
  try {
    const asset = createIn(sandbox, settings)
    const { memoryLimit, retry } = settings.upload
    const { token, url: baseUrl } = sandbox
    const client = new FrameioClient({ token, baseUrl, memoryLimit, retry, concurrency: 1_000 })
    return {
      client,
      assetId: asset.id,
      whenUploaded: async () => {
        await asset.whenUploaded()
        return asset.path
      },
      left: isSent => leftIn(asset, isSent),
      close: async () => {
        await client.close()
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** @throws {UsageError} */
const createIn = (sandbox: Sandbox, { name, extension, filetype }: Settings) => {
  try {
    const called = extension === undefined ? { name: name ?? '' } : { extension }
    return sandbox.createAsset({ ...called, filetype })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

const leftIn = ({ files, storedBytes }: SandboxAsset, isSent: boolean): string | undefined => {
  if (isSent) return undefined // What could not be put together has said where it is.
  if (files.length === 0) return 'Nothing of it is stored.'
  return `It stays unfinished; ${showSize(storedBytes)} of it are kept: ${listOf(files)}`
}
