/**
 * Where the example of V4 uploads to: a sandbox on this machine, or your account where FRAMEIO_TOKEN is set.
 */
import { startSandbox } from 'frameio-realtime-upload/sandbox'
import { fromEnv } from './target.ts'

export interface V4Target {
  readonly token: string
  readonly baseUrl: string
  readonly accountId: string
  readonly folderId: string
  close(): Promise<void>
}

export const openV4Target = async (): Promise<V4Target> => {
  const { FRAMEIO_TOKEN: token, FRAMEIO_BASE_URL: baseUrl = 'https://api.frame.io' } = process.env
  if (token) {
    const accountId = fromEnv('FRAMEIO_ACCOUNT_ID', 'the id of an account')
    const folderId = fromEnv('FRAMEIO_FOLDER_ID', 'the id of a folder in it')
    return { token, baseUrl, accountId, folderId, close: async () => {} }
  }
  const sandbox = await startSandbox()
  const { accountId, folderId } = sandbox.v4
  const close = () => sandbox.close()
  return { token: sandbox.token, baseUrl: sandbox.url, accountId, folderId, close }
}
