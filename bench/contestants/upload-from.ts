import { RealtimeUpload, uploadFrom } from 'frameio-realtime-upload'
import { type Contestant, programOf } from '../job.ts'

/** This library, which starts the program itself. */
export const upload: Contestant = async ({ url, bytes, partSize, memoryLimit }) => {
  const [command = '', ...args] = programOf(bytes)
  const options = { assetId: 'asset', filetype: 'video/mp4', token: 'token' }
  const upload = new RealtimeUpload({ ...options, baseUrl: url, partSize, memoryLimit })
  await uploadFrom({ command, args }, upload)
}
