/**
 * The file that keeps what a producer writes to its stderr, as it came. It never costs the take: of
 * a disk that is full, or too slow, there is one word, and what cannot be kept is not.
 */
import { createWriteStream, existsSync, fstatSync, openSync, rmSync, statSync } from 'node:fs'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { UsageError } from './usage.ts'

/** Bytes that may wait for a slow disk. */
const MOST_WAITING = 4 * 2 ** 20
/** How long the last of them are waited for, in ms. */
const LAST_CHANCE = 5_000

export class ProducerLog {
  readonly #file: string
  readonly #stream: Writable
  readonly #onMissing: (text: string) => void
  /** Is it of our own making? */
  readonly #isNew: boolean
  #isTold = false

  /**
   * Opens it at once, and adds to what it holds: it may be that of the take before, which failed.
   *
   * @param onMissing told once, where something is missing in it
   * @throws {UsageError} where it cannot be written
   */
  constructor(file: string, onMissing: (text: string) => void) {
    this.#file = file
    this.#onMissing = onMissing
    this.#isNew = !existsSync(file)
    this.#stream = streamTo(openToAdd(file))
    this.#stream.on('error', ({ message }) => this.#tell(`cannot be written any more: ${message}`))
  }

  write(chunk: Buffer): void {
    if (!this.#stream.writable) return
    if (this.#stream.writableLength < MOST_WAITING) this.#stream.write(chunk)
    else this.#tell('cannot be written as fast as the producer speaks: some of it is missing')
  }

  /** For a take that never began: leaves no file behind that was not there before. */
  async withdraw(): Promise<void> {
    await this.close()
    const size = statSync(this.#file, { throwIfNoEntry: false })?.size
    if (this.#isNew && size === 0) rmSync(this.#file)
  }

  /** Waits until all is in the file, but not for ever. */
  async close(): Promise<void> {
    if (this.#stream.closed) return
    const closed = new Promise<void>(resolve => this.#stream.once('close', () => resolve()))
    this.#stream.end()
    await Promise.race([closed, wait(LAST_CHANCE, undefined, { ref: false })])
    if (this.#stream.closed) return
    this.#tell('took too long: the last of it is missing')
    this.#stream.destroy()
  }

  #tell(text: string): void {
    if (this.#isTold) return
    this.#isTold = true
    this.#onMissing(`the producer's log ${this.#file} ${text}; the take goes on`)
  }
}

/**
 * A pipe, such as that of `>(gzip > log)`, may have a reader that stands still: a file's write would
 * wait for it, and this process could not even exit before.
 */
const streamTo = (fd: number): Writable =>
  fstatSync(fd).isFIFO()
    ? new Socket({ fd, readable: false, writable: true })
    : createWriteStream('', { fd })

const openToAdd = (file: string): number => {
  try {
    return openSync(file, 'a')
  } catch (error) {
    throw new UsageError(`--producer-log cannot be written: ${(error as Error).message}`)
  }
}
