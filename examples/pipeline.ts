/**
 * Any chain of Node streams can end in an upload: here a compressed file, unpacked on its way.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createGzip } from 'node:zlib'
import { RealtimeUpload } from 'frameio-realtime-upload'
import { camera } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, assetId, close } = await openTarget()

// A file to start from.
const dir = await mkdtemp(join(tmpdir(), 'frameio-example-'))
const file = join(dir, 'clip.mp4.gz')
await pipeline(camera(), createGzip(), createWriteStream(file))

// Nobody knows how long it is unpacked, and nobody needs to.
const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })
await pipeline(createReadStream(file), createGunzip(), upload)
console.log('uploaded', upload.result)

await rm(dir, { recursive: true })
await close()
