/**
 * One end of a network made by network.ts. A process cannot leave its network namespace for another,
 * so each end is a process that was started in its own: one is told to hold the sandbox, one to
 * upload. It ends with its parent, whatever ended that, and its namespace ends with it.
 */
import { pipeline } from 'node:stream/promises'
import { RealtimeUpload } from '../../lib/index.ts'
import { type Sandbox, startSandbox } from '../../lib/sandbox/index.ts'
import type { Delivery, Destination, FromPeer, Order, Outcome, Report } from './network.ts'
import { bytes, sha256, sourceOf } from './sandboxes.ts'

const say = (message: FromPeer) => process.send?.(message)

let started: Promise<Sandbox> | undefined

const theSandbox = () => {
  started ??= startSandbox()
  return started
}

const create = async (): Promise<Destination> => {
  const sandbox = await theSandbox()
  const { id, filetype } = sandbox.createAsset({ name: 'clip.mp4', filetype: 'video/mp4' })
  return { baseUrl: sandbox.url, token: sandbox.token, assetId: id, filetype }
}

const report = async (assetId: string): Promise<Report> => {
  const sandbox = await theSandbox()
  const asset = sandbox.asset(assetId)
  if (!asset) throw new Error(`The sandbox has no asset ${assetId}`)
  await asset.whenUploaded()
  const puts = sandbox.requests.filter(
    request => request.operation === 'put' && request.assetId === assetId,
  )
  return {
    sha256: asset.sha256,
    finals: asset.finals,
    parts: asset.parts.length,
    storedBytes: asset.storedBytes,
    puts: puts.length,
    receivedBytes: puts.reduce((sum, { bytes }) => sum + bytes, 0),
  }
}

const upload = async ({ size, destination, options }: Delivery): Promise<Outcome> => {
  const data = bytes(size)
  const start = performance.now()
  const seconds = () => (performance.now() - start) / 1_000
  const upload = new RealtimeUpload({ ...destination, ...options })
  upload.on('part', () => {
    say({ event: 'stored', bytes: upload.progress.bytesUploaded })
  })
  upload.on('retry', ({ stage, partNumbers, attempt, error }) => {
    const { code: reason = error.code } = (error.cause ?? {}) as { code?: string }
    say({ event: 'retry', stage, partNumbers, attempt, reason, at: seconds() })
  })
  await pipeline(sourceOf(data, 2 ** 16), upload)
  return { seconds: seconds(), sha256: sha256(data) }
}

const obey = (order: Order) => {
  if (order.do === 'create') return create()
  return order.do === 'report' ? report(order.assetId) : upload(order.delivery)
}

process.on('message', async (order: Order) => {
  try {
    say({ event: 'done', reply: await obey(order) })
  } catch (error) {
    say({ event: 'failed', reason: String(error) })
  }
})
process.once('disconnect', async () => {
  await (await started)?.close()
  process.exit()
})
say({ event: 'ready' })
