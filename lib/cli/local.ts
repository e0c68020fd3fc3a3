/**
 * A target in a sandbox that the command starts: no account is needed, and the file stays.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { FrameioClient } from '../frameio/client.ts'
import { listOf } from '../sandbox/files.ts'
import { makeFolder, removeEmpty } from '../sandbox/folders.ts'
import { type Sandbox, type SandboxAsset, startSandbox } from '../sandbox/index.ts'
import type { Settings } from './settings.ts'
import type { Target } from './target.ts'
import { showSize } from './units.ts'
import { UsageError } from './usage.ts'

/** @param given a folder, or '' for a new one in the system's folder for temporary files */
export const openLocal = async (settings: Settings, given: string): Promise<Target> => {
  const { sandbox, close } = await startIn(given)
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

/**
 * A sandbox in a folder. What was made for it goes when it is closed, but for what is not empty.
 *
 * @throws {UsageError}
 */
export const startIn = async (given: string) => {
  const isOwn = given === ''
  let made: readonly string[] = []
  try {
    const dir = isOwn ? await mkdtemp(join(tmpdir(), 'frameio-upload-')) : resolve(given)
    made = isOwn ? [dir] : await makeFolder(dir)
    const sandbox = await startSandbox({ dir })
    const close = async () => {
      await sandbox.close()
      await removeEmpty(made)
    }
    return { sandbox, dir, close }
  } catch (error) {
    await removeEmpty(made)
    throw new UsageError(`--sandbox must be a folder to write to; ${(error as Error).message}`)
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
