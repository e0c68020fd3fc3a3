/**
 * A Camera to Cloud device, from its pairing to its end. A person lets it into a project once; from then
 * on its tokens renew themselves, in a file that all its processes share.
 *
 * The asset is there as soon as the camera rolls, with no more than an extension; the clip gets its name
 * when it is complete.
 */
import { pipeline } from 'node:stream/promises'
import {
  deviceTokens,
  FrameioClient,
  pairDevice,
  RealtimeUpload,
  saveDeviceTokens,
  unpairDevice,
} from 'frameio-realtime-upload'
import { openDevice } from './support/device.ts'
import { camera } from './support/ffmpeg.ts'

const { file, clientId, clientSecret, baseUrl, showCode, close } = await openDevice()
const clientVersion = '1.0.0'
const credentials = { clientId, clientSecret, clientVersion, baseUrl }

const { device } = await pairDevice({
  ...credentials,
  onCode: showCode,
  save: tokens => saveDeviceTokens({ file, tokens }), // once: what follows needs nothing but the file
})
console.log('paired as', device?.name, 'in', device?.project?.name)

const client = new FrameioClient({
  token: deviceTokens({ file, ...credentials }),
  baseUrl,
  device: { clientVersion }, // this is what makes it a device
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
await unpairDevice({ file, ...credentials })
await close()
