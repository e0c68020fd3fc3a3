/**
 * The stream's contract, and nothing else: bytes in, backpressure, events, and one end.
 */
import { Writable } from 'node:stream'
import { invalid } from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { followSignal } from '../net/signals.ts'
import { refuseDecoded } from './decoded.ts'
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
import { notStreamable, partsOutgrowMemory } from './warnings.ts'

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
  /** Its chunks, and how far they were taken in. */
  #chunks: readonly Buffer[] = []
  #index = 0
  #offset = 0
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
    refuseDecoded(this)
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
    if (signal) signals.set(this, signal)
    this.#unfollow = signal ? followSignal(signal, abort) : () => {}
    if (signal?.aborted) abort(signal.reason)
  }

  /** What stands at Frame.io; undefined before `finish`. */
  get result(): UploadResult | undefined {
    // Between the last answer and `finish` it can still be destroyed.
    return this.writableFinished ? this.#result : undefined
  }

  /** A snapshot of where the upload stands. */
  get progress(): Progress {
    const { bytesUploaded, ...counts } = this.#transfer.counts
    const { bytes } = this.#splitter
    return { bytesReceived: bytes, bytesUploaded, bytesBuffered: bytes - bytesUploaded, ...counts }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#take([chunk], callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    const all = chunks.map(({ chunk }) => chunk)
    this.#take(all, callback)
  }

  override _final(callback: Callback): void {
    this.#splitter.end()
    const { bytes, parts } = this.#splitter
    const { assetId } = this.#options
    if (parts === 0) {
      const message = `The stream ended without a byte, and Frame.io cannot hold an empty file: asset ${assetId} holds nothing`
      callback(new RealtimeUploadError('ERR_EMPTY_STREAM', message, { assetId }))
      return
    }
    this.#transfer.allStored().then(() => {
      this.#emit('progress', this.progress)
      if (this.destroyed) return // By a listener, just now: that is the end then.
      this.#result = { assetId, bytes, parts }
      callback()
    }, callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const reason = error ?? new AbortError('destroyed')
    tell('frameio-realtime-upload:done', () => ({
      assetId: this.#options.assetId,
      bytes: this.#transfer.counts.bytesUploaded,
      parts: this.#transfer.counts.partsUploaded,
      error: this.result ? undefined : reason,
    }))
    clearTimeout(this.#progressTimer)
    this.#unfollow()
    this.#splitter.discard()
    this.#transfer.stop(reason).then(() => callback(error), callback)
    this.#settle(reason)
  }

  #take(chunks: readonly Buffer[], callback: Callback): void {
    this.#settleWrite = callback
    for (const chunk of chunks) this.#checkStreamability(chunk)
    this.#chunks = chunks
    this.#index = 0
    this.#offset = 0
    this.#pour()
  }

  /** Takes in what is left of the write; goes on later where it must wait. */
  readonly #pour = (): void => {
    while (!this.destroyed) {
      const chunk = this.#chunks[this.#index]
      if (!chunk) {
        this.#settle()
        break
      }
      const left = chunk.length - this.#offset
      if (left === 0) {
        this.#index++
        this.#offset = 0
        continue
      }
      const tooMany = this.#splitter.bytes + left - this.#options.maxSize
      if (tooMany > 0) {
        this.#settle(this.#tooLarge(tooMany))
        break
      }
      // Without turns a source that is always ready would starve the sockets, and other uploads.
      if (this.#bytesThisTurn === 0) {
        this.#transfer.memory.nextTurn(this.#takeTurn)
        break
      }
      const wanted = Math.min(left, this.#bytesThisTurn)
      const taken = this.#splitter.push(chunk, this.#offset, this.#offset + wanted)
      this.#offset += taken
      this.#bytesThisTurn -= taken
      if (taken > 0) this.#flowed()
      if (taken < wanted) {
        this.#waitForRoom()
        break
      }
    }
  }

  readonly #takeTurn = (): void => {
    this.#bytesThisTurn = Math.min(BYTES_PER_TURN, this.#options.partSize)
    this.#pour()
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

  /** The memory is full: the write, and so the source, waits. */
  #waitForRoom(): void {
    if (this.destroyed) return // By a listener, just now.
    this.#transfer.memory.whenRoom(this.#pour)
    if (!this.#stalled) this.#stallOrResume('stall')
  }

  #settle(error?: Error): void {
    const settle = this.#settleWrite
    this.#settleWrite = undefined
    this.#chunks = []
    // What the writer's own callback throws must not be caught here, nor in another upload that has
    // just given its memory back.
    if (settle) process.nextTick(settle, error)
  }

  #tooLarge(tooMany: number): RealtimeUploadError {
    const { maxSize, assetId } = this.#options
    const message = `The stream must have at most maxSize (${maxSize}) bytes; received ${maxSize + tooMany} so far`
    return new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { option: 'maxSize', assetId })
  }

  #checkStreamability(chunk: Buffer): void {
    if (!this.#streamability) return
    const isIndexLast = this.#streamability.push(chunk)
    if (isIndexLast !== undefined) this.#streamability = undefined
    if (!isIndexLast) return
    this.#emit('warning', notStreamable())
  }

  #checkSize(size: number): void {
    const { memoryLimit } = this.#transfer
    if (this.#warned || size <= memoryLimit / 2) return
    this.#warned = true
    this.#emit('warning', partsOutgrowMemory(size, memoryLimit))
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

const signals = new WeakMap<RealtimeUpload, AbortSignal>()

/** For what goes on when its upload is over. Not exported from the package. */
export const signalOf = (upload: RealtimeUpload): AbortSignal | undefined => signals.get(upload)

/** For what takes an upload as an argument. Not exported from the package. */
export const checkUpload = (upload: unknown): void => {
  if (!(upload instanceof RealtimeUpload)) throw invalid('upload', upload, 'a RealtimeUpload')
  // It would take nothing in, and then tell of its first stream as if that were this one. An upload
  // that failed tells its own error.
  const hasFailed = upload.destroyed && upload.result === undefined
  if (upload.writableEnded && !hasFailed) throw invalid('upload', upload, 'one that has not ended')
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
