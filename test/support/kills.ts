/**
 * kill -9 at random moments of a process that records, and of those that resume what it left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { type SandboxOptions, startSandbox } from '../../lib/sandbox/index.ts'
import { makeFilm, play, rateOf, wholeFragments } from './film.ts'
import { RECORDED, RECORDER, recorded } from './recorder.ts'
import { within } from './servers.ts'

/** Longest life of a resume that is killed, in ms. */
const LONGEST_RESUME = 150

/** What a recording is called that stays. */
const KEPT = 'take.mp4'

/** What is recorded, and how what is left of it is judged. */
interface Subject {
  /** The recorder's words for it. */
  command(seed: number): { mode: string; words: readonly string[] }
  /** Longest life of a recorder after its first byte, in ms. */
  readonly life: number
  /** What the first so many bytes are. */
  upTo(seed: number, end: number): Buffer
  /** What is wrong with a file that is an honest prefix, beside that; '' where nothing is. */
  faultOf(path: string, bytes: Buffer): Promise<string>
}

/** Bytes of which each tells where it belongs. */
const pattern: Subject = {
  command: seed => ({ mode: 'record', words: [String(seed)] }),
  life: 400,
  upTo: (seed, end) => recorded(seed, 0, end),
  faultOf: async () => '',
}

/** A film in fragments: every frame of those that are whole is seen as it would have been. */
const filmIn = async (folder: string): Promise<Subject> => {
  const path = join(folder, 'film.mp4')
  await makeFilm(path)
  const film = await readFile(path)
  const { frames } = await play(path)
  return {
    command: () => ({ mode: 'film', words: [path, String(rateOf(film.length))] }),
    life: 1_500,
    upTo: (_, end) => film.subarray(0, end),
    faultOf: async (path, bytes) => {
      const whole = wholeFragments(bytes)
      const seen = await play(path)
      const wanted = frames.slice(0, whole.frames)
      if (seen.frames.slice(0, whole.frames).join() !== wanted.join()) {
        return `shows ${seen.frames.length} frames, or others than the ${whole.frames} it has whole`
      }
      const isTorn = whole.end < bytes.length
      return isTorn ? '' : seen.complaint
    },
  }
}

/**
 * Runs it until it ends, or is killed so many ms after its first word; gives what it said, and when it
 * was killed: undefined where it had ended before.
 */
const run = async (args: readonly string[], life = Infinity, env: NodeJS.ProcessEnv = {}) => {
  const child = spawn(process.execPath, ['--import=tsx', RECORDER, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  let said = ''
  let killed = 0
  const kill = () => {
    killed = Date.now()
    child.kill('SIGKILL')
  }
  let timer: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk
    if (life < Infinity) timer ??= setTimeout(kill, life)
  })
  const [, signal] = await once(child, 'close')
  clearTimeout(timer)
  return { said, killed: signal === 'SIGKILL' ? killed : undefined }
}

/** What a recorder said of each chunk: bytes handed over and durable until then, and since when it was there. */
const chunksIn = (said: string) =>
  [...said.matchAll(/^(\d+) (\d+) (\d+)$/gm)].map(([, handed, durable, since]) => ({
    handed: Number(handed),
    durable: Number(durable),
    since: Number(since),
  }))

export interface Kills {
  /** How many, and the greatest loss: in bytes, and in ms as the age of the oldest of them at the kill. */
  readonly said: string
  readonly violation: string | undefined
}

export interface KillOptions {
  readonly random: () => number
  /** Record a film, which must play afterwards. Default: bytes that can be told apart. */
  readonly film?: boolean
  readonly onRun?: () => void
}

/** So many recordings, each killed, and a third of their resumes as well; two in five are to stay. */
export const killRecorders = async (
  count: number,
  { random, film = false, onRun = () => {} }: KillOptions,
): Promise<Kills> => {
  const root = await mkdtemp(join(tmpdir(), 'kills-'))
  const media = join(root, 'media')
  const options: SandboxOptions = { dir: media, ...{ [LIMITS_DOOR]: RECORDED } }
  const sandbox = await startSandbox(options)
  const sums = { recordings: 0, kills: 0, empty: 0, bytes: 0, lost: 0, age: 0 }
  const end = (violation?: string): Kills => {
    const { recordings, kills, empty, bytes, lost, age } = sums
    const said = `${recordings} recordings, ${kills} kills, ${empty} before a byte was on the disk; ${bytes} bytes kept; of one recording at most ${lost} lost, the oldest ${age} ms old`
    return { said, violation }
  }
  try {
    const subject = film ? await filmIn(root) : pattern
    for (let index = 0; index < count; index++) {
      const dir = join(root, String(index))
      const seed = Math.floor(random() * 1e6)
      const asset = sandbox.createAsset({ name: `${index}.mp4`, filetype: 'video/mp4' })
      // A third of them without a network, at least at first.
      if (random() < 0.3) {
        const times = random() < 0.5 ? Infinity : 5
        sandbox.faults.add({ on: 'put', assetId: asset.id, times, do: { reset: 'during' } })
      }
      const keep = random() < 0.4
      const life = random() * subject.life
      const where = [sandbox.url, sandbox.token, dir]
      const { mode, words } = subject.command(seed)
      const { said, killed = Number.NaN } = await run(
        [mode, ...where, asset.id, ...words],
        life,
        keep ? { KEEP: KEPT } : {},
      )
      sandbox.faults.clear()
      const chunks = chunksIn(said)
      const { handed = 0, durable = 0 } = chunks.at(-1) ?? {}
      const brief = random() < 0.33 ? random() * LONGEST_RESUME : undefined
      const cut = brief === undefined ? undefined : await run(['resume', ...where], brief)
      const told = await run(['resume', ...where])
      const name = `recording ${index} (seed ${seed}, ${handed} bytes handed over, ${durable} durable)`
      const isSent = durable > 0 || /^[1-9]\d*$/m.test(told.said)
      // Only a guard against hanging: the sandbox puts the file together once it has all.
      const isThere =
        isSent &&
        (await within(
          10_000,
          asset.whenUploaded().then(() => true),
        ).catch(() => false))
      if (!isThere && isSent) return end(`${name} is not complete: ${told.said}`)
      // Killed before a first byte was on the disk: there is nothing, and the folder goes.
      const bytes = isThere ? await readFile(asset.path as string) : Buffer.alloc(0)
      const held = bytes.equals(subject.upTo(seed, bytes.length)) && bytes.length >= durable
      if (!held) return end(`${name} is now ${bytes.length} bytes, or others`)
      const fault = isThere ? await subject.faultOf(asset.path as string, bytes) : ''
      if (fault !== '') return end(`${name} as ${bytes.length} bytes: ${fault}`)
      const kept = keep && isThere ? join(asset.id, KEPT) : undefined
      const left = (await readdir(dir, { recursive: true })).sort().join()
      if (left !== (kept ? `${asset.id},${kept}` : '')) return end(`${name} leaves ${left}`)
      if (kept && !(await readFile(join(dir, kept))).equals(bytes))
        return end(`${name} is kept otherwise than it was uploaded`)
      const firstLost = chunks.find(({ handed }) => handed > bytes.length)
      sums.recordings++
      sums.kills += [killed, cut?.killed].filter(Number.isFinite).length
      sums.empty += isThere ? 0 : 1
      sums.bytes += bytes.length
      sums.lost = Math.max(sums.lost, handed - bytes.length)
      sums.age = Math.max(sums.age, firstLost ? killed - firstLost.since : 0)
      onRun()
    }
    return end()
  } finally {
    await sandbox.close()
    await rm(root, { recursive: true, force: true })
  }
}
