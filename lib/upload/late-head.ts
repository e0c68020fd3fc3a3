/**
 * The head that goes last: what it says of the whole, its size first of all, is known only at the end.
 *
 *     part 1    ──► held ─────────────────────► mended ──► ┐ registered in one call,
 *     the final ──► held ─────────────────────────────────► ┘ and sent side by side
 *     all others ─► on their way as they are cut
 *
 * What holds always:
 *   1. Part 1 is the latch: until its bytes are there nothing can be put together.
 *   2. After the final part no new number is registered: so both go last, in one call, in this order.
 *   3. The MD5 of part 1 is that of what is sent, and not of what came.
 */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { types } from 'node:util'
import { describeCause } from '../errors.ts'
import type { Part } from '../spool/home.ts'
import type { UploadWarning } from './events.ts'
import { headNotMended } from './warnings.ts'
import { finishWav, isWav, WAV_MAGIC } from './wav.ts'

/**
 * Changes part 1 in place, once all bytes are there; its length stays.
 *
 * @param head all bytes of part 1: of the whole file, where that is not larger than a part
 * @param file bytes of the whole file
 */
export type MendHead = (head: Buffer, file: { readonly bytes: number }) => void | Promise<void>

export interface LateHeadOptions {
  /** `true`: part 1 goes last as it is. */
  readonly mend: true | MendHead
  /** A part goes on its way. */
  readonly admit: (part: Part) => void
  /** So many bytes of memory are held until the end. */
  readonly onHold: (bytes: number) => void
  readonly onWarning: (warning: UploadWarning) => void
}

/** Bytes that go to a socket at once, or into a sum before it is somebody else's turn. */
const SLICE = 256 * 2 ** 10
const SUM_AT_ONCE = 8 * 2 ** 20

export class LateHead {
  readonly #options: LateHeadOptions
  #mend: true | MendHead
  #head: Part | undefined
  #final: Part | undefined
  /** The first bytes, until they have told whether they can be mended. */
  #magic: Buffer | undefined
  #isOver = false

  constructor(options: LateHeadOptions) {
    this.#options = options
    this.#mend = options.mend
    if (options.mend === finishWav) this.#magic = Buffer.alloc(0)
  }

  /** Bytes as they come: at once, and not after twelve hours, it is said that they are no WAV. */
  look(chunk: Buffer): void {
    if (!this.#magic) return
    this.#magic = Buffer.concat([this.#magic, chunk.subarray(0, WAV_MAGIC - this.#magic.length)])
    if (this.#magic.length < WAV_MAGIC) return
    if (!isWav(this.#magic)) this.#leaveAsItIs('the stream does not begin as a WAV does')
    this.#magic = undefined
  }

  /** A part that was cut. */
  take(part: Part): void {
    if (part.number === 1) {
      this.#head = part
      if (!part.final) this.#options.onHold(part.size)
    } else if (part.final) this.#final = part
    else this.#options.admit(part)
  }

  /**
   * All others were admitted: sends what was held.
   *
   * @param bytes of the whole file
   * @throws what the function threw that mends
   */
  async end(bytes: number): Promise<void> {
    const head = this.#head && (await this.#mended(this.#head, bytes))
    if (this.#isOver) return
    const final = this.#final
    this.#head = undefined
    this.#final = undefined
    // Ready when the final part is, which no other is after: the two must not overtake any.
    if (head) this.#options.admit(final ? { ...head, ...readyWith(final), isTied: true } : head)
    if (final) this.#options.admit(final)
  }

  /** The upload is over: gives back the memory of what is held. */
  discard(): void {
    this.#isOver = true
    this.#head?.release(false)
    this.#final?.release(false)
  }

  async #mended(head: Part, bytes: number): Promise<Part> {
    const mend = this.#mend
    if (mend === true) return head
    // Once more before a disk is believed to fail.
    const buffer = await copyOf(head).catch(() => copyOf(head))
    if (this.#isOver) return head
    head.release(false) // There is a copy, and that alone is sent.
    try {
      await mend(buffer, { bytes })
    } catch (error) {
      if (mend !== finishWav) throw asError(error)
      this.#leaveAsItIs((error as Error).message)
    }
    return {
      ...head,
      md5: head.md5 && (await md5Of(buffer)),
      body: () => slicesOf(buffer),
      rest() {},
      release: stored => head.release(stored),
    }
  }

  /** A size that is wrong costs less than a recording. */
  #leaveAsItIs(reason: string): void {
    this.#mend = true
    this.#options.onWarning(headNotMended(reason))
  }
}

const readyWith = ({ ready }: Part) => (ready ? { ready } : {})

/** All bytes of a part. */
const copyOf = async (part: Part): Promise<Buffer> => {
  const buffer = Buffer.allocUnsafeSlow(part.size)
  let filled = 0
  try {
    for await (const chunk of part.body()) {
      buffer.set(chunk, filled)
      filled += chunk.length
    }
  } finally {
    part.rest?.()
  }
  return buffer
}

function* slicesOf(buffer: Buffer): Generator<Buffer> {
  for (let at = 0; at < buffer.length; at += SLICE) yield buffer.subarray(at, at + SLICE)
}

const md5Of = async (buffer: Buffer): Promise<string> => {
  const hash = createHash('md5')
  for (let at = 0; at < buffer.length; at += SUM_AT_ONCE) {
    hash.update(buffer.subarray(at, at + SUM_AT_ONCE))
    await setImmediate()
  }
  return hash.digest('base64')
}

/** Some throw anything, and of nothing at all a stream would think that all is well. */
const asError = (thrown: unknown): Error =>
  types.isNativeError(thrown) || thrown instanceof Error
    ? thrown
    : new Error(describeCause(thrown), { cause: thrown })
