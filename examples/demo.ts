/**
 * The whole way on one machine: ffmpeg films for a few seconds, its stdout becomes an asset in a
 * local sandbox while it is still filming, and then what arrived is compared with what was filmed.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { clearLine, cursorTo } from 'node:readline'
import { pipeline } from 'node:stream/promises'
import { type Progress, RealtimeUpload, RealtimeUploadError } from 'frameio-realtime-upload'
import { type Sandbox, startSandbox } from 'frameio-realtime-upload/sandbox'
import { camera, decode, FfmpegError } from './support/ffmpeg.ts'

const FILM = { seconds: 12, megabits: 24, live: true }

const main = async (): Promise<boolean> => {
  // A folder that is given to the sandbox stays when the sandbox closes.
  const dir = await mkdtemp(join(tmpdir(), 'frameio-demo-'))
  const sandbox = await startSandbox({ dir })
  try {
    return await filmAndProve(sandbox)
  } catch (error) {
    await sandbox.close()
    await rm(dir, { recursive: true })
    throw error
  } finally {
    await sandbox.close()
  }
}

const filmAndProve = async (sandbox: Sandbox): Promise<boolean> => {
  const asset = sandbox.createAsset({ name: 'live.mp4', filetype: 'video/mp4' })
  console.log('\nA live stream becomes a Frame.io asset while it is still being made.\n')
  say('from', `ffmpeg, ${FILM.seconds} s of 720p H.264 and AAC at the pace of a camera`)
  say('to', `a sandbox: a local Frame.io and S3 at ${sandbox.url}`)
  say('asset', asset.id)
  console.log()

  const upload = new RealtimeUpload({
    assetId: asset.id,
    filetype: asset.filetype,
    token: sandbox.token,
    baseUrl: sandbox.url,
  })
  const ticker = startTicker()
  upload.on('progress', ticker.show)

  const filmed = createHash('sha256')
  let endedAt = 0
  let storedByThen = 0
  await pipeline(
    camera(FILM),
    async function* (film: AsyncIterable<Buffer>) {
      for await (const chunk of film) {
        filmed.update(chunk)
        yield chunk
      }
      endedAt = performance.now()
      storedByThen = upload.progress.partsUploaded
    },
    upload,
  ).finally(ticker.stop)
  const seconds = (performance.now() - endedAt) / 1_000

  const { partsUploaded: parts, bytesUploaded: bytes } = upload.progress
  console.log()
  say('parts', `${parts}, ${storedByThen} of them stored before ffmpeg was done`)
  say('bytes', `${bytes} (${mebibytes(bytes)})`)
  say('finish', `${seconds.toFixed(3)} s after the end of the stream`)
  console.log()

  await asset.whenUploaded()
  const file = asset.path ?? ''
  const sent = filmed.digest('hex')
  const stored = await sha256(file)
  const complaint = await decode(file)
  const results = [
    check(
      asset.sha256 === sent,
      'What ffmpeg wrote is what the sandbox put together',
      asset.sha256,
    ),
    check(stored === sent, `The stored file has the same SHA-256: ${sent}`, stored),
    check(complaint === '', 'ffmpeg decodes the stored file without an error', complaint),
  ]
  console.log(`\nThe file is yours to watch, and to delete:\n${file}\n`)
  return results.every(Boolean)
}

const say = (what: string, text: string) => console.log(`  ${what.padEnd(8)}${text}`)

/** Prints whether something holds, and if not, what is there instead. */
const check = (holds: boolean, what: string, instead = 'nothing'): boolean => {
  console.log(holds ? `  ✔ ${what}` : `  ✘ Not so: ${what} (but: ${instead})`)
  return holds
}

/** Shows progress: one line that moves on a terminal, elsewhere a new one every other second. */
const startTicker = () => {
  const { stdout } = process
  const startedAt = performance.now()
  let nextAt = 0
  return {
    show: ({ bytesReceived, bytesUploaded, partsUploaded, partsInFlight }: Progress) => {
      const seconds = (performance.now() - startedAt) / 1_000
      const line = [
        `  ${seconds.toFixed(0).padStart(2)} s`,
        `filmed ${mebibytes(bytesReceived).padStart(8)}`,
        `stored ${mebibytes(bytesUploaded).padStart(8)}`,
        `parts ${partsUploaded} stored, ${partsInFlight} on their way`,
      ].join('   ')
      if (stdout.isTTY) {
        cursorTo(stdout, 0)
        stdout.write(line)
        clearLine(stdout, 1)
      } else if (seconds >= nextAt) {
        nextAt = seconds + 2
        console.log(line)
      }
    },
    stop: () => {
      if (stdout.isTTY) console.log()
    },
  }
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const sha256 = async (file: string): Promise<string> => {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  return hash.digest('hex')
}

try {
  process.exitCode = (await main()) ? 0 : 1
} catch (error) {
  process.exitCode = 1
  // These two explain themselves; anything else is a bug, and comes with its stack.
  const explained = error instanceof RealtimeUploadError || error instanceof FfmpegError
  console.error(explained ? `\n✘ ${error.message}` : error)
}
