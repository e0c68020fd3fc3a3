import { once } from 'node:events'
import { finished } from 'node:stream/promises'
import { FrameioClient, RealtimeUpload } from 'frameio-realtime-upload'
import type { Contestant } from '../job.ts'

/** This library behind a camera, while the network goes and comes back. */
export const upload: Contestant = async (job, source) => {
  const { url, partSize, memoryLimit, spoolDir = '.', rate = Number.NaN, outage } = job
  const spool = { dir: spoolDir, keepFree: 0 }
  // By default half a minute may pass until somebody looks whether the network is back.
  const retry = { maxDelay: 1_000 }
  const client = new FrameioClient({ token: 'token', baseUrl: url, memoryLimit, retry, spool })
  const upload = new RealtimeUpload({ client, assetId: 'asset', filetype: 'video/mp4', partSize })
  const [from, to] = outage ?? []
  const timers = [
    setTimeout(() => fetch(`${url}/outage`, { method: 'POST' }), Number(from) * 1_000),
    setTimeout(() => fetch(`${url}/outage`, { method: 'DELETE' }), Number(to) * 1_000),
  ]
  let [at, behind, waiting] = [0, 0, 0]
  const start = performance.now()
  for await (const chunk of source()) {
    if (!upload.write(chunk)) await once(upload, 'drain')
    at += chunk.length
    behind = Math.max(behind, (performance.now() - start) / 1_000 - at / rate)
    waiting = Math.max(waiting, upload.progress.bytesSpooled)
  }
  upload.end()
  await finished(upload)
  for (const timer of timers) clearTimeout(timer)
  await client.close()
  return { behind, waiting }
}
