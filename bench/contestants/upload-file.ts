import { FrameioV4Client, uploadFile } from 'frameio-realtime-upload'
import type { Contestant } from '../job.ts'

/** This library, which is given a finished file. */
export const upload: Contestant = async ({ url: baseUrl, file = '' }) => {
  const client = new FrameioV4Client({ accountId: 'account', token: 'token', baseUrl })
  await uploadFile({ client, folderId: 'folder', file, name: 'A001.mp4' })
  await client.close()
}
