/**
 * A device that is about to be paired: with a sandbox on this machine, where somebody enters every code
 * at once, or with Frame.io where FRAMEIO_CLIENT_SECRET is set.
 */
import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PairingCode } from 'frameio-realtime-upload'
import { startSandbox } from 'frameio-realtime-upload/sandbox'

export interface Device {
  /** For its tokens. */
  readonly file: string
  /** Unique to this device. It should be the same for ever: here it is another each time. */
  readonly clientId: string
  readonly clientSecret: string
  readonly baseUrl: string
  readonly showCode: (code: PairingCode) => void
  close(): Promise<void>
}

export const openDevice = async (): Promise<Device> => {
  const folder = await mkdtemp(join(tmpdir(), 'frameio-device-'))
  const {
    FRAMEIO_CLIENT_ID: clientId = randomUUID(),
    FRAMEIO_CLIENT_SECRET: clientSecret,
    FRAMEIO_BASE_URL: baseUrl = 'https://api.frame.io',
  } = process.env
  const sandbox = clientSecret ? undefined : await startSandbox({ pairing: { interval: 0.5 } })
  return {
    file: join(folder, 'tokens.json'),
    clientId,
    clientSecret: clientSecret || (sandbox?.credentials.clientSecret ?? ''),
    baseUrl: sandbox?.url ?? baseUrl,
    showCode({ userCode, verificationUri }) {
      console.log('enter', userCode, "in the project's C2C Connections, or at", verificationUri)
      sandbox?.devices.enter(userCode, { name: 'Cam A' })
    },
    async close() {
      await sandbox?.close()
      await rm(folder, { recursive: true })
    },
  }
}
