/**
 * kill -9 at random moments of a process that records, and of those that resume what it left.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { LIMITS_DOOR } from '../../lib/frameio/protocol.ts'
import { type SandboxOptions, startSandbox } from '../../lib/sandbox/index.ts'
import { RECORDED, RECORDER, recorded } from './recorder.ts'
import { within } from './servers.ts'

/** Runs it until it ends, or is killed; gives what it said. */
const run = async (args: readonly string[], killAfter: (said: string) => Promise<void>) => {
  const child = spawn(process.execPath, ['--import=tsx', RECORDER, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  const begun = new Promise<void>(resolve => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk
      resolve()
    })
    child.once('close', () => resolve())
  })
  const closed = new Promise<void>(resolve => child.once('close', () => resolve()))
  void begun.then(() => killAfter(said)).then(() => child.kill('SIGKILL'))
  await closed
  return said
}

export interface Kills {
  readonly kills: number
  /** Of a recording, most bytes that were handed over and are not there. */
  readonly lost: number
  readonly violation: string | undefined
}

/** So many recordings, each killed, and a third of their resumes as well. */
export const killRecorders = async (
  count: number,
  random: () => number,
  onRun: () => void = () => {},
): Promise<Kills> => {
  const root = await mkdtemp(join(tmpdir(), 'kills-'))
  const media = join(root, 'media')
  const options: SandboxOptions = { dir: media, ...{ [LIMITS_DOOR]: RECORDED } }
  const sandbox = await startSandbox(options)
  let kills = 0
  let lost = 0
  try {
    for (let index = 0; index < count; index++) {
      const dir = join(root, String(index))
      const seed = Math.floor(random() * 1e6)
      const asset = sandbox.createAsset({ name: `${index}.mp4`, filetype: 'video/mp4' })
      // A third of them without a network, at least at first.
      if (random() < 0.3) {
        const times = random() < 0.5 ? Infinity : 5
        sandbox.faults.add({ on: 'put', assetId: asset.id, times, do: { reset: 'during' } })
      }
      const life = random() * 400
      const where = [sandbox.url, sandbox.token, dir]
      const said = await run(['record', ...where, asset.id, String(seed)], () => wait(life))
      kills++
      sandbox.faults.clear()
      const [handed = 0, durable = 0] =
        said.trimEnd().split('\n').at(-1)?.split(' ').map(Number) ?? []
      if (random() < 0.33) {
        const killed = wait(300 + random() * 600)
        const child = run(['resume', ...where], () => wait(0))
        await Promise.race([child, killed])
        await child
        kills++
      }
      const told = await run(['resume', ...where], () => new Promise(() => {}))
      const name = `recording ${index} (seed ${seed}, ${handed} bytes handed over, ${durable} durable)`
      // Only a guard against hanging: the sandbox puts the file together once it has all.
      const isThere =
        durable > 0 &&
        (await within(
          10_000,
          asset.whenUploaded().then(() => true),
        ).catch(() => false))
      if (!isThere && durable > 0)
        return { kills, lost, violation: `${name} is not complete: ${told}` }
      // Killed before a first byte was on the disk: there is nothing, and the folder goes.
      const bytes = isThere ? readFileSync(asset.path as string) : Buffer.alloc(0)
      lost = Math.max(lost, handed - bytes.length)
      const held = bytes.equals(recorded(seed, 0, bytes.length)) && bytes.length >= durable
      if (!held)
        return { kills, lost, violation: `${name} is now ${bytes.length} bytes, or others` }
      const left = await readdir(dir)
      if (left.length > 0) return { kills, lost, violation: `${name} leaves ${left}` }
      onRun()
    }
    return { kills, lost, violation: undefined }
  } finally {
    await sandbox.close()
    await rm(root, { recursive: true, force: true })
  }
}
