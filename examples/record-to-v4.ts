/**
 * What ffmpeg films goes to an account without Camera to Cloud: recorded on the disk, cut into files that play
 * by themselves, and each uploaded while the next is filmed.
 */
import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrameioV4Client, recordToV4 } from 'frameio-realtime-upload'
import { findFfmpeg } from './support/ffmpeg.ts'
import { openV4Target } from './support/v4.ts'

const { token, baseUrl, accountId, folderId, close } = await openV4Target()
const dir = await mkdtemp(join(tmpdir(), 'frameio-v4-')) // or a folder on a disk that lasts

const input = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=30', '-t', '5'] // or a live source
// A file begins with a picture that stands for itself: here there is one a second.
const codec = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '30']
const format = ['-movflags', 'frag_keyframe+empty_moov+default_base_moof', '-f', 'mp4', 'pipe:1']
const ffmpeg = { command: await findFfmpeg(), args: ['-v', 'error', ...input, ...codec, ...format] }

const client = new FrameioV4Client({ accountId, token, baseUrl })
const { files, source } = await recordToV4(ffmpeg, {
  client,
  folderId,
  name: 'A001.mp4',
  segment: '2s', // on a set '5m' or so
  spool: { dir },
  onEvent: event => {
    if (event.type === 'piece') console.log(`${event.name} is recorded`)
    if (event.type === 'end') console.log('the recording is over')
    if (event.type === 'file') console.log(`${event.name} is uploaded`)
  },
})
for (const { name, bytes, viewUrl } of files) console.log(name, bytes, viewUrl)

// What an ffmpeg that died had written is kept, so say so.
if (!source.ok) {
  console.error(`ffmpeg failed, and the recording may be cut short:\n${source.stderr}`)
  process.exitCode = 1
}
await client.close()
await rmdir(dir)
await close()
