/**
 * What ffmpeg writes into files in real time, each followed while it grows: whether the asset is the
 * finished file, and what that took.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findFfmpeg } from '../../examples/support/ffmpeg.ts'
import { LIMITS_DOOR, type Limits } from '../../lib/frameio/protocol.ts'
import { RealtimeUpload, uploadFrom } from '../../lib/index.ts'
import { type SandboxOptions, startSandbox } from '../../lib/sandbox/index.ts'
import { optionsFor, sha256, targetIn } from './sandboxes.ts'

const run = promisify(execFile)
const KiB = 1_024

/** Whoever writes for less than 10 s may open the file again: this long tells that it is over at once. */
const SECONDS = 14
/** What is left alone behind the end stands to a part as it does by default: 8 MiB to 5. */
const HEADROOM = 1.6

interface Writer {
  readonly name: string
  readonly file: string
  /** What ffmpeg reads: a film, or sound alone. */
  readonly input: 'film' | 'sound'
  readonly args: string
  readonly partSize: number
  /** Writers that change what was sent already, by design. */
  readonly mayResend?: boolean
}

const sound = (name: string, file: string, args: string, partSize = 256 * KiB): Writer => ({
  name,
  file,
  input: 'sound',
  args,
  partSize,
})
const film = (name: string, file: string, args: string, partSize = 512 * KiB): Writer => ({
  name,
  file,
  input: 'film',
  args,
  partSize,
})
const COPY = '-c copy'

export const WRITERS: readonly Writer[] = [
  sound('WAV', 'a.wav', COPY),
  sound('RF64', 'b.wav', `${COPY} -rf64 always`),
  sound('W64', 'c.w64', COPY),
  sound('AIFF', 'd.aiff', '-c:a pcm_s16be'),
  sound('CAF', 'e.caf', COPY),
  sound('FLAC', 'f.flac', '-c:a flac'),
  sound('MP3', 'g.mp3', '-c:a libmp3lame -b:a 320k', 64 * KiB),
  sound('Ogg', 'h.ogg', '-c:a libvorbis -q:a 9', 32 * KiB),
  film('MOV', 'i.mov', COPY),
  film('MP4', 'j.mp4', COPY),
  film('MP4, fragmented', 'k.mp4', `${COPY} -movflags frag_keyframe+empty_moov`),
  film('MOV, room for its index', 'l.mov', `${COPY} -moov_size 200000`),
  film('MKV', 'm.mkv', COPY),
  film('WebM', 'n.webm', '-c:v libvpx -deadline realtime -cpu-used 16 -b:v 1M -an', 128 * KiB),
  film('FLV', 'o.flv', COPY),
  film('AVI', 'p.avi', '-c:v copy -an'),
  film('MPEG-TS', 'q.ts', COPY),
  film('ASF', 'r.asf', '-c:v copy -an'),
  film('NUT', 's.nut', COPY),
  {
    ...film('MXF OP1a', 't.mxf', '-c:v mpeg2video -b:v 4M -c:a pcm_s16le -ar 48000'),
    mayResend: true,
  },
  { ...film('MP4, faststart', 'u.mp4', `${COPY} -movflags +faststart`), mayResend: true },
]

export interface Followed {
  readonly name: string
  readonly mayResend: boolean
  readonly bytes: number
  readonly parts: number
  /** Parts that were stored before the writer ended. */
  readonly early: number
  /** Numbers of parts that were sent twice. */
  readonly resent: readonly number[]
  /** Is the asset the finished file? */
  readonly isEqual: boolean
  readonly reason: string | undefined
  readonly ok: boolean
  /** From the end of the writer to `finish`, in ms. */
  readonly wait: number
}

/** What an ffmpeg cannot do for a writer: an encoder that it was built without; undefined where it can. */
const lacks = ({ args }: Writer, encoders: string): string | undefined =>
  [...args.matchAll(/-c:[av] (\w+)/g)]
    .map(([, encoder = '']) => encoder)
    .find(encoder => encoder !== 'copy' && !new RegExp(`\\b${encoder}\\b`).test(encoders))

