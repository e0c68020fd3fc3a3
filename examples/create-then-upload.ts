/**
 * From nothing to a complete asset: create it, upload to it, wait until Frame.io has put it together.
 */
import { pipeline } from 'node:stream/promises'
import { FrameioClient, RealtimeUpload } from 'frameio-realtime-upload'
import { camera } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, parentId, close } = await openTarget()

const filetype = 'video/mp4'
const client = new FrameioClient({ token, baseUrl })
const { id: assetId } = await client.createRealtimeAsset({ parentId, name: 'clip.mp4', filetype })

try {
  await pipeline(camera(), new RealtimeUpload({ client, assetId, filetype }))
} catch (error) {
  await client.deleteAsset(assetId) // else it would stay, half uploaded, and use up your storage
  throw error
}

const asset = await client.waitUntilUploaded(assetId)
console.log(`${asset.name} was complete at ${asset.upload_completed_at}`)

await client.close()
await close()
