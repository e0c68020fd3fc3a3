/**
 * A process that records into a spool, or resumes what one holds, until somebody kills it:
 *
 *   node --import tsx recorder.ts record URL TOKEN DIR ASSET SEED [LENGTH [MEMORY]]
 *   node --import tsx recorder.ts film URL TOKEN DIR ASSET FILE RATE
 *   node --import tsx recorder.ts resume URL TOKEN DIR
 *
 * With KEEP in the environment what it records stays, under that name.
 *
 * It says how many bytes it handed over, how many of them were durable by then, and when, in ms since
 * the epoch, the last of them were there to be handed over.
 */
import { readFile } from 'node:fs/promises'
import { finished } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import { FrameioClient, RealtimeUpload, resumeUploads } from '../../lib/index.ts'

export const RECORDER = fileURLToPath(import.meta.url)

/** Parts of 64 KiB: a recording of a megabyte has many. */
export const RECORDED: Partial<Limits> = {
  minPartSize: 64 * 1024,
  growthStep: 1,
  blockSize: 16 * 1024,
}

/** The bytes of a recording from one on: none is like its neighbours, and each tells where it belongs. */
export const recorded = (seed: number, from: number, to: number): Buffer => {
  const bytes = Buffer.alloc(to - from)
  for (let at = from; at < to; at++) {
    bytes[at - from] = Math.imul((at >>> 2) + seed, 0x9e3779b1) >>> ((at & 3) * 8)
  }
  return bytes
}

/** A chunk at a time, of all sizes, as fast as they are taken in. */
async function* pattern(seed: number, length: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < length; ) {
    const end = Math.min(length, at + 1 + ((Math.imul(at + seed, 0x85ebca6b) >>> 0) % 20_000))
    yield recorded(seed, at, end)
    at = end
    await wait(2)
  }
}

/** A file as if it were made just now, at so many bytes a second. */
async function* film(path: string, rate: number): AsyncGenerator<Buffer> {
  const bytes = await readFile(path)
  const start = performance.now()
  for (let at = 0; at < bytes.length; ) {
    await wait(5)
    const end = Math.ceil(((performance.now() - start) / 1_000) * rate)
    yield bytes.subarray(at, end)
    at = end
  }
}

const record = async (
  client: FrameioClient,
  dir: string,
  assetId: string,
  chunks: AsyncIterable<Buffer>,
  memoryLimit?: number,
) => {
  const upload = new RealtimeUpload({
    client,
    assetId,
    filetype: 'video/mp4',
    spool: { dir, keepFree: 0, syncEvery: 50, keep: process.env.KEEP ?? false },
    memoryLimit,
    ...{ [LIMITS_DOOR]: RECORDED },
  })
  upload.on('warning', ({ code }) => process.stdout.write(`${code}\n`))
  let at = 0
  for await (const chunk of chunks) {
    const since = Date.now()
    await new Promise(resolve => upload.write(chunk, resolve))
    at += chunk.length
    process.stdout.write(`${at} ${upload.progress.bytesDurable} ${since}\n`)
  }
  upload.end()
  await finished(upload).catch(({ code, message }) => process.stdout.write(`${code} ${message}\n`))
  if (upload.result) process.stdout.write('finished\n')
}

if (process.argv[1] === RECORDER) {
  const [mode, baseUrl = '', token = '', dir = '', asset = '', what = '', much = Infinity, memory] =
    process.argv.slice(2)
  const client = new FrameioClient({ token, baseUrl, ...{ [LIMITS_DOOR]: RECORDED } })
  const limit = memory === undefined ? undefined : Number(memory)
  if (mode === 'record')
    await record(client, dir, asset, pattern(Number(what), Number(much)), limit)
  if (mode === 'film') await record(client, dir, asset, film(what, Number(much)))
  process.stdout.write('resumes\n')
  for await (const one of resumeUploads({ dir, client })) {
    process.stdout.write(`${'error' in one ? one.error.message : one.bytes}\n`)
  }
  await client.close()
}