/** All of them side by side. Those of an encoder that is missing are named in place of their result. */
export const followWriters = async (
  writers: readonly Writer[] = WRITERS,
): Promise<{ followed: Followed[]; skipped: string[] }> => {
  const ffmpeg = await findFfmpeg()
  const dir = await mkdtemp(join(tmpdir(), 'real-writers-'))
  const limits: Partial<Limits> = { minPartSize: 32 * KiB, growthStep: 1, blockSize: 16 * KiB }
  const options: SandboxOptions = { dir: join(dir, 'media'), ...{ [LIMITS_DOOR]: limits } }
  const sandbox = await startSandbox(options)
  const { stdout: encoders } = await run(ffmpeg, ['-hide_banner', '-encoders'])
  const make = (args: string) =>
    run(ffmpeg, ['-v', 'error', '-y', ...args.split(' ')], { cwd: dir })
  await make(
    `-f lavfi -i testsrc2=s=320x180:r=25 -f lavfi -i sine=r=48000 -t ${SECONDS} -c:v libx264 -preset ultrafast -b:v 4M -minrate 4M -maxrate 4M -bufsize 1M -x264-params nal-hrd=cbr -g 25 -c:a aac film.mp4`,
  )
  await make(`-f lavfi -i anoisesrc=r=48000 -t ${SECONDS} -ac 2 -c:a pcm_s16le sound.wav`)
  const input = { film: 'film.mp4', sound: 'sound.wav' }

  const follow = async (writer: Writer): Promise<Followed> => {
    const path = join(dir, writer.file)
    const { asset } = targetIn(sandbox)
    const { partSize } = writer
    const upload = new RealtimeUpload(optionsFor({ sandbox, asset }, { partSize }, limits))
    const resent = new Set<number>()
    upload.on('changed', ({ partNumbers }) => {
      for (const number of partNumbers) resent.add(number)
    })
    const args = [
      '-v',
      'error',
      '-y',
      '-re',
      '-i',
      input[writer.input],
      ...writer.args.split(' '),
      path,
    ]
    const child = spawn(ffmpeg, args, { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
    let [early, endedAt] = [0, Number.NaN]
    child.once('close', () => {
      early = upload.progress.partsUploaded
      endedAt = performance.now()
    })
    const headroom = Math.round(HEADROOM * partSize)
    const { source, bytes, parts } = await uploadFrom({ file: path, follow: { headroom } }, upload)
    const wait = performance.now() - endedAt
    await asset.whenUploaded()
    const isEqual = asset.sha256 === sha256(await readFile(path))
    const { name, mayResend = false } = writer
    const { reason, ok } = source
    return { name, mayResend, bytes, parts, early, resent: [...resent], isEqual, reason, ok, wait }
  }

  try {
    const able = writers.filter(writer => !lacks(writer, encoders))
    const skipped = writers.flatMap(writer => {
      const encoder = lacks(writer, encoders)
      return encoder ? [`${writer.name}: this ffmpeg has no ${encoder}`] : []
    })
    return { followed: await Promise.all(able.map(follow)), skipped }
  } finally {
    await sandbox.close()
    await rm(dir, { recursive: true, force: true })
  }
}

/** As a table in Markdown. */
export const tableOf = (followed: readonly Followed[]): string => {
  const rows = followed.map(({ name, parts, early, resent, isEqual, wait }) => {
    const cells = [
      name,
      parts,
      early,
      resent.length,
      isEqual ? 'yes' : 'NO',
      (wait / 1_000).toFixed(1),
    ]
    return `| ${cells.join(' | ')} |`
  })
  const head = [
    'container',
    'parts',
    'stored before the end',
    'sent twice',
    'equal',
    'end to `finish`, s',
  ]
  return [`| ${head.join(' | ')} |`, `|${'---|'.repeat(head.length)}`, ...rows].join('\n')
}
