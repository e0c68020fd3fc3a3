/**
 * What an upload tells while it runs: how far it is, and what it is putting up with.
 */
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { RealtimeUpload } from 'frameio-realtime-upload'
import { camera } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

// A slow network, and a storage that is too busy for part 2 at first. Only a sandbox can do that.
const { token, baseUrl, assetId, close } = await openTarget({
  latency: { storage: 300 },
  faults: [{ on: 'put', part: 2, do: { status: 503 } }],
})

// Filmed beforehand, so that the source is faster than the network.
const film = await buffer(camera({ seconds: 8, megabits: 24 }))

const memoryLimit = 10 * 2 ** 20 // room for two parts, so that the source has to wait
const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl, memoryLimit })

upload
  .on('progress', ({ bytesReceived, bytesUploaded, partsUploaded }) => {
    console.log(
      `progress  ${bytesReceived} bytes in, ${bytesUploaded} in ${partsUploaded} parts up`,
    )
  })
  .on('part', ({ number, size, attempts }) => {
    console.log(`part      ${number} (${size} bytes) is stored, attempts: ${attempts}`)
  })
  .on('retry', ({ stage, partNumbers, delay, error }) => {
    console.log(
      `retry     ${stage} of part ${partNumbers} in ${Math.round(delay)} ms, after ${error.code}`,
    )
  })
  .on('stall', () => console.log('stall     the memory is full: the source waits'))
  .on('resume', () => console.log('resume    the source flows again'))

await pipeline([film], upload)
console.log('uploaded', upload.result)

await close()
