/**
 * An account in a sandbox, for tests of the command.
 */
import type { Sandbox, SandboxOptions } from '../../lib/sandbox/index.ts'
import { sandboxFor } from './sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** An account, and what the command needs to reach it. */
export const accountFor = async (t: Teardown, options: SandboxOptions = {}) => {
  const sandbox = await sandboxFor(t, options)
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const env = { FRAMEIO_TOKEN: sandbox.token }
  const base = ['--base-url', sandbox.url]
  return {
    sandbox,
    asset,
    env,
    base,
    to: [...base, '--asset', asset.id, '--filetype', 'video/mp4'],
    /** Creates an asset. */
    toNew: [...base, '--parent', sandbox.parentId, '--name', 'new.mp4'],
  }
}

/** How often this was asked for. */
export const callsOf = (sandbox: Sandbox, wanted: string): number =>
  sandbox.requests.filter(({ operation }) => operation === wanted).length

export const shell = (script: string) => ['--', 'sh', '-c', script]
