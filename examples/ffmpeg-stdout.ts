/**
 * What ffmpeg writes becomes an asset while ffmpeg is still writing it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { pipeline } from 'node:stream/promises'
import { RealtimeUpload } from 'frameio-realtime-upload'
import { findFfmpeg } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, assetId, close } = await openTarget()

const input = ['-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=30', '-t', '5'] // or a live source
const codec = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p']
// Fragments: without them MP4 cannot be written to a pipe.
const format = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', 'pipe:1']

const ffmpeg = spawn(await findFfmpeg(), ['-v', 'error', ...input, ...codec, ...format], {
  stdio: ['ignore', 'pipe', 'inherit'],
})
const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })

const [[exitCode]] = await Promise.all([
  once(ffmpeg, 'close'),
  pipeline(ffmpeg.stdout, upload), // done when Frame.io has every byte
])
console.log('uploaded', upload.result)

// The stdout of an ffmpeg that died ends like any other: what it wrote is kept, so say so.
if (exitCode !== 0) {
  console.error(`ffmpeg failed with exit code ${exitCode}: the recording may be cut short`)
  process.exitCode = 1
}
await close()
