/**
 * Two hundred uploads at once through one client in one process, in small parts: is each whole?
 * Prints time, RSS and sockets.
 *
 *   npx tsx test/load.ts 200
 */
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { LIMITS_DOOR } from '../lib/frameio/protocol.ts'
import { FrameioClient, RealtimeUpload } from '../lib/index.ts'
import { startSandbox } from '../lib/sandbox/index.ts'
import { bytes, optionsFor, sha256, sourceOf, targetIn } from './support/sandboxes.ts'

const COUNT = Number(process.argv[2] ?? 200)
const SIZE = 1_000_001
const LIMITS = { minPartSize: 64 * 1024, growthStep: 1, blockSize: 16 * 1024 }

const sandbox = await startSandbox({ storage: 'disk', ...{ [LIMITS_DOOR]: LIMITS } })
const client = new FrameioClient({
  token: sandbox.token,
  baseUrl: sandbox.url,
  ...{ [LIMITS_DOOR]: LIMITS },
})
let sockets = 0
const watching = setInterval(() => {
  sockets = Math.max(sockets, sandbox.stats.openSockets)
}, 5)
const start = performance.now()
const one = async () => {
  const target = targetIn(sandbox)
  const data = bytes(SIZE)
  const upload = new RealtimeUpload(optionsFor(target, { client }, LIMITS))
  await pipeline(sourceOf(data, 10_000), upload)
  if (!upload.closed) await once(upload, 'close')
  await target.asset.whenUploaded()
  return target.asset.sha256 === sha256(data)
}
const whole = await Promise.all(Array.from({ length: COUNT }, one))
const seconds = (performance.now() - start) / 1_000
clearInterval(watching)
console.log(
  `${whole.filter(Boolean).length} of ${COUNT} whole, ${seconds.toFixed(1)} s, peak RSS ${Math.round(process.resourceUsage().maxRSS / 1_024)} MiB, at most ${sockets} sockets, at most ${sandbox.stats.maxPutsInFlight} PUTs`,
)
await client.close()
await sandbox.close()
process.exitCode = whole.every(Boolean) ? 0 : 1
