/**
 * A film of a minute in many containers, cut into pieces, and what ffmpeg finds in each.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { findFfmpeg } from '../../examples/support/ffmpeg.ts'
import { type CutterOptions, cutterFor } from '../../lib/segments/cutter.ts'

const run = promisify(execFile)
const quiet = ['-nostdin', '-v', 'error']

/** Seconds of it. */
export const LENGTH = 60

/** A picture that stands for itself each second, B-frames between, and a beep: as Matroska. */
export const makeMaster = async (folder: string, args: readonly string[] = []): Promise<string> => {
  const path = join(folder, 'master.mkv')
  await run(await findFfmpeg(), [
    ...[...quiet, '-y', '-f', 'lavfi', '-i', 'testsrc2=size=160x90:rate=30000/1001'],
    ...['-f', 'lavfi', '-i', 'sine=frequency=440:beep_factor=4:sample_rate=48000'],
    ...['-t', String(LENGTH), '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
    ...['-bf', '3', '-b_strategy', '0', '-g', '30', '-keyint_min', '30', '-sc_threshold', '0'],
    ...['-c:a', 'aac', '-b:a', '128k', ...args, path],
  ])
  return path
}

/** The same film as a program would write it into a pipe. */
export const piped = async (path: string, args: readonly string[]): Promise<Buffer> => {
  const { stdout } = await run(
    await findFfmpeg(),
    [...quiet, '-i', path, '-c', 'copy', ...args, 'pipe:1'],
    { encoding: 'buffer', maxBuffer: 2 ** 30 },
  )
  return stdout
}

/** The same as a file that is changed while it is written. */
export const written = async (
  path: string,
  to: string,
  args: readonly string[],
): Promise<Buffer> => {
  await run(await findFfmpeg(), [...quiet, '-y', '-i', path, '-c', 'copy', ...args, to])
  return readFile(to)
}

/**
 * An MPEG-TS as muxers of a constant rate write it: ffmpeg puts each PES packet down in one go, and here
 * those of sound lie between those of video.
 */
export const interleaved = (ts: Buffer, sound = 257): Buffer => {
  const packets: { readonly packet: Buffer; readonly key: number }[] = []
  let [within, last] = [0, 0]
  for (let n = 0; n * 188 < ts.length; n++) {
    const packet = ts.subarray(n * 188, n * 188 + 188)
    const head = packet.readUInt16BE(1)
    const isSound = (head & 0x1fff) === sound
    if (isSound) within = head & 0x4000 ? 0 : within + 1
    const key = isSound ? Math.max(last + 0.001, n + within * 3) : n
    if (isSound) last = key
    packets.push({ packet, key })
  }
  return Buffer.concat(packets.toSorted((a, b) => a.key - b.key).map(({ packet }) => packet))
}

export interface Cut {
  readonly pieces: Buffer[]
  readonly container: string | undefined
  readonly warnings: string[]
}

/** Cuts what comes in chunks. The chunks are filled with something else afterwards. */
export const cutUp = (
  chunks: Iterable<Buffer>,
  options: Partial<Pick<CutterOptions, 'segment' | 'maxSize'>> = {},
): Cut => {
  const warnings: string[] = []
  const onWarning = ({ message }: { message: string }) => void warnings.push(message)
  const limits = { segment: 10_000, maxSize: Number.MAX_SAFE_INTEGER, ...options }
  const cutter = cutterFor({ ...limits, onWarning })
  const pieces: Uint8Array[][] = [[]]
  const take = (given: ReturnType<typeof cutter.push>) => {
    for (const piece of given) {
      if (piece.t === 'cut') pieces.push([])
      else pieces.at(-1)?.push(Buffer.from(piece.chunk))
    }
  }
  for (const bytes of chunks) {
    const chunk = Buffer.from(bytes)
    take(cutter.push(chunk))
    chunk.fill(0xee)
  }
  take(cutter.end())
  const { container } = cutter
  return { pieces: pieces.map(chunks => Buffer.concat(chunks)), container, warnings }
}

/** Chunks of 1 byte to a size by chance. */
export function* byChance(data: Buffer, largest: number, random: () => number): Generator<Buffer> {
  for (let at = 0; at < data.length; ) {
    const size = 1 + Math.floor(random() * largest)
    yield data.subarray(at, at + size)
    at += size
  }
}

/** The pieces as files. */
export const asFiles = async (folder: string, name: string, pieces: readonly Buffer[]) => {
  await mkdir(folder, { recursive: true })
  const paths = pieces.map((_, index) => join(folder, `${index + 1}${extname(name)}`))
  for (const [index, path] of paths.entries()) await writeFile(path, pieces[index] as Buffer)
  return paths
}

/** A packet of a stream, as it was coded. */
export interface Coded {
  /** In seconds. */
  readonly time: number
  /** Its size and a sum of its bytes. */
  readonly sum: string
}

/** The packets of each stream of a file, in order, with the times that stand in the file. */
export const packetsOf = async (path: string): Promise<Coded[][]> => {
  const args = ['-copyts', '-i', path, '-map', '0', '-c', 'copy', '-f', 'framecrc', '-']
  const { stdout } = await run(await findFfmpeg(), [...quiet, ...args], { maxBuffer: 2 ** 28 })
  const scales: number[] = []
  const streams: Coded[][] = []
  for (const line of stdout.split('\n')) {
    const [, stream, over, under] = /^#tb (\d+): (\d+)\/(\d+)$/.exec(line) ?? []
    if (stream) scales[Number(stream)] = Number(over) / Number(under)
    if (line === '' || line.startsWith('#')) continue
    const [of = '', , pts = '', , size, sum] = line.split(',').map(text => text.trim())
    const time = Number(pts) * (scales[Number(of)] ?? Number.NaN)
    streams[Number(of)] ??= []
    streams[Number(of)]?.push({ time, sum: `${size} ${sum}` })
  }
  return streams
}

/** What a decoder makes of a file: pictures, by their sums, sounds, and what it has to complain about. */
export const decoded = async (path: string) => {
  const args = [...quiet, '-xerror', '-i', path, '-map', '0', '-f', 'framemd5', '-']
  const { stdout, stderr } = await run(await findFfmpeg(), args, { maxBuffer: 2 ** 28 }).catch(
    (error: { stdout: string; stderr: string }) => error,
  )
  const video = /^#media_type (\d+): video$/m.exec(stdout)?.[1]
  const lines = stdout.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const isPicture = (line: string) => line.split(',')[0] === video
  const pictures = lines.filter(isPicture).map(line => line.slice(line.lastIndexOf(',') + 1).trim())
  return { frames: pictures, sounds: lines.length - pictures.length, complaint: stderr.trim() }
}
