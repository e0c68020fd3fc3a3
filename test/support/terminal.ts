/**
 * The built command on a terminal, by `script` of util-linux, with hands at its keyboard.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { CLI } from './command.ts'
import { until } from './sandboxes.ts'

/** Why there can be no terminal here, or false. */
export const noTerminal: string | false =
  spawnSync('script', ['--version']).status === 0 ? false : 'there is no `script` from util-linux'

/** A guard against hanging, and no more. */
const PATIENCE = 180_000

export const KEYS = { ctrlC: '\x03', ctrlQ: '\x11', ctrlS: '\x13', ctrlZ: '\x1a', quit: '\x1c' }

export interface Terminal {
  /** What it shows so far. */
  readonly shown: () => string
  /** The exit code, once it is over. */
  readonly ended: Promise<number | null>
  /** The process that says `pid=$$` first; undefined until then. */
  readonly pid: () => number | undefined
  readonly press: (keys: string) => void
  /** Waits until it shows this. */
  readonly shows: (pattern: RegExp) => Promise<void>
  /** Waits until nothing new is shown for a while. */
  readonly rests: () => Promise<void>
  /** Closes the window. */
  readonly close: () => void
}

export interface TerminalOptions {
  readonly env?: Record<string, string>
  readonly cwd?: string
}

/** Runs a line of shell on a terminal. */
export const openTerminal = (line: string, { env = {}, cwd }: TerminalOptions = {}): Terminal => {
  // Other opinions on colour: tap's, and Node's, which paints nothing where it sees CI.
  const { NO_COLOR: _, FORCE_COLOR: __, CI: ___, ...own } = process.env
  const child = spawn('script', ['-qfec', line, '/dev/null'], {
    cwd,
    env: { ...own, TERM: 'xterm-256color', SHELL: '/bin/sh', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  child.stdout.setEncoding('utf8').on('data', text => {
    shown += text
  })
  child.stdin.on('error', () => {}) // It may end before a key is pressed.
  const guard = setTimeout(() => child.kill('SIGKILL'), PATIENCE)
  const ended = once(child, 'close').then(([code]) => {
    clearTimeout(guard)
    return code as number | null
  })
  const pid = () => {
    const [, id] = /pid=(\d+)/.exec(shown) ?? []
    return id === undefined ? undefined : Number(id)
  }
  const rests = async () => {
    for (let length = -1; length !== shown.length; ) {
      length = shown.length
      await new Promise(resolve => setTimeout(resolve, 800))
    }
  }
  return {
    shown: () => shown,
    ended,
    pid,
    press: keys => child.stdin.write(keys),
    shows: pattern => until(() => pattern.test(shown), `${pattern} on the terminal`),
    rests,
    close: () => child.kill('SIGKILL'),
  }
}

/** A line of shell that tells its process id, and becomes the command. */
export const lineOf = (args: readonly string[]): string => `echo pid=$$; exec ${quoted(args)}`

/** The command, as a shell takes it. */
export const quoted = (args: readonly string[]): string =>
  [process.execPath, CLI, ...args].map(arg => `'${arg.replaceAll("'", "'\\''")}'`).join(' ')

/** The state of a process as Linux tells it, such as T where it was stopped; undefined once it is gone. */
export const stateOf = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2)[0]
  } catch {
    return undefined
  }
}
