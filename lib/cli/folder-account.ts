/**
 * Where the files of a folder that is followed go: into an account, or a sandbox.
 */
import { FrameioClient } from '../frameio/client.ts'
import { DEFAULT_CAP } from '../frameio/options.ts'
import { briefly, connect } from './account.ts'
import { checkForFolder } from './check-device.ts'
import { checkParent } from './check-parent.ts'
import type { Display } from './display.ts'
import { messageOf } from './failures.ts'
import { startIn } from './local.ts'
import type { Secrets } from './secrets.ts'
import type { FolderSettings } from './settings.ts'
import { Waiting } from './waiting.ts'

export interface FolderAccount {
  readonly client: FrameioClient
  readonly parentId: string | undefined
  /** Waits until a sandbox has put the file together, and says where. */
  readonly whenUploaded: (assetId: string) => Promise<string | undefined>
  readonly close: () => Promise<void>
}

/** @throws {RealtimeUploadError} where it is sure that no file could go up */
export const openFolderAccount = async (
  settings: FolderSettings,
  secrets: Secrets,
  display: Display,
): Promise<FolderAccount> => {
  const { sandbox } = settings
  return sandbox === undefined
    ? openAccount(settings, secrets, display)
    : openSandbox(settings, sandbox)
}

const openAccount = async (
  settings: FolderSettings,
  secrets: Secrets,
  display: Display,
): Promise<FolderAccount> => {
  const { upload, parent } = settings
  const { retry, concurrency = 0 } = upload
  const waiting = new Waiting(display, 'uploaded')
  const { connection, first, disconnect } = await waiting.for(connect(settings, secrets, waiting))
  if (settings.check) {
    const asking = { ...connection, token: first, onRetry: waiting.onRetry }
    const checking =
      parent === undefined
        ? checkForFolder(asking, display)
        : checkParent({ ...asking, ...briefly(retry) }, parent, display)
    await waiting.for(checking).catch(async error => {
      await disconnect()
      throw error
    })
  }
  const cap = Math.max(concurrency, DEFAULT_CAP)
  const onRetry = ({ error }: { readonly error: Error }) =>
    display.say('retry', `${messageOf(error)}; it is tried again`)
  const client = new FrameioClient({ ...connection, retry, concurrency: cap, onRetry })
  const close = async () => {
    await client.close()
    await disconnect()
  }
  return { client, parentId: parent, whenUploaded: async () => undefined, close }
}

const openSandbox = async ({ upload }: FolderSettings, given: string): Promise<FolderAccount> => {
  const { sandbox, close } = await startIn(given)
  const { token, url: baseUrl, parentId } = sandbox
  const client = new FrameioClient({ token, baseUrl, retry: upload.retry, concurrency: 1_000 })
  return {
    client,
    parentId,
    whenUploaded: async assetId => {
      const asset = sandbox.asset(assetId)
      await asset?.whenUploaded()
      return asset?.path
    },
    close: async () => {
      await client.close()
      await close()
    },
  }
}
