/**
 * What do twenty uploads do when the storage hangs? Twenty sources of 200 MiB that are always ready
 * go through one client into a sandbox, in a process of its own, whose storage reads but never
 * answers. Prints what was read from the sources and not received by the server, beside what may be,
 * and how long the event loop was blocked at most.
 *
 *   npx tsx bench/hanging.ts
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { FrameioClient, RealtimeUpload } from '../lib/index.ts'
import { startSandbox } from '../lib/sandbox/index.ts'

const MiB = 2 ** 20
const UPLOADS = 20
const SIZE = 200 * MiB
const PART = 5 * MiB
const MEMORY_LIMIT = 256 * MiB

interface Server {
  readonly url: string
  readonly token: string
  readonly assets: string[]
}

/** In a process of its own: a sandbox that never answers a PUT, and tells what it received. */
const serve = async () => {
  const sandbox = await startSandbox({
    storage: 'discard',
    faults: [{ on: 'put', times: Number.POSITIVE_INFINITY, do: { hang: 'answer' } }],
  })
  const assets = Array.from(
    { length: UPLOADS },
    () => sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' }).id,
  )
  process.send?.({ url: sandbox.url, token: sandbox.token, assets } satisfies Server)
  process.on('message', () => process.send?.(sandbox.stats.bytesReceived))
}

const main = async () => {
  const child = spawn(
    process.execPath,
    ['--import=tsx', fileURLToPath(import.meta.url), '--serve'],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  )
  const [server] = (await once(child, 'message')) as [Server]
  const client = new FrameioClient({
    token: server.token,
    baseUrl: server.url,
    memoryLimit: MEMORY_LIMIT,
  })
  let read = 0
  const chunk = Buffer.alloc(64 * 1024)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const uploads = server.assets.map(assetId => {
    const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', client })
    const source = Readable.from(
      (function* () {
        for (let left = SIZE; left > 0; left -= chunk.length) {
          read += chunk.length
          yield chunk
        }
      })(),
      { objectMode: false },
    )
    source.pipe(upload)
    return upload
  })
  for (let last = -1; last !== read; ) {
    last = read
    await new Promise(resolve => setTimeout(resolve, 2_000))
  }
  delay.disable()
  child.send('received?')
  const [received] = (await once(child, 'message')) as [number]
  const allowed = MEMORY_LIMIT + 2 * UPLOADS * PART
  const show = (bytes: number) => `${(bytes / MiB).toFixed(1)} MiB`
  console.log(`read ${show(read)}, received ${show(received)}, held ${show(read - received)}`)
  console.log(`allowed ${show(allowed)}: memoryLimit and two parts for each of ${UPLOADS} uploads`)
  console.log(`event loop blocked for at most ${(delay.max / 1e6).toFixed(1)} ms`)
  console.log(`peak RSS ${Math.round(process.resourceUsage().maxRSS / 1_024)} MiB`)
  for (const upload of uploads) upload.destroy()
  await Promise.all(uploads.map(upload => once(upload, 'close')))
  await client.close()
  child.kill()
}

await (process.argv[2] === '--serve' ? serve() : main())
