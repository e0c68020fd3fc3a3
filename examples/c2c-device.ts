/**
 * A Camera to Cloud device: the asset is there as soon as the camera rolls, with no more than an
 * extension; the clip gets its name when it is complete.
 */
import { pipeline } from 'node:stream/promises'
import { FrameioClient, RealtimeUpload } from 'frameio-realtime-upload'
import { camera } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, close } = await openTarget()

const client = new FrameioClient({
  token, // or a function: it is asked again when its token has expired, in the middle of a clip too
  baseUrl,
  device: { clientVersion: '1.0.0' }, // this is what makes it a device
})
const filetype = 'video/mp4'
const asset = await client.createRealtimeAsset({ extension: '.mp4', filetype })

const upload = new RealtimeUpload({
  client,
  assetId: asset.id,
  filetype,
  assetName: 'A001_C002.mp4',
})
await pipeline(camera(), upload)
console.log('uploaded', upload.result)

await client.close()
await close()
