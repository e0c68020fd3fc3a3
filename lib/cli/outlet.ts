/**
 * A way out that is never waited for. Node writes to a terminal synchronously: one that Ctrl-S has
 * stopped, or that nobody reads, would hold the camera, the upload and the signals. What a pipe does
 * not take Node keeps, progress and all, without a bound.
 *
 *   offer   shown now or never: what is soon out of date
 *   write   kept, in order, until it is taken
 */
import { constants, openSync, writeSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { isatty } from 'node:tty'

/** Between two tries to write what was not taken, in ms. */
const RETRY = 100

/** Texts that are kept. Of more the oldest are left out: the last tell how it ended. */
const KEPT = 500

/** `process.stdout` or `process.stderr`. */
export type Standard = NodeJS.WriteStream & { readonly fd: number }

interface Text {
  bytes: Buffer
  /** Called once it is written, or could not be. */
  readonly done: (error?: Error | null) => void
}

/** Takes what it can of a text at once, in bytes; 0 where it must be tried again. */
type Way = (text: Text) => number

export class Outlet {
  readonly #way: Way
  readonly #tellOfDropped: (count: number) => string
  readonly #queue: Text[] = []
  readonly #unsettled = new Set<Promise<void>>()
  #dropped = 0
  #timer: NodeJS.Timeout | undefined

  /** @param tellOfDropped what stands in the place of so many texts that were left out */
  constructor(stream: Standard, tellOfDropped: (count: number) => string = () => '') {
    this.#way = throughOwn(stream.fd) ?? throughStream(stream)
    this.#tellOfDropped = tellOfDropped
  }

  /** @returns whether it was taken; what was begun is written to its end, lest a line be torn */
  offer(text: string): boolean {
    if (this.#queue.length > 0) return false
    const offered = { bytes: Buffer.from(text), done: () => {} }
    const { length } = offered.bytes
    if (this.#hand(offered)) return true
    if (offered.bytes.length === length) return false
    this.#queue.push(offered)
    this.#pump()
    return true
  }

  /**
   * @returns once it was taken, or left out
   * @throws what the system says where it cannot be written: EPIPE where whoever read it has left
   */
  write(text: string): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null) => (error ? reject(error) : resolve())
      this.#queue.push({ bytes: Buffer.from(text), done })
      this.#shorten()
      this.#pump()
    })
    this.#unsettled.add(written)
    const forget = () => this.#unsettled.delete(written)
    written.then(forget, forget)
    return written
  }

  /** Waits until all was taken, or could not be written; at most so many ms, and not after the signal. */
  async settle(signal: AbortSignal, ms = Number.POSITIVE_INFINITY): Promise<void> {
    const over = new AbortController()
    const end = AbortSignal.any([signal, over.signal])
    const left = new Promise<void>(resolve => {
      if (end.aborted) resolve()
      end.addEventListener('abort', () => resolve())
    })
    const limit = Number.isFinite(ms) ? [wait(ms, undefined, { signal: end }).catch(() => {})] : []
    await Promise.race([left, Promise.allSettled(this.#unsettled), ...limit])
    over.abort()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    for (let first = this.#queue[0]; first; first = this.#queue[0]) {
      if (!this.#hand(first)) {
        this.#timer = setTimeout(() => this.#pump(), RETRY)
        return
      }
      this.#queue.shift()
      this.#mark()
    }
  }

  /** @returns whether nothing is left of it */
  #hand(text: Text): boolean {
    try {
      text.bytes = text.bytes.subarray(this.#way(text))
      return text.bytes.length === 0
    } catch (error) {
      text.done(error as Error)
      return true
    }
  }

  #shorten(): void {
    while (this.#queue.length > KEPT) {
      const [left] = this.#queue.splice(1, 1) // Of the first a part may be written.
      left?.done()
      this.#dropped += 1
    }
  }

  /** Says, in their place, that some were left out. */
  #mark(): void {
    if (this.#dropped === 0) return
    const bytes = Buffer.from(this.#tellOfDropped(this.#dropped))
    this.#dropped = 0
    this.#queue.unshift({ bytes, done: () => {} })
  }
}

/**
 * To a terminal, through a description of our own: whether writes wait is written there, and others
 * who write to the same terminal must not find that changed. Linux alone gives one.
 */
const throughOwn = (fd: number): Way | undefined => {
  const own = isatty(fd) ? openOwn(fd) : undefined
  if (own === undefined) return undefined
  return ({ bytes, done }) => {
    const taken = writeNow(own, bytes)
    if (taken === bytes.length) done()
    return taken
  }
}

/** Undefined where there is none, or where it is another user's. */
const openOwn = (fd: number): number | undefined => {
  const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants
  try {
    return openSync(`/proc/self/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return undefined
  }
}

const writeNow = (fd: number, bytes: Buffer): number => {
  try {
    return writeSync(fd, bytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return 0
    throw error
  }
}

/** Node's own stream, which keeps what a pipe does not take: one text at most. */
const throughStream = (stream: Standard): Way => {
  stream.on('error', () => {}) // Told by the callback of the write.
  return ({ bytes, done }) => {
    if (stream.writableLength > 0) return 0
    stream.write(bytes, done)
    return bytes.length
  }
}
