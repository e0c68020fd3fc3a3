/**
 * Web streams work too: the body of a fetch, or a Blob, piped into an upload.
 */
import { Writable } from 'node:stream'
import { blob } from 'node:stream/consumers'
import { RealtimeUpload } from 'frameio-realtime-upload'
import { camera } from './support/ffmpeg.ts'
import { openTarget } from './support/target.ts'

const { token, baseUrl, assetId, close } = await openTarget()

const film = await blob(camera())
const upload = new RealtimeUpload({ assetId, filetype: 'video/mp4', token, baseUrl })

// The same with `(await fetch(url)).body` in place of `film.stream()`.
await film.stream().pipeTo(Writable.toWeb(upload))
console.log('uploaded', upload.result)

await close()
