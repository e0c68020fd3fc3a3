/**
 * A process that records to V4, or resumes what a spool holds, until somebody kills it:
 *
 *   node --import tsx take-recorder.ts record URL TOKEN ACCOUNT FOLDER DIR FILE MS
 *   node --import tsx take-recorder.ts resume URL TOKEN ACCOUNT FOLDER DIR
 *
 * The file comes in so many ms. It says each piece that is whole, and how many bytes are durable. With DIE="piece 2" in
 * its environment it kills itself the second time that it tells of a piece; `stored` is when S3 has all of one.
 */
import { subscribe } from 'node:diagnostics_channel'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { V4_WAITS_DOOR } from '../../lib/frameio/v4/dialect.ts'
import { FrameioV4Client, recordToV4, resumeV4 } from '../../lib/index.ts'
import { QUICK } from './sandboxes.ts'

export const TAKE_RECORDER = fileURLToPath(import.meta.url)

async function* inTime(path: string, ms: number): AsyncGenerator<Buffer> {
  const bytes = await readFile(path)
  const start = performance.now()
  for (let at = 0; at < bytes.length; ) {
    await wait(5)
    const end = Math.ceil(((performance.now() - start) / ms) * bytes.length)
    yield bytes.subarray(at, end)
    at = end
  }
}

if (process.argv[1] === TAKE_RECORDER) {
  const [moment, times = '1'] = (process.env.DIE ?? '').split(' ')
  let count = 0
  const told = (what: string) => {
    if (what === moment && ++count === Number(times)) process.kill(process.pid, 'SIGKILL')
  }
  subscribe('frameio-realtime-upload:done', message => {
    if (!(message as { error?: unknown }).error) told('stored')
  })
  const [mode, baseUrl = '', token = '', accountId = '', folderId = '', dir = '', path = '', ms] =
    process.argv.slice(2)
  const waits = { [V4_WAITS_DOOR]: { afterServerError: 10, afterRateLimit: 1 } }
  const retry = { ...QUICK, giveUpAfter: 2_000 }
  const client = new FrameioV4Client({ accountId, token, baseUrl, retry, ...waits })
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  if (mode === 'record') {
    say('begins')
    await recordToV4(inTime(path, Number(ms)), {
      ...{ client, folderId, name: 'A001.ts', segment: '10s' },
      spool: { dir, keepFree: 0, syncEvery: 50 },
      onEvent: event => {
        told(event.type)
        if (event.type === 'piece') say(`piece ${event.name}`)
      },
      onProgress: ({ bytesDurable }) => say(`durable ${bytesDurable}`),
    }).catch(error => say(`failed ${error.message}`))
  }
  say('resumes')
  for await (const one of resumeV4({ dir, client })) {
    say('error' in one ? `failed ${one.error.message}` : `file ${one.name} ${one.bytes}`)
  }
  await client.close()
}
