/**
 * What a producer writes to its stderr, while it runs: with `--verbose` shown line by line, with
 * `--producer-log` kept as it came. The producer is never held for it, for it is recording: lines
 * that come faster than anyone can read are counted instead.
 */
import type { ChildProcess } from 'node:child_process'
import { basename } from 'node:path'
import { cut } from '../errors.ts'
import { Lines } from '../sources/lines.ts'
import { type Display, withoutControls } from './display.ts'
import type { ProducerLog } from './producer-log.ts'

/** Lines that are shown in a second. */
const MOST_LINES = 100
/** Characters of a line that are shown. */
const LONGEST_LINE = 1_000
/** Lines that are shown of a producer that failed. */
const LAST_LINES = 8

export class ProducerStderr {
  readonly #say: (line: string) => void
  readonly #lines = new Lines()
  /** When the present second began. */
  #since = Number.NEGATIVE_INFINITY
  #shown = 0
  #leftOut = 0

  constructor(command: string, display: Display) {
    const name = basename(command)
    this.#say = line => display.say('producer', `${name}: ${line}`)
  }

  /** Begins to show and to keep what comes. */
  listen({ stderr }: ChildProcess, isShown: boolean, log: ProducerLog | undefined): void {
    if (log) stderr?.on('data', (chunk: Buffer) => log.write(chunk))
    if (!isShown) return
    stderr?.on('data', (chunk: Buffer) => {
      for (const line of this.#lines.push(chunk)) this.#show(line)
    })
    stderr?.once('close', () => this.#end())
  }

  #show(line: string): void {
    const now = performance.now()
    if (now - this.#since >= 1_000) {
      this.#tellLeftOut()
      this.#since = now
      this.#shown = 0
    }
    if (this.#shown++ < MOST_LINES) this.#say(plain(line))
    else this.#leftOut++
  }

  #tellLeftOut(): void {
    if (this.#leftOut > 0) this.#say(`… ${this.#leftOut} lines more`)
    this.#leftOut = 0
  }

  #end(): void {
    this.#tellLeftOut()
    if (this.#lines.begun !== '') this.#say(plain(this.#lines.begun))
  }
}

/** The last lines of what a producer wrote, to be shown below a message that may have one already. */
export const lastLines = (stderr: string, message = ''): string[] => {
  const lines = stderr.split('\n').slice(-LAST_LINES).map(plain).filter(Boolean)
  return lines.length === 1 && message.includes(lines[0] ?? '') ? [] : lines
}

const plain = (line: string): string => cut(withoutControls(line), LONGEST_LINE)
