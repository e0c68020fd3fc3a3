/**
 * A device in a sandbox, for tests of the command: paired already, or about to be.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { saveDeviceTokens } from '../../lib/index.ts'
import type { DeviceOptions, SandboxOptions } from '../../lib/sandbox/index.ts'
import { folderFor, sandboxFor } from './sandboxes.ts'

interface Teardown {
  teardown(fn: () => unknown): void
}

/** One that is to be paired, and what the command needs for that. */
export const deviceFor = async (t: Teardown, options: SandboxOptions = {}) => {
  const sandbox = await sandboxFor(t, { pairing: { interval: 0.05 }, ...options })
  const file = join(await folderFor(t), 'device.json')
  const { clientSecret } = sandbox.credentials
  return {
    sandbox,
    file,
    clientSecret,
    env: { FRAMEIO_CLIENT_SECRET: clientSecret },
    to: ['--credentials', file, '--base-url', sandbox.url],
    inFile: async () => JSON.parse(await readFile(file, 'utf8')),
  }
}

/** One that is paired. Its file has all that a take needs. */
export const pairedFor = async (
  t: Teardown,
  options: SandboxOptions = {},
  as: DeviceOptions = { name: 'Cam A' },
) => {
  const { to, ...rest } = await deviceFor(t, options)
  const { sandbox, file, clientSecret } = rest
  const device = sandbox.devices.pair(as)
  const { clientId, accessToken, refreshToken } = device
  await writeFile(file, JSON.stringify({ clientId, clientSecret }))
  await saveDeviceTokens({ file, tokens: { accessToken, refreshToken, lifetime: 28_800_000 } })
  return { ...rest, device, env: {}, to, toTake: [...to, '--device', '1.2.3', '--name', 'a.mp4'] }
}
