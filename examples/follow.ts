/**
 * A file goes up while another program writes it, and its head last: a plain MP4 as recorders write
 * them, which cannot be written to a pipe.
 */
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RealtimeUpload, uploadFrom } from 'frameio-realtime-upload'
import { findFfmpeg } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, assetId, close } = await openTarget()
const folder = await mkdtemp(join(tmpdir(), 'frameio-follow-'))
const file = join(folder, 'A001.mp4')

// Or OBS, a recorder that writes to a network share, an editor's export.
const input = ['-re', '-f', 'lavfi', '-i', 'testsrc2=size=1920x1080:rate=30', '-t', '4']
const codec = ['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '1', '-pix_fmt', 'yuv420p']
const recorder = spawn(await findFfmpeg(), ['-v', 'error', '-nostdin', ...input, ...codec, file])

// Where nobody can tell, leave `ended` out: a file is over as well once its writer has closed it.
const ending = new AbortController()
recorder.once('exit', () => ending.abort())

const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })
upload.on('part', ({ number }) => console.log(`part ${number} is stored`))

const follow = { ended: ending.signal, headroom: 2 ** 20 }
const { source, ...result } = await uploadFrom({ file, follow }, upload)
console.log('uploaded', result)

// What a recorder that died had written is kept, so say so.
if (!source.ok) {
  console.error(`The recording may be cut short: ${source.error?.message}`)
  process.exitCode = 1
}
await rm(folder, { recursive: true })
await close()
