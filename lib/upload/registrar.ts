/**
 * Gathers waiting parts into calls, and hands each its URL.
 *
 * One call is in flight at a time, so parts that fill meanwhile go together in the next: the slower
 * the API, the fewer the calls. What is registered and waits for a lane is bounded, so that URLs
 * stay young; the bound grows with the time that a call takes, so that lanes never wait for one.
 */
import type { RegisterOptions } from '../frameio/client.ts'
import type { Part } from '../spool/home.ts'
import type { UploadUrl } from './put-part.ts'

/** One call to Frame.io: a URL for each part, in order. */
export type Register = (parts: readonly Part[], options: RegisterOptions) => Promise<string[]>

interface Waiting {
  readonly part: Part
  readonly resolve: (url: UploadUrl) => void
  readonly reject: (error: unknown) => void
}

export interface RegistrarOptions {
  readonly register: Register
  /** Most parts in one call. */
  readonly perCall: number
  /**
   * Most parts, of the size of this one, that are being registered or are registered and wait for a
   * lane, where a call takes so many ms.
   */
  readonly window: (part: Part, callTime: number) => number
  /** Given with the final part. */
  readonly assetName: string | undefined
}

export class Registrar {
  readonly #options: RegistrarOptions
  /** Parts whose URL was lost or expired: they have waited before, so they go first. */
  readonly #again: Waiting[] = []
  readonly #queue: Waiting[] = []
  /** Parts of `#queue` that were sent off and have not left by `startPart`. */
  #ahead = 0
  #busy = false
  #isDue = false
  /** What the last call took, in ms. */
  #callTime = 0

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /** Registers a part, in order, when there is room in the window. */
  add(part: Part): Promise<UploadUrl> {
    return this.#enqueue(this.#queue, part)
  }

  /** Registers a part again, with the same number and size. */
  again(part: Part): Promise<UploadUrl> {
    return this.#enqueue(this.#again, part)
  }

  /** A part that was registered got its lane: there is room for another. */
  startPart(): void {
    this.#ahead--
    this.#pumpSoon()
  }

  #enqueue(queue: Waiting[], part: Part): Promise<UploadUrl> {
    return new Promise((resolve, reject) => {
      queue.push({ part, resolve, reject })
      this.#pump()
    })
  }

  /**
   * Once the lanes have taken what they can. Parts get their lanes one by one, right after a call: at
   * once the next would go off with the room that was there before, or that the first of them left.
   */
  #pumpSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => {
      this.#isDue = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#busy) return
    const { perCall, window } = this.#options
    const again = this.#again.splice(0, perCall)
    const [next] = this.#queue
    const free = next ? window(next.part, this.#callTime) - this.#ahead : 0
    const most = Math.min(perCall - again.length, this.#queue.length)
    const fresh = this.#queue.splice(0, this.#untied(Math.max(0, Math.min(most, free)), most))
    this.#ahead += fresh.length
    if (again.length + fresh.length > 0) void this.#call([...again, ...fresh])
  }

  /** So many of the queue, or one more or fewer: a part that is tied goes off with the one behind it. */
  #untied(count: number, most: number): number {
    if (!this.#queue[count - 1]?.part.isTied) return count
    return count < most ? count + 1 : count - 1
  }

  async #call(batch: readonly Waiting[]): Promise<void> {
    this.#busy = true
    const { register, assetName } = this.#options
    const parts = batch.map(({ part }) => part)
    const assetFilesize = parts.find(part => part.final)?.fileSize
    const startedAt = performance.now()
    try {
      const urls = await register(
        parts,
        assetFilesize === undefined ? {} : { assetFilesize, assetName },
      )
      const since = performance.now()
      this.#callTime = since - startedAt
      for (const [index, { resolve }] of batch.entries()) {
        resolve({ url: urls[index] as string, since })
      }
    } catch (error) {
      for (const { reject } of batch) reject(error)
    } finally {
      this.#busy = false
    }
    this.#pumpSoon()
  }
}
