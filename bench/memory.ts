/**
 * Does memory grow with the length of the stream? Uploads 1 GiB, then 10 GiB, each in a process of
 * its own with default options, into a sandbox in another process, and prints the peak RSS of each.
 * The storage takes 50 ms for an answer, so that the source is faster than the network, and the
 * memory is full from the start.
 *
 *   npx tsx bench/memory.ts [GiB …]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { RealtimeUpload } from '../lib/index.ts'
import { startSandbox } from '../lib/sandbox/index.ts'

const MiB = 2 ** 20
const GiB = 2 ** 30
const CHUNK = Buffer.alloc(64 * 1024, 7)

/** A source that is always ready: the same 64 KiB again and again. */
const source = (size: number) =>
  Readable.from(
    (function* () {
      for (let left = size; left > 0; left -= CHUNK.length) yield CHUNK.subarray(0, left)
    })(),
    { objectMode: false },
  )

/** In a process of its own: one upload, then its figures on stdout. */
const upload = async (gibibytes: number, baseUrl: string, token: string, assetId: string) => {
  const size = gibibytes * GiB
  const start = performance.now()
  const cpu = process.cpuUsage()
  const stream = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })
  await pipeline(source(size), stream)
  const seconds = (performance.now() - start) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  const figures = {
    gibibytes,
    parts: stream.result?.parts,
    peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1_024),
    mibPerSecond: Math.round(size / MiB / seconds),
    cpuSecondsPerGiB: Number(((user + system) / 1e6 / gibibytes).toFixed(2)),
  }
  console.log(JSON.stringify(figures))
}

const self = fileURLToPath(import.meta.url)

const main = async (lengths: number[]) => {
  const sandbox = await startSandbox({ storage: 'discard', latency: { storage: 50 } })
  console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model}`)
  for (const gibibytes of lengths) {
    const asset = sandbox.createAsset({ name: 'long.mp4', filetype: 'video/mp4' })
    const args = [
      '--import=tsx',
      self,
      '--upload',
      String(gibibytes),
      sandbox.url,
      sandbox.token,
      asset.id,
    ]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    const [code] = await once(child, 'exit')
    if (code !== 0) throw new Error(`The upload of ${gibibytes} GiB ended with ${code}`)
    await asset.whenUploaded()
  }
  await sandbox.close()
}

const [mode, length, baseUrl, token, assetId] = process.argv.slice(2)
if (mode === '--upload' && length && baseUrl && token && assetId) {
  await upload(Number(length), baseUrl, token, assetId)
} else {
  const lengths = process.argv.slice(2).map(Number)
  await main(lengths.length > 0 ? lengths : [1, 10])
}
