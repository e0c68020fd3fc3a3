/**
 * A process that uploads a file through V4, until it is done or somebody kills it:
 *
 *   node --import tsx file-uploader.ts URL TOKEN ACCOUNT FOLDER FILE [DIR]
 *
 * It says each part that is stored, then the file's id, and by how many bytes its memory has grown.
 */
import { writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { FrameioV4Client, uploadFile } from '../../lib/index.ts'

export const FILE_UPLOADER = fileURLToPath(import.meta.url)

const say = (words: string) => writeSync(1, `${words}\n`)

const [script, baseUrl = '', token = '', accountId = '', folderId = '', file = '', dir] =
  process.argv.slice(1)
if (script === FILE_UPLOADER) {
  const client = new FrameioV4Client({ accountId, token, baseUrl })
  const before = process.resourceUsage().maxRSS
  const { fileId } = await uploadFile({
    client,
    folderId,
    file,
    ...(dir !== undefined && { spool: { dir } }),
    onEvent: event => {
      if (event.type === 'part') say(`part ${event.number}`)
      if (event.type === 'warning') say(`warning ${event.code}`)
    },
  })
  await client.close()
  say(`file ${fileId}`)
  say(`grown ${(process.resourceUsage().maxRSS - before) * 2 ** 10}`)
}
