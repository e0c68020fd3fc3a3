/**
 * A process that records into a spool, or resumes what one holds, until somebody kills it:
 *
 *   node --import tsx recorder.ts record|resume URL TOKEN DIR [ASSET SEED [LENGTH [MEMORY]]]
 *
 * It says how many bytes it handed over, and how many of them were durable by then.
 */
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

const record = async (
  client: FrameioClient,
  dir: string,
  assetId: string,
  seed: number,
  length: number,
  memoryLimit: number | undefined,
) => {
  const upload = new RealtimeUpload({
    client,
    assetId,
    filetype: 'video/mp4',
    spool: { dir, keepFree: 0, syncEvery: 50 },
    memoryLimit,
    ...{ [LIMITS_DOOR]: RECORDED },
  })
  upload.on('warning', ({ code }) => process.stdout.write(`${code}\n`))
  for (let at = 0; at < length; ) {
    const end = Math.min(length, at + 1 + ((Math.imul(at + seed, 0x85ebca6b) >>> 0) % 20_000))
    await new Promise(resolve => upload.write(recorded(seed, at, end), resolve))
    at = end
    process.stdout.write(`${at} ${upload.progress.bytesDurable}\n`)
    await wait(2)
  }
  upload.end()
  await finished(upload).catch(({ code, message }) => process.stdout.write(`${code} ${message}\n`))
  if (upload.result) process.stdout.write('finished\n')
}

if (process.argv[1] === RECORDER) {
  const [mode, baseUrl = '', token = '', dir = '', ...rest] = process.argv.slice(2)
  const [asset = '', seed, length, memory] = rest
  const client = new FrameioClient({ token, baseUrl, ...{ [LIMITS_DOOR]: RECORDED } })
  if (mode === 'record') {
    await record(
      client,
      dir,
      asset,
      Number(seed),
      Number(length ?? Infinity),
      memory === undefined ? undefined : Number(memory),
    )
  }
  for await (const one of resumeUploads({ dir, client })) {
    process.stdout.write(`${'error' in one ? one.error.message : one.bytes}\n`)
  }
  await client.close()
}
