/**
 * A target in an account: what is asked of Frame.io before the take, and after one that came to
 * nothing.
 */
import { ageOf } from '../follow/age.ts'
import { FrameioClient } from '../frameio/client.ts'
import { DEFAULT_CAP, type FrameioClientOptions } from '../frameio/options.ts'
import { readProxies } from '../net/proxies.ts'
import { openProxyAgent } from '../net/proxy-agent.ts'
import { begunAt } from './begun-at.ts'
import { checkAsset } from './check-asset.ts'
import { checkDevice } from './check-device.ts'
import { readCredentials } from './device/credentials.ts'
import { tokensOfDevice } from './device/tokens.ts'
import { messageOf } from './failures.ts'
import type { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import type { Discarded, Target } from './target.ts'
import { tokensOf } from './tokens.ts'
import type { Waiting } from './waiting.ts'

/** How long the questions before the take are asked, where a program waits for them, in ms. */
const PATIENT = { giveUpAfter: 15_000, apiTimeout: 5_000 }

/** How a useless asset is deleted: people wait for it who have just been told of a failure. */
const BRIEF = { retry: { giveUpAfter: 2_000, maxDelay: 1_000 } }
/** How long that may take in all, in ms: a budget of retries leaves three tries to a silent network. */
const LONGEST_DELETION = 3_000

/** How Frame.io is reached, with the token for the take. */
type Connection = Pick<FrameioClientOptions, 'token' | 'baseUrl' | 'device' | 'dispatcher'>

/** How an account is reached, and how to let go of that. */
export const connect = async (
  settings: Pick<Settings, 'tokenFile' | 'credentials' | 'producer' | 'follow' | 'upload'>,
  secrets: Secrets,
  waiting: Waiting,
) => {
  const { credentials: file, upload, tokenFile } = settings
  const { baseUrl, device } = upload
  const found =
    file === undefined
      ? await waiting.during(`${tokenFile} gives no token yet`, tokensOf(settings, secrets))
      : await readCredentials(file, secrets)
  const proxyFor = readProxies(process.env)
  const proxy = proxyFor && openProxyAgent(proxyFor)
  const reached = { baseUrl, dispatcher: proxy?.dispatcher }
  const disconnect = async () => proxy?.close()
  if ('renewing' in found) {
    const { renewing: token, first } = found
    return { connection: { token, device, ...reached }, first, disconnect }
  }
  const options = { ...found, ...reached, clientVersion: device?.clientVersion }
  const token = tokensOfDevice(options, secrets)
  return { connection: { token, device, ...reached }, first: token, disconnect }
}

export const openAccount = async (
  settings: Settings,
  secrets: Secrets,
  waiting: Waiting,
): Promise<Target> => {
  const { memoryLimit, concurrency = 0, retry } = settings.upload
  const { connection, first, disconnect } = await connect(settings, secrets, waiting)
  const asking = new FrameioClient({
    ...connection,
    ...patience(settings),
    token: first,
    onRetry: waiting.onRetry,
  })
  try {
    if (settings.check && connection.device) await checkDevice(asking, waiting.display)
    const assetId = await assetOf(settings, asking)
    const cap = Math.max(concurrency, DEFAULT_CAP)
    const client = new FrameioClient({ ...connection, retry, memoryLimit, concurrency: cap })
    const target: Target = {
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
        await disconnect()
      },
    }
    if (settings.asset !== undefined) return target
    return { ...target, discard: leaving => discard(assetId, connection, leaving) }
  } finally {
    await asking.close()
  }
}

/** What a question may take. */
type Patience = Pick<FrameioClientOptions, 'retry' | 'apiTimeout'>

/**
 * A program that has not begun can wait a while, and begin when it is sure to be heard. What comes
 * through stdin is running already: there the whole patience is right.
 */
export const patience = ({
  producer,
  upload: { retry },
}: {
  readonly producer: Settings['producer']
  readonly upload: Pick<Settings['upload'], 'retry'>
}): Patience => (producer ? briefly(retry) : { retry })

/** With a retry's budget of that length, or a shorter one that was given. */
export const briefly = (retry: FrameioClientOptions['retry']): Patience => {
  const { giveUpAfter = PATIENT.giveUpAfter } = retry ?? {}
  return {
    apiTimeout: PATIENT.apiTimeout,
    retry: { giveUpAfter: Math.min(giveUpAfter, PATIENT.giveUpAfter) },
  }
}

/** The asset to be filled: one that can be, as far as Frame.io tells, or a new one. */
const assetOf = async (settings: Settings, client: FrameioClient): Promise<string> => {
  const { asset, check, filetype, parent: parentId, name, extension } = settings
  if (asset === undefined) {
    // With an extension alone the name is given at the end.
    const called = extension === undefined ? { name } : { extension }
    const begun = settings.upload.device && begunAt(settings)
    const offset = begun === undefined ? undefined : () => ageOf(begun)
    return (await client.createRealtimeAsset({ parentId, filetype, offset, ...called })).id
  }
  if (check && !settings.upload.device) checkAsset(asset, await client.getAsset(asset), filetype)
  return asset
}

const discard = async (
  assetId: string,
  connection: Connection,
  leaving?: AbortSignal,
): Promise<Discarded> => {
  const empty = `Asset ${assetId}, which was created for it, is empty`
  if (connection.device) {
    return { isDeleted: false, text: `${empty}: delete it in Frame.io, for a device may not.` }
  }
  const client = new FrameioClient({ ...connection, ...BRIEF })
  let cut: string | undefined
  const end = (why: string) => {
    cut = why
    void client.close()
  }
  const leave = () => end('nobody waited for the answer')
  const timer = setTimeout(end, LONGEST_DELETION, 'Frame.io has not answered in time')
  leaving?.addEventListener('abort', leave)
  if (leaving?.aborted) leave()
  try {
    await client.deleteAsset(assetId)
    return { isDeleted: true, text: `Asset ${assetId}, which was created for it, was deleted.` }
  } catch (error) {
    const text = `${empty}, and could not be deleted: ${cut ?? messageOf(error)}`
    return { isDeleted: false, text }
  } finally {
    clearTimeout(timer)
    await client.close()
  }
}
