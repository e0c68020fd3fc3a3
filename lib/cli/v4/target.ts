/**
 * Where a take for V4 goes: a folder of an account, or of a sandbox that is started for it.
 */
import { rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DEFAULT_CAP } from '../../frameio/options.ts'
import { FrameioV4Client } from '../../frameio/v4/client.ts'
import { readProxies } from '../../net/proxies.ts'
import { openProxyAgent } from '../../net/proxy-agent.ts'
import { startIn } from '../local.ts'
import type { Secrets } from '../secrets.ts'
import type { V4Settings } from '../settings.ts'
import type { Waiting } from '../waiting.ts'
import { askBefore } from './ask-before.ts'
import { stateFolder } from './state-folder.ts'
import { tokensForV4 } from './tokens.ts'

export interface V4Target {
  readonly client: FrameioV4Client
  readonly folderId: string
  /** Where the recording lies until it is uploaded. */
  readonly dir: string
  /** Whose take it is, for the line that finishes it; undefined of a sandbox, which is gone then. */
  readonly accountId: string | undefined
  /** Waits until Frame.io has put a file together. The file, where it is a sandbox's. */
  whenUploaded(fileId: string, signal: AbortSignal): Promise<string | undefined>
  close(): Promise<void>
}

export const openV4 = (
  settings: V4Settings,
  secrets: Secrets,
  waiting: Waiting,
): Promise<V4Target> =>
  settings.sandbox === undefined
    ? openAccount(settings, secrets, waiting)
    : openLocal(settings, settings.sandbox)

/** The folder that a recording lies in; undefined where it is a sandbox's. */
export const spoolOf = ({ spool, sandbox }: V4Settings): string | undefined =>
  spool.dir ?? (sandbox === undefined ? stateFolder() : undefined)

/** How an account is reached, and how to let go of that. */
export const connectV4 = async (
  settings: Pick<V4Settings, 'tokenFile' | 'producer' | 'follow' | 'legacyToken' | 'upload'>,
  secrets: Secrets,
  waiting: Waiting,
) => {
  const { upload, tokenFile, legacyToken } = settings
  const { baseUrl, retry, concurrency = 0 } = upload
  const proxyFor = readProxies(process.env)
  const proxy = proxyFor && openProxyAgent(proxyFor)
  const dispatcher = proxy?.dispatcher
  const found = tokensForV4(settings, secrets, dispatcher)
  const { first, renewing } = await waiting.during(`${tokenFile} gives no token yet`, found)
  return {
    connection: {
      token: renewing,
      legacyToken,
      baseUrl,
      dispatcher,
      retry,
      concurrency: Math.max(concurrency, DEFAULT_CAP),
    },
    first,
    disconnect: async () => proxy?.close(),
  }
}

const openAccount = async (
  settings: V4Settings,
  secrets: Secrets,
  waiting: Waiting,
): Promise<V4Target> => {
  const { accountId = '', folderId = '' } = settings.v4 ?? {}
  const { connection, first, disconnect } = await connectV4(settings, secrets, waiting)
  if (settings.check) {
    const asking = { ...connection, accountId, token: first }
    await askBefore(asking, folderId, waiting).catch(async error => {
      await disconnect()
      throw error
    })
  }
  const client = new FrameioV4Client({ ...connection, accountId })
  return {
    client,
    folderId,
    dir: settings.spool.dir ?? stateFolder(),
    accountId,
    whenUploaded: async (fileId, signal) => {
      await client.waitUntilUploaded(fileId, { signal })
      return undefined
    },
    close: async () => {
      await client.close()
      await disconnect()
    },
  }
}

const openLocal = async ({ spool, upload }: V4Settings, given: string): Promise<V4Target> => {
  const { sandbox, dir, close } = await startIn(given)
  const { token, url: baseUrl, v4 } = sandbox
  const { retry } = upload
  const { accountId, folderId } = v4
  const client = new FrameioV4Client({ accountId, token, baseUrl, retry, concurrency: 1_000 })
  const recording = spool.dir ?? join(dir, 'recording')
  return {
    client,
    folderId,
    dir: recording,
    accountId: undefined,
    whenUploaded: async fileId => {
      const asset = sandbox.asset(fileId)
      await asset?.whenUploaded()
      return asset?.path
    },
    close: async () => {
      await client.close()
      // What is left in it is a take that failed.
      if (spool.dir === undefined) await rmdir(recording).catch(() => {})
      await close()
    },
  }
}
