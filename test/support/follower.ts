/**
 * A process that follows a file until nothing has changed for a second:
 *
 *   node --import tsx follower.ts URL TOKEN ASSET FILE
 */
import { fileURLToPath } from 'node:url'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { RealtimeUpload, uploadFrom } from '../../lib/index.ts'
import { SMALL } from './sandboxes.ts'

export const FOLLOWER = fileURLToPath(import.meta.url)

if (process.argv[1] === FOLLOWER) {
  const [baseUrl = '', token = '', assetId = '', file = ''] = process.argv.slice(2)
  const upload = new RealtimeUpload({
    ...{ assetId, filetype: 'video/mp4', token, baseUrl },
    ...{ [LIMITS_DOOR]: SMALL },
  })
  await uploadFrom({ file, follow: { idle: 1_000 } }, upload)
}
