/**
 * A `Writable` that is a take: what is written is cut, where that is wanted and possible, and recorded. `finish`
 * means that Frame.io has every byte.
 */
import { Writable } from 'node:stream'
import { AbortError } from '../errors.ts'
import { followSignal } from '../net/signals.ts'
import { type Cutter, cutterFor } from '../segments/cutter.ts'
import type { Piece } from '../segments/piece.ts'
import { refuseDecoded } from '../upload/decoded.ts'
import { Take, type TakeResult } from './take.ts'
import type { ResolvedTakeOptions } from './take-options.ts'

type Callback = (error?: Error | null) => void

export class TakeStream extends Writable {
  readonly #options: ResolvedTakeOptions
  readonly #cutter: Cutter | undefined
  readonly #unfollow: () => void
  #take: Take | undefined
  #result: TakeResult | undefined
  /** The call that is under way. */
  #call: Promise<unknown> = Promise.resolve()

  constructor(options: ResolvedTakeOptions) {
    super({ highWaterMark: 64 * 2 ** 10 })
    refuseDecoded(this)
    this.#options = options
    const { segment } = options.opening
    const { maxSize } = options
    if (segment !== undefined) {
      this.#cutter = cutterFor({
        segment,
        maxSize,
        onWarning: warning => this.#take?.warn(warning),
      })
    }
    const { signal } = options.settings
    const abort = (reason: unknown) => void this.destroy(new AbortError(reason))
    this.#unfollow = signal ? followSignal(signal, abort) : () => {}
    if (signal?.aborted) abort(signal.reason)
  }

  /** What Frame.io has; undefined before `finish`. */
  get result(): TakeResult | undefined {
    return this.#result
  }

  /** As it fails, with what there is to go on with. */
  explain(error: Error): Error {
    return this.#take?.explain(error) ?? error
  }

  override _construct(callback: Callback): void {
    const begin = Take.begin(this.#options, {
      isCut: () => this.#cutter !== undefined && this.#cutter.container !== 'unknown',
      onFailure: error => void this.destroy(error),
    }).then(take => {
      this.#take = take
    })
    this.#run(begin, callback)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#run(this.#record([chunk]), callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    const all = chunks.map(({ chunk }) => chunk)
    this.#run(this.#record(all), callback)
  }

  override _final(callback: Callback): void {
    this.#run(this.#end(), callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#unfollow()
    const reason = error ?? new AbortError('destroyed')
    this.#take?.stop(reason)
    // What the disk says as it is closed is of no more interest than why it ended.
    this.#close(reason)
      .catch(() => {})
      .then(() => callback(error))
  }

  async #close(reason: Error): Promise<void> {
    // Nothing is closed under the feet of a call; and the take may be opening just now.
    await this.#call
    this.#take?.stop(reason)
    await this.#take?.close()
  }

  #run(call: Promise<void>, callback: Callback): void {
    this.#call = call.catch(() => {})
    call.then(() => callback(), callback)
  }

  async #record(chunks: readonly Uint8Array[]): Promise<void> {
    const take = this.#take as Take
    const cutter = this.#cutter
    if (!cutter) return take.append(chunks)
    // What a cutter gives may be a view of what was pushed, and lives until the next push.
    for (const chunk of chunks) await this.#put(take, cutter.push(chunk))
  }

  async #put(take: Take, pieces: readonly Piece[]): Promise<void> {
    let chunks: Uint8Array[] = []
    for (const piece of pieces) {
      if (piece.t === 'bytes') chunks.push(piece.chunk)
      else {
        await take.append(chunks)
        await take.cut()
        chunks = []
      }
    }
    await take.append(chunks)
  }

  async #end(): Promise<void> {
    const take = this.#take as Take
    if (this.#cutter) await this.#put(take, this.#cutter.end())
    this.#result = await take.end()
  }
}
