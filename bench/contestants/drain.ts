import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { FrameioClient, RealtimeUpload } from 'frameio-realtime-upload'
import type { Contestant } from '../job.ts'

/** This library, without a network until all waits in its spool: only what comes then is measured. */
export const upload: Contestant = async ({ url, bytes, partSize, spoolDir = '.' }, source) => {
  const spool = { dir: spoolDir, keepFree: 0 }
  // By default half a minute may pass until somebody looks whether the network is back.
  const retry = { minDelay: 50, maxDelay: 100 }
  const client = new FrameioClient({ token: 'token', baseUrl: url, retry, spool })
  const upload = new RealtimeUpload({ client, assetId: 'asset', filetype: 'video/mp4', partSize })
  await fetch(`${url}/outage`, { method: 'POST' })
  const sent = pipeline(source(), upload)
  const waits = async () => {
    while (upload.progress.bytesDurable < bytes) await wait(20)
  }
  await Promise.race([waits(), sent])
  await fetch(`${url}/outage`, { method: 'DELETE' })
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  await sent
  const { user, system } = process.cpuUsage(cpu)
  await client.close()
  return { seconds: (performance.now() - start) / 1_000, cpuSeconds: (user + system) / 1e6 }
}
