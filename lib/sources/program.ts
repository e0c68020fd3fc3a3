/**
 * A program that runs, watched from its start to its last words.
 */
import type { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { Lines } from './lines.ts'
import type { SourceEnd } from './source-end.ts'

/** How long the stderr of a program that has ended is read on, in ms: another may hold it open. */
const LAST_WORDS = 500
/** Characters of stderr that are kept. */
const TAIL = 4_096

/** A program, watched from the start: it may end before its stdout does. */
export class Program {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #error: Error | undefined
  readonly #lines = new Lines()
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer | string) => this.#keep(this.#lines.push(chunk)))
    // Its last words are lost then. Unheard that would be an exception that nobody catches.
    child.stderr?.on('error', () => {})
    this.#exited = new Promise<void>(resolve => {
      child.once('exit', () => resolve())
      child.on('error', error => {
        if (child.pid !== undefined) return // A signal that could not be sent, say.
        this.#error = error
        resolve()
      })
    })
  }

  /** @param streamError what its stdout ended with */
  async end(streamError: Error | undefined): Promise<SourceEnd> {
    await this.#exited
    const { stderr, exitCode, signalCode } = this.#child
    if (stderr && !stderr.closed) {
      const closed = new Promise(resolve => stderr.once('close', resolve))
      await Promise.race([closed, wait(LAST_WORDS, undefined, { ref: false })])
      // Nor does it keep this process, whoever holds it open.
      if (stderr instanceof Socket) stderr.unref()
    }
    this.#keep([this.#lines.begun])
    const error = this.#error ?? streamError
    return {
      ok: exitCode === 0 && error === undefined,
      // Where it could not be started Node makes a number of the reason.
      exitCode: this.#error ? undefined : (exitCode ?? undefined),
      signal: signalCode ?? undefined,
      stderr: this.#stderr.trim(),
      error,
    }
  }

  #keep(lines: readonly string[]): void {
    if (lines.length > 0) this.#stderr = tailOf(`${this.#stderr}\n${lines.join('\n')}`)
  }
}

/** Its end, from the beginning of a line on where that can be: half a word may be half a token. */
const tailOf = (text: string): string => {
  if (text.length <= TAIL) return text
  const tail = text.slice(-TAIL)
  const begin = tail.indexOf('\n')
  return begin < 0 ? tail : tail.slice(begin)
}
