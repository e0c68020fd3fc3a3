/**
 * The stream's contract, and nothing else: bytes in, backpressure, events, and one end.
 */
import { Writable } from 'node:stream'
import { invalid } from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { followSignal } from '../net/signals.ts'
import { tell } from './diagnostics.ts'
import type { EventMap, Progress, UploadResult } from './events.ts'
import { memoryHome } from './home.ts'
import {
  type RealtimeUploadOptions,
  type ResolvedUploadOptions,
  resolveUploadOptions,
} from './options.ts'
import { partPlan } from './part-plan.ts'
import { Splitter } from './splitter.ts'
import { StreamabilityCheck } from './streamable.ts'
import { noCounts, Transfer, type TransferListener } from './transfer.ts'

/** Longest the source may go on without giving the event loop a turn, in bytes. */
const BYTES_PER_TURN = 256 * 2 ** 10

/** Time between two `progress` events, in ms. */
const PROGRESS_INTERVAL = 100

type Callback = (error?: Error | null) => void

/**
 * A `Writable` that turns what is written to it into a Frame.io asset while it is being written.
 * When `finish` fires, Frame.io has every byte.
 *
 * @example
 * await pipeline(ffmpeg.stdout, new RealtimeUpload({ assetId, filetype: 'video/mp4', token }))
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` from the constructor; any other code as the
 *   stream's `error`. An aborted signal gives an `AbortError`.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: see the interface of this name below
export class RealtimeUpload extends Writable {
  readonly #options: ResolvedUploadOptions
  readonly #transfer: Transfer
  readonly #splitter: Splitter
  readonly #unfollow: () => void
  /** The write under way: whoever ends the stream must settle it. */
  #settleWrite: Callback | undefined
  /** Looks at the first bytes, until they have told. */
  #streamability: StreamabilityCheck | undefined
  /** Bytes that may be taken in before it is the others' turn. */
  #bytesThisTurn = 0
  #stalled = false
  #warned = false
  #progressTimer: NodeJS.Timeout | undefined
  #result: UploadResult | undefined

  constructor(options: RealtimeUploadOptions) {
    const resolved = resolveUploadOptions(options)
    const { limits, integrity, signal } = resolved
    super({ highWaterMark: 64 * 2 ** 10 })
    this.#options = resolved
    const listener: TransferListener = {
      onStored: ({ number, size }, { attempts }) => {
        this.#emit('part', { number, size, attempts })
        this.#moved()
      },
      onRetry: info => this.#emit('retry', info),
      onFailure: error => this.destroy(error as Error),
    }
    this.#transfer = new Transfer(resolved, listener, noCounts())
    this.#splitter = new Splitter({
      plan: partPlan(resolved, limits),
      home: memoryHome(this.#transfer.memory),
      start: { parts: 0, bytes: 0 },
      onPart: part => this.#transfer.admit(part),
      onSize: size => this.#checkSize(size),
      md5: integrity === 'md5',
    })
    if (resolved.warnIfNotStreamable) this.#streamability = new StreamabilityCheck()
    const abort = (reason: unknown) => void this.destroy(new AbortError(reason))
    this.#unfollow = signal ? followSignal(signal, abort) : () => {}
    if (signal?.aborted) abort(signal.reason)
  }

  /** What stands at Frame.io; undefined before `finish`. */
  get result(): UploadResult | undefined {
    return this.#result
  }

  /** A snapshot of where the upload stands. */
  get progress(): Progress {
    const { bytesUploaded, ...counts } = this.#transfer.counts
    const { bytes } = this.#splitter
    return { bytesReceived: bytes, bytesUploaded, bytesBuffered: bytes - bytesUploaded, ...counts }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#settleWrite = callback
    this.#checkStreamability(chunk)
    this.#pour([chunk], 0, 0)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#settleWrite = callback
    for (const { chunk } of chunks) this.#checkStreamability(chunk)
    this.#pour(
      chunks.map(({ chunk }) => chunk),
      0,
      0,
    )
  }

  override _final(callback: Callback): void {
    this.#splitter.end()
    const { bytes, parts } = this.#splitter
    const { assetId } = this.#options
    if (parts === 0) {
      const message = `The stream ended without a byte, and Frame.io cannot hold an empty file; asset ${assetId} stays as it was created`
      callback(new RealtimeUploadError('ERR_EMPTY_STREAM', message, { assetId }))
      return
    }
    this.#transfer.allStored().then(() => {
      this.#result = { assetId, bytes, parts }
      this.#emit('progress', this.progress)
      callback()
    }, callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const reason = error ?? new AbortError('destroyed')
    tell('frameio-realtime-upload:done', () => ({
      assetId: this.#options.assetId,
      bytes: this.#transfer.counts.bytesUploaded,
      parts: this.#transfer.counts.partsUploaded,
      error: this.#result ? undefined : reason,
    }))
    clearTimeout(this.#progressTimer)
    this.#unfollow()
    this.#splitter.discard()
    this.#transfer.stop(reason).then(() => callback(error), callback)
    this.#settle(reason)
  }

  /** Takes the chunks in, from `offset` of the one at `index`; goes on later where it must wait. */
  #pour(chunks: readonly Buffer[], index: number, offset: number): void {
    if (this.destroyed) return // _destroy has settled the write.
    let at = offset
    for (let i = index; i < chunks.length; i++, at = 0) {
      const chunk = chunks[i] as Buffer
      const tooMany = this.#splitter.bytes + chunk.length - at - this.#options.maxSize
      if (tooMany > 0) {
        this.#settle(this.#tooLarge(tooMany))
        return
      }
      while (at < chunk.length) {
        // Without turns a source that is always ready would starve the sockets, and other uploads.
        if (this.#bytesThisTurn === 0) {
          this.#waitForTurn(chunks, i, at)
          return
        }
        const end = Math.min(chunk.length, at + this.#bytesThisTurn)
        const taken = this.#splitter.push(chunk, at, end)
        at += taken
        this.#bytesThisTurn -= taken
        if (taken > 0) this.#flowed()
        if (this.destroyed) return // By a listener, just now.
        if (at < end) {
          this.#waitForRoom(chunks, i, at)
          return
        }
      }
    }
    this.#settle()
  }

  /** Bytes were taken in. */
  #flowed(): void {
    this.#moved()
    if (this.#stalled) this.#stallOrResume('resume')
  }

  #stallOrResume(event: 'stall' | 'resume'): void {
    this.#stalled = event === 'stall'
    const { assetId } = this.#options
    tell('frameio-realtime-upload:stall', () => ({ assetId, stalled: this.#stalled }))
    this.#emit(event)
  }

  // The two below are methods of their own for their closures: in #pour these would make the engine
  // keep what they capture on the heap, for every chunk.

  #waitForTurn(chunks: readonly Buffer[], index: number, offset: number): void {
    this.#transfer.memory.nextTurn(() => {
      this.#bytesThisTurn = Math.min(BYTES_PER_TURN, this.#options.partSize)
      this.#pour(chunks, index, offset)
    })
  }

  /** The memory is full: the write, and so the source, waits. */
  #waitForRoom(chunks: readonly Buffer[], index: number, offset: number): void {
    this.#transfer.memory.whenRoom(() => this.#pour(chunks, index, offset))
    if (!this.#stalled) this.#stallOrResume('stall')
  }

  #settle(error?: Error): void {
    const settle = this.#settleWrite
    this.#settleWrite = undefined
    // What the writer's own callback throws must not be caught here, nor in another upload that has
    // just given its memory back.
    if (settle) process.nextTick(settle, error)
  }

  #tooLarge(tooMany: number): RealtimeUploadError {
    const { maxSize, assetId } = this.#options
    const message = `The stream must have at most maxSize (${maxSize}) bytes; received ${maxSize + tooMany} so far`
    return new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { assetId })
  }

  #checkStreamability(chunk: Buffer): void {
    if (!this.#streamability) return
    const isIndexLast = this.#streamability.push(chunk)
    if (isIndexLast !== undefined) this.#streamability = undefined
    if (!isIndexLast) return
    this.#emit('warning', {
      code: 'NOT_STREAMABLE',
      message:
        'The file has its index (moov) last: it plays once it is whole, and not at all if the recording is cut off. For ffmpeg: -movflags frag_keyframe+empty_moov+default_base_moof',
    })
  }

  #checkSize(size: number): void {
    const { memoryLimit } = this.#transfer
    if (this.#warned || size <= memoryLimit / 2) return
    this.#warned = true
    this.#emit('warning', {
      code: 'PARTS_OUTGROW_MEMORY',
      message: `Parts are now ${size} bytes, more than half of memoryLimit (${memoryLimit}): up to ${2 * size} bytes are held all the same, and PUTs hardly overlap any more`,
    })
  }

  /** Something moved: a progress event is due, unless one is already on its way. */
  #moved(): void {
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = undefined
      this.#emit('progress', this.progress)
    }, PROGRESS_INTERVAL).unref()
  }

  /** A listener that throws ends the upload with what it threw, and nothing else. */
  #emit<E extends keyof EventMap>(event: E, ...args: EventMap[E]): void {
    if (this.destroyed) return
    try {
      this.emit(event, ...args)
    } catch (error) {
      this.destroy(error as Error)
    }
  }
}

/** For what takes an upload as an argument. Not exported from the package. */
export const checkUpload = (upload: unknown): void => {
  if (!(upload instanceof RealtimeUpload)) throw invalid('upload', upload, 'a RealtimeUpload')
  // It would take nothing in, and then tell of its first stream as if that were this one.
  if (upload.writableEnded) throw invalid('upload', upload, 'one that has not ended')
}

type Listener<E extends keyof EventMap> = (...args: EventMap[E]) => void

/** Narrows what Writable takes for its listeners: an editor knows each event and what it carries. */
export interface RealtimeUpload {
  on<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  once<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  off<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  addListener<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  removeListener<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  prependListener<E extends keyof EventMap>(event: E, listener: Listener<E>): this
  prependOnceListener<E extends keyof EventMap>(event: E, listener: Listener<E>): this
}
