/**
 * Ends a program whose uploader was killed: a program that writes nothing would never learn of it, and
 * hold its camera.
 *
 * A shell beside it waits for the end of a pipe that this process alone holds open, and that ends with
 * it in whatever way. Where there is no shell the program is on its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'

/** As much of a last chance as a program has otherwise: 5 s. */
const SCRIPT = `
read -r _
kill -s TERM -- "-$1" || exit
kill -s CONT -- "-$1"
for _ in 1 2 3 4 5; do
  sleep 1
  kill -s 0 -- "-$1" || exit
done
kill -s KILL -- "-$1"
`

export class Watchdog {
  readonly #shell: ChildProcess | undefined

  /** @param group the id of the group that it ends */
  constructor(group: number) {
    this.#shell = startShell(group)
  }

  /** There is nothing to watch any more. */
  async release(): Promise<void> {
    const shell = this.#shell
    if (shell?.pid === undefined || shell.exitCode !== null || shell.signalCode !== null) return
    const ended = once(shell, 'exit')
    shell.ref()
    shell.kill('SIGKILL')
    await ended
  }
}

const startShell = (group: number): ChildProcess | undefined => {
  try {
    const shell = spawn('/bin/sh', ['-c', SCRIPT, 'frameio-upload-watchdog', String(group)], {
      stdio: ['pipe', 'ignore', 'ignore'],
      detached: true, // What ends us, or stops us, must not reach it.
      cwd: '/',
      env: { PATH: process.env.PATH }, // To find `sleep`. No child's environment holds the token.
    })
    shell.on('error', () => {}) // There is no shell.
    shell.unref()
    const pipe = shell.stdin as Socket | null
    pipe?.on('error', () => {}).unref()
    return shell
  } catch {
    return undefined // Of what the system has too little for it, the recording needs as well.
  }
}
