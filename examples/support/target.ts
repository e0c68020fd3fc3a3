/**
 * Where the examples upload to: a sandbox on this machine, or your Frame.io account where
 * FRAMEIO_TOKEN is set. Each takes from here what it needs.
 */
import { type SandboxOptions, startSandbox } from 'frameio-realtime-upload/sandbox'

export interface Target {
  readonly token: string
  readonly baseUrl: string
  /** A real-time asset that was created as `video/mp4`, for one upload. */
  readonly assetId: string
  /** A folder to create assets in. */
  readonly parentId: string
  close(): Promise<void>
}

export const openTarget = async (options: SandboxOptions = {}): Promise<Target> => {
  const { FRAMEIO_TOKEN: token, FRAMEIO_BASE_URL: baseUrl = 'https://api.frame.io' } = process.env
  if (token) {
    return {
      token,
      baseUrl,
      get assetId() {
        return fromEnv('FRAMEIO_ASSET_ID', 'the id of a real-time asset created as video/mp4')
      },
      get parentId() {
        return fromEnv('FRAMEIO_PARENT_ID', 'the id of a folder or project root to create it in')
      },
      close: async () => {},
    }
  }
  const sandbox = await startSandbox(options)
  const { id } = sandbox.createAsset({ name: 'live.mp4', filetype: 'video/mp4' })
  return {
    token: sandbox.token,
    baseUrl: sandbox.url,
    assetId: id,
    parentId: sandbox.parentId,
    close: () => sandbox.close(),
  }
}

export const fromEnv = (name: string, what: string): string => {
  const value = process.env[name]
  if (value) return value
  console.error(`Set ${name} to ${what}, or unset FRAMEIO_TOKEN to use the sandbox.`)
  process.exit(1)
}
