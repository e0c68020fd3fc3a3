/**
 * The built command as a child process.
 */
import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

/** A guard against hanging, and no more. */
const PATIENCE = 180_000

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Started {
  readonly child: ChildProcess
  /** What it has said so far, on both. */
  readonly said: { stdout: string; stderr: string }
  readonly ended: Promise<Outcome>
  /** Waits until it has said this on stderr. */
  hears(pattern: RegExp): Promise<void>
}

export type CommandOptions = Pick<SpawnOptions, 'cwd'> & {
  readonly env?: Record<string, string | undefined>
  /** Bytes for its stdin, which ends with them. Without, it has an empty one. */
  readonly input?: string | Buffer
  /** Leave stdin open. */
  readonly open?: boolean
}

export const start = (args: readonly string[], options: CommandOptions = {}): Started => {
  const { env = {}, input = '', open = false, cwd } = options
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd,
    env: { ...process.env, FRAMEIO_TOKEN: undefined, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', text => {
    said.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    said.stderr += text
  })
  child.stdin.on('error', () => {}) // It may end before it has read everything.
  child.stdin.write(input)
  if (!open) child.stdin.end()
  const guard = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(guard)
    return { code, ...said }
  })
  const hears = async (pattern: RegExp) => {
    while (!pattern.test(said.stderr)) {
      const more = once(child.stderr, 'data').then(() => true)
      const over = ended.then(() => false)
      if (!(await Promise.race([more, over])) && !pattern.test(said.stderr)) {
        throw new Error(`It never said ${pattern}: ${said.stderr}`)
      }
    }
  }
  return { child, said, ended, hears }
}

export const run = (args: readonly string[], options?: CommandOptions): Promise<Outcome> =>
  start(args, options).ended

/** The command lines of all processes, as anybody on this machine can see them. */
export const commandLines = (): string[] => {
  if (!existsSync('/proc/self/cmdline')) {
    return spawnSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).stdout.split('\n')
  }
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        return '' // It has ended meanwhile.
      }
    })
}
