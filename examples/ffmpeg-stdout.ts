/**
 * What ffmpeg writes becomes an asset while ffmpeg is still writing it.
 */
import { RealtimeUpload, uploadFrom } from 'frameio-realtime-upload'
import { findFfmpeg } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, assetId, close } = await openTarget()

const input = ['-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=30', '-t', '5'] // or a live source
const codec = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p']
// Fragments: without them MP4 cannot be written to a pipe.
const format = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', 'pipe:1']

const ffmpeg = { command: await findFfmpeg(), args: ['-v', 'error', ...input, ...codec, ...format] }
const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })

const { source, ...result } = await uploadFrom(ffmpeg, upload) // done when Frame.io has every byte
console.log('uploaded', result)

// What an ffmpeg that died had written is kept, so say so.
if (!source.ok) {
  console.error(`ffmpeg failed, and the recording may be cut short:\n${source.stderr}`)
  process.exitCode = 1
}
await close()
