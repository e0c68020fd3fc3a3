import { pipeline } from 'node:stream/promises'
import { FrameioClient, RealtimeUpload } from 'frameio-realtime-upload'
import type { Contestant } from '../job.ts'

/** This library. */
export const upload: Contestant = async (job, source) => {
  const { url: baseUrl, partSize, memoryLimit, uploads = 1, spoolDir } = job
  const spool = spoolDir === undefined ? undefined : { dir: spoolDir, keepFree: 0 }
  const client = new FrameioClient({ token: 'token', baseUrl, memoryLimit, spool })
  const one = (index: number) =>
    pipeline(
      source(),
      new RealtimeUpload({ client, assetId: `asset-${index}`, filetype: 'video/mp4', partSize }),
    )
  await Promise.all(Array.from({ length: uploads }, (_, index) => one(index)))
  await client.close()
}
