/**
 * A film in fragmented MP4, as a camera's program writes it into a pipe, and what is left of it when
 * the program is cut off:
 *
 *   ftyp moov │ moof mdat │ moof mdat │ moof md
 *             │ a fragment, of FRAMES   │ torn
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { findFfmpeg } from '../../examples/support/ffmpeg.ts'

const run = promisify(execFile)

/** How long a film is, in seconds. */
const LENGTH = 4
/** In a fragment: it begins with a frame that stands for itself, and lasts a fifth of a second. */
const FRAMES = 6

/** Two megabytes a second, so that a second is many parts of a test. */
export const makeFilm = async (path: string): Promise<void> => {
  await run(await findFfmpeg(), [
    ...['-nostdin', '-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30'],
    ...['-t', String(LENGTH), '-vf', 'noise=alls=60:allf=t', '-pix_fmt', 'yuv420p'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-qp', '14'],
    ...['-g', String(FRAMES), '-keyint_min', String(FRAMES), '-sc_threshold', '0'],
    ...['-movflags', 'frag_keyframe+empty_moov+default_base_moof', path],
  ])
}

/** Bytes a second of a film of so many bytes, played as fast as it was made. */
export const rateOf = (bytes: number): number => bytes / LENGTH

/** A sum of each frame that can be seen, in order, and what ffmpeg has to complain about. */
export const play = async (path: string): Promise<{ frames: string[]; complaint: string }> => {
  const args = ['-nostdin', '-v', 'error', '-i', path, '-f', 'framemd5', '-']
  const { stdout, stderr } = await run(await findFfmpeg(), args).catch(
    (error: { stdout: string; stderr: string }) => error, // Where not even the head is whole.
  )
  const frames = stdout.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return { frames, complaint: stderr.trim() }
}

/** The whole fragments at the beginning of a film: their frames, and where the last one ends. */
export const wholeFragments = (film: Buffer): { frames: number; end: number } => {
  let [frames, end, inFragment] = [0, 0, 0]
  for (let at = 0; at + 8 <= film.length; ) {
    const size = film.readUInt32BE(at)
    const type = film.toString('latin1', at + 4, at + 8)
    at += size
    if (at > film.length) break
    if (type === 'moof') inFragment = samplesIn(film.subarray(at - size, at))
    if (type === 'moov' || type === 'mdat') {
      frames += inFragment
      inFragment = 0
      end = at
    }
  }
  return { frames, end }
}

/** Frames that the head of a fragment names, in its one `trun`. */
const samplesIn = (moof: Buffer): number => moof.readUInt32BE(moof.indexOf('trun') + 8)
