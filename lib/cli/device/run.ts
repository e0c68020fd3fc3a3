/**
 * `pair`, `unpair` and `devices`: what they have in common.
 */
import { AbortError, type ErrorCode, RealtimeUploadError } from '../../errors.ts'
import { resolveClientOptions } from '../../frameio/options.ts'
import { readProxies } from '../../net/proxies.ts'
import { openProxyAgent } from '../../net/proxy-agent.ts'
import { Display } from '../display.ts'
import { messageOf } from '../failures.ts'
import { Output } from '../output.ts'
import { Secrets } from '../secrets.ts'
import { onSignals } from '../signals.ts'
import { UsageError } from '../usage.ts'
import { adviceFor } from './advice.ts'
import type { DeviceSettings } from './arguments.ts'
import { makeCredentials, naming, readCredentials } from './credentials.ts'
import { devices } from './devices.ts'
import { pair } from './pair.ts'
import { unpair } from './unpair.ts'

/** How it ended. */
export type DeviceEnd = 'done' | 'failed' | 'aborted'

const COMMANDS = { pair, unpair, devices } as const

/** @throws {UsageError} */
export const runDevice = async (settings: DeviceSettings): Promise<DeviceEnd> => {
  const { command, credentials: file, json } = settings
  const proxyFor = check(settings)
  const secrets = new Secrets()
  const aborting = new AbortController()
  const { signal } = aborting
  const abort = () => aborting.abort()
  onSignals(abort, abort)
  const display = new Display(process.stderr, { json, quiet: false }, secrets)
  const patience = {
    leaving: signal,
    get isHurried() {
      return signal.aborted
    },
  }
  const output = new Output(json, display, secrets, patience)
  const proxy = proxyFor && openProxyAgent(proxyFor)
  try {
    const credentials =
      command === 'pair'
        ? await makeCredentials(file, secrets, signal)
        : await readCredentials(file, secrets)
    const { clientVersion, baseUrl } = settings
    const connection = { clientVersion, baseUrl, dispatcher: proxy?.dispatcher }
    const device = { ...credentials, ...connection }
    const session = { device, secrets, display, signal }
    const { result, line } = await COMMANDS[command](session).catch(error => {
      throw naming(error, credentials)
    })
    display.stop()
    return (await output.tell(result, line)) ? 'done' : 'failed'
  } catch (error) {
    if (error instanceof UsageError) throw error
    display.stop()
    if (signal.aborted) {
      const lines = [ABORTED[command], ...leftBy(error)]
      display.say('aborted', lines.join('\n  '), {}, 'bad')
      return 'aborted'
    }
    const { code }: { code?: ErrorCode } = error instanceof RealtimeUploadError ? error : {}
    const message = messageOf(error)
    const lines = [message, adviceFor(command, error, file)].filter(text => text !== undefined)
    display.say('error', lines.join('\n  '), { code }, 'bad')
    if (json) await output.tell({ error: { code, message } })
    return 'failed'
  } finally {
    await display.settle(signal, signal.aborted)
    await proxy?.close()
  }
}

const ABORTED = {
  pair: 'aborted: no token was kept',
  unpair: 'aborted: the tokens stay in the file, be they revoked or not',
  devices: 'aborted',
} as const

/** What an end could not undo. */
const leftBy = (error: unknown): string[] =>
  error instanceof AbortError && error.cause instanceof RealtimeUploadError
    ? [error.cause.message]
    : []

/** What the library would find later, when a file was made already. @throws {UsageError} */
const check = ({ baseUrl, clientVersion }: DeviceSettings) => {
  try {
    resolveClientOptions({ token: 'unknown', baseUrl, device: { clientVersion } })
    return readProxies(process.env)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
