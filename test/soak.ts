/**
 * For how long does it go on? Ten uploads at a time trickle through one client, with a fault in about
 * every twentieth request, for so many minutes; each must arrive whole. Prints a line a minute.
 *
 *   npx tsx test/soak.ts 30
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { FrameioClient, RealtimeUpload } from '../lib/index.ts'
import { type Fault, startSandbox } from '../lib/sandbox/index.ts'

const MINUTES = Number(process.argv[2] ?? 30)
const UPLOADS = 10
/** Bytes and ms between two writes of an upload: 320 KB/s. */
const CHUNK = 32_000
const PAUSE = 100

const sandbox = await startSandbox({ urlLifetime: 60, tokenLifetime: 120 })
const client = new FrameioClient({
  token: () => (performance.now() > renewedAt + 100_000 ? renewToken() : sandbox.token),
  baseUrl: sandbox.url,
  retry: { minDelay: 50, maxDelay: 2_000 },
})
let renewedAt = performance.now()
const renewToken = () => {
  renewedAt = performance.now()
  return sandbox.renewToken()
}

const ACTIONS: Fault['do'][] = [
  { status: 503 },
  { status: 500, body: '<html>' },
  { reset: 'during' },
  { reset: 'answer' },
  { loseAnswer: true },
  { delay: 3_000 },
]
const pick = <T>(list: readonly T[]) => list[Math.floor(Math.random() * list.length)] as T
const breakSomething = () => {
  const faults: Fault[] = [
    { on: pick(['register', 'put'] as const), do: pick(ACTIONS) },
    { on: 'put', do: { expire: true } },
    { on: 'register', do: { status: 429 } },
  ]
  sandbox.faults.add(pick(faults))
}
const breaking = setInterval(breakSomething, 2_000)

const start = performance.now()
const totals = { uploads: 0, bytes: 0, retries: 0 }

/** One recording of half a minute to two minutes. */
const record = async () => {
  const asset = sandbox.createAsset({ name: 'take.mp4', filetype: 'video/mp4' })
  const upload = new RealtimeUpload({ assetId: asset.id, filetype: 'video/mp4', client })
  const hash = createHash('sha256')
  const writes = Math.ceil((30_000 + Math.random() * 90_000) / PAUSE)
  for (let i = 0; i < writes; i++) {
    const chunk = randomBytes(CHUNK)
    hash.update(chunk)
    if (!upload.write(chunk)) await once(upload, 'drain')
    await new Promise(resolve => setTimeout(resolve, PAUSE))
  }
  upload.end()
  await once(upload, 'close')
  await asset.whenUploaded()
  if (asset.sha256 !== hash.digest('hex')) throw new Error(`Asset ${asset.id} is not what was sent`)
  totals.uploads++
  totals.bytes += upload.result?.bytes ?? 0
  totals.retries += upload.progress.retries
}

const lane = async () => {
  while (performance.now() - start < MINUTES * 60_000) await record()
}

const report = () => {
  const rss = Math.round(process.memoryUsage.rss() / 2 ** 20)
  const minutes = ((performance.now() - start) / 60_000).toFixed(1)
  const { openSockets } = sandbox.stats
  const fired = sandbox.faults.fired.length
  console.log(
    `${minutes} min: ${totals.uploads} uploads whole, ${Math.round(totals.bytes / 2 ** 20)} MiB, ${fired} faults, ${totals.retries} retries, RSS ${rss} MiB, ${openSockets} sockets`,
  )
}
const reporting = setInterval(report, 60_000)
await Promise.all(Array.from({ length: UPLOADS }, lane))
clearInterval(reporting)
clearInterval(breaking)
report()
await client.close()
await sandbox.close()
