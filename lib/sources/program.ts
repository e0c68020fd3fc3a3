/**
 * A program that runs, watched from its start to its last words.
 */
import type { ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { StringDecoder } from 'node:string_decoder'
import { setTimeout as wait } from 'node:timers/promises'
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
  readonly #decoder = new StringDecoder('utf8')
  #stderr = ''

  constructor(child: ChildProcess) {
    this.#child = child
    child.stderr?.on('data', (chunk: Buffer | string) => {
      const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
      this.#stderr = (this.#stderr + text).slice(-TAIL)
    })
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
    const error = this.#error ?? streamError
    return {
      ok: exitCode === 0 && error === undefined,
      // Where it could not be started Node makes a number of the reason.
      exitCode: this.#error ? undefined : (exitCode ?? undefined),
      signal: signalCode ?? undefined,
      // A line that was drawn again and again counts once, as it was last.
      stderr: this.#stderr.replace(/[^\n]*\r(?!\n)/g, '').trim(),
      error,
    }
  }
}
