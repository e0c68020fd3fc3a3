/**
 * kill -9 at random moments of a process that records to V4, and of those that resume what it left.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Sandbox, startSandbox } from '../../lib/sandbox/index.ts'
import { within } from './servers.ts'
import { TAKE_RECORDER } from './take-recorder.ts'
import { filmIn, namesOf } from './takes.ts'

/** How long a recording takes, and the longest life of a resume that is killed, in ms. */
const RECORDING = 1_500
const LONGEST_RESUME = 400

export interface TakeKills {
  readonly said: string
  readonly violation: string | undefined
}

export interface TakeKillOptions {
  readonly random: () => number
  readonly onRun?: () => void
}

/** So many recordings, each killed, and half of their resumes as well. */
export const killTakes = async (
  count: number,
  { random, onRun = () => {} }: TakeKillOptions,
): Promise<TakeKills> => {
  const root = await mkdtemp(join(tmpdir(), 'take-kills-'))
  const { film, pieces } = await filmIn(root)
  const path = join(root, 'film.ts')
  await writeFile(path, film)
  const sums = { kills: 0, empty: 0, files: 0, bytes: 0 }
  const end = (violation?: string): TakeKills => ({
    said: `${count} recordings, ${sums.kills} kills, ${sums.empty} before a byte was durable; ${sums.files} files of ${sums.bytes} bytes, each once`,
    violation,
  })
  try {
    for (let index = 0; index < count; index++) {
      const sandbox = await startSandbox({
        v4: { sliceSize: 60_000, rateLimit: { limit: 1_000, window: 1_000 } },
      })
      try {
        const dir = join(root, String(index))
        await mkdir(dir)
        makeTrouble(sandbox, random)
        const { url, token, v4 } = sandbox
        const where = [url, token, v4.accountId, v4.folderId, dir]
        // A fifth dies while it begins.
        const life = random() * (random() < 0.2 ? 60 : 1.2 * RECORDING)
        const record = await run(['record', ...where, path, String(RECORDING)], life)
        const brief = random() < 0.5 ? random() * LONGEST_RESUME : undefined
        const cut = brief === undefined ? undefined : await run(['resume', ...where], brief)
        sandbox.faults.clear()
        const told = await run(['resume', ...where])
        sums.kills += Number(record.isKilled) + Number(cut?.isKilled ?? false)
        const fault = await faultOf({ sandbox, dir, record: record.said, told: told.said, pieces })
        if (fault !== '') return end(`recording ${index}, life ${life} ms, ${brief}: ${fault}`)
        sums.empty += v4.files.length === 0 ? 1 : 0
        sums.files += v4.files.length
        sums.bytes += v4.files.reduce((sum, { filesize = 0 }) => sum + filesize, 0)
        onRun()
      } finally {
        await sandbox.close()
      }
    }
    return end()
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

/** A third without a network, a third with one that loses answers. */
const makeTrouble = ({ faults }: Sandbox, random: () => number): void => {
  const chance = random()
  if (chance < 0.33) faults.add({ on: 'api', times: Infinity, do: { reset: 'before' } })
  else if (chance < 0.66) {
    faults.add({ on: 'create', nth: 2, do: { loseAnswer: true } })
    faults.add({ on: 'put', nth: 3, times: 20, do: { delay: 50 } })
  }
}

interface Outcome {
  readonly sandbox: Sandbox
  readonly dir: string
  /** What the recorder said, and the last resume. */
  readonly record: string
  readonly told: string
  readonly pieces: readonly Buffer[]
}

/** What is wrong; '' where nothing is. */
const faultOf = async ({ sandbox, dir, record, told, pieces }: Outcome): Promise<string> => {
  const durable = Math.max(
    0,
    ...[...record.matchAll(/^durable (\d+)$/gm)].map(([, n]) => Number(n)),
  )
  const whole = [...record.matchAll(/^piece (.*)$/gm)].length
  if (/^failed/m.test(told)) return told
  const { files } = sandbox.v4
  const names = files.map(({ name }) => name).sort()
  if (names.join() !== namesOf(names.length).join()) return `there are ${names}`
  let sum = 0
  for (const file of files) {
    const at = names.indexOf(file.name)
    const wanted = pieces[at] as Buffer
    // Only a guard against hanging: the sandbox puts the file together once it has all.
    const isThere = await within(10_000, file.whenUploaded()).then(
      () => true,
      () => false,
    )
    if (!isThere) return `${file.name} is not complete: ${told}`
    const bytes = await readFile(file.path as string)
    sum += bytes.length
    const isPrefix = wanted.subarray(0, bytes.length).equals(bytes)
    if (!isPrefix) return `${file.name} holds other bytes than were recorded`
    const mustBeWhole = at < whole || at < names.length - 1
    if (mustBeWhole && bytes.length < wanted.length) return `${file.name} lacks its end`
  }
  if (sum < durable) return `${sum} bytes are there, and ${durable} were durable`
  const left = await readdir(dir)
  return left.length === 0 ? '' : `${left} is left`
}

/** Runs a recorder until it ends, or is killed so many ms after its first word. */
export const run = async (args: readonly string[], life = Infinity, env = {}) => {
  const child = spawn(process.execPath, ['--import=tsx', TAKE_RECORDER, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  let said = ''
  let timer: NodeJS.Timeout | undefined
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk
    if (life < Infinity) timer ??= setTimeout(() => child.kill('SIGKILL'), life)
  })
  const [, signal] = await once(child, 'close')
  clearTimeout(timer)
  return { said, isKilled: signal === 'SIGKILL' }
}
