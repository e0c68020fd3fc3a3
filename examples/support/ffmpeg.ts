/**
 * An ffmpeg that runs here, and what it films: a test pattern with a beep, as H.264 and AAC in
 * fragmented MP4, the form of MP4 that can be read while it is still being written.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, constants } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { promisify } from 'node:util'

/** There is no ffmpeg, or it failed. */
export class FfmpegError extends Error {
  override readonly name = 'FfmpegError'
}

/**
 * The `ffmpeg` on the PATH if it can encode H.264, else the one in `@ffmpeg-installer/ffmpeg`.
 *
 * @throws {FfmpegError} where there is neither, saying what to do
 */
export const findFfmpeg = async (): Promise<string> => {
  for (const command of ['ffmpeg', await installedFfmpeg()]) {
    if (command !== undefined && (await encodesH264(command))) return command
  }
  throw new FfmpegError('No ffmpeg with libx264 was found: install ffmpeg, then try again')
}

/** What the test film is like. */
export interface Film {
  readonly seconds: number
  /** Megabits of video a second, kept exactly. */
  readonly megabits: number
  /** Film at the speed of a clock, as a camera does, rather than as fast as this machine can. */
  readonly live?: boolean
}

/** The stdout of an ffmpeg that films: a stream of unknown length, which fails where ffmpeg does. */
export const camera = (film: Film = { seconds: 3, megabits: 16 }): Readable =>
  Readable.from(record(film), { objectMode: false })

async function* record(film: Film): AsyncGenerator<Buffer> {
  const ffmpeg = spawn(await findFfmpeg(), filmArgs(film), { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(ffmpeg, 'close')
  closed.catch(() => {}) // It is awaited below; until then a failure must not count as unhandled.
  try {
    yield* ffmpeg.stdout
    const [exitCode, signal] = await closed
    if (exitCode !== 0)
      throw new FfmpegError(`ffmpeg failed with ${signal ?? `exit code ${exitCode}`}`)
  } finally {
    ffmpeg.kill()
  }
}

/** What ffmpeg has to complain about while it decodes every frame of a file: '' where all is well. */
export const decode = async (file: string): Promise<string> => {
  const ffmpeg = await findFfmpeg()
  try {
    // Damage that ffmpeg can work around leaves its exit code 0, and a line on stderr.
    const { stderr } = await run(ffmpeg, ['-nostdin', '-v', 'error', '-i', file, '-f', 'null', '-'])
    return stderr.trim()
  } catch (error) {
    return String(error)
  }
}

/** Arguments that make ffmpeg write the test film to its stdout. */
const filmArgs = ({ seconds, megabits, live = false }: Film): string[] => {
  const rate = `${megabits}M`
  const pace = live ? ['-re'] : []
  return [
    ['-hide_banner', '-nostdin', '-v', 'error'],
    [...pace, '-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=30'],
    [...pace, '-f', 'lavfi', '-i', 'sine=frequency=440:beep_factor=4:sample_rate=48000'],
    ['-t', String(seconds), '-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'],
    // A test pattern compresses too well: without its padding the bit rate would be missed.
    ['-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', rate],
    ['-x264-params', 'nal-hrd=cbr', '-g', '30', '-c:a', 'aac', '-b:a', '128k'],
    // A quarter of a second in each fragment: bytes flow steadily.
    ['-movflags', 'empty_moov+default_base_moof', '-frag_duration', '250000'],
    ['-f', 'mp4', 'pipe:1'],
  ].flat()
}

const run = promisify(execFile)

const encodesH264 = async (command: string) => {
  try {
    const { stdout } = await run(command, ['-hide_banner', '-encoders'])
    return stdout.includes('libx264')
  } catch {
    return false // Not there, or not for this machine.
  }
}

/** The binary of the npm package, if there is one for this platform. */
const installedFfmpeg = async () => {
  try {
    const { default: installer } = await import('@ffmpeg-installer/ffmpeg')
    // Where install scripts are switched off nobody has made it executable.
    await access(installer.path, constants.X_OK).catch(() => chmod(installer.path, 0o755))
    return installer.path
  } catch {
    return undefined
  }
}
