/**
 * The stream's contract, and nothing else: bytes in, backpressure, events, and one end.
 */
import { Writable } from 'node:stream'
import { invalid } from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { followSignal } from '../net/signals.ts'
import type { KeptFile, UploadSpool } from '../spool/home.ts'
import { refuseDecoded } from './decoded.ts'
import { tell } from './diagnostics.ts'
import type { EventMap, Progress, UploadResult } from './events.ts'
import { memoryHome } from './home.ts'
import { type Bringer, insides } from './inside.ts'
import { mendKept } from './kept-wav.ts'
import { LateHead } from './late-head.ts'
import {
  type RealtimeUploadOptions,
  type ResolvedUploadOptions,
  resolveUploadOptions,
} from './options.ts'
import { partPlan } from './part-plan.ts'
import { type Callback, Pour } from './pour.ts'
import { PROGRESS_INTERVAL } from './progress.ts'
import { noCounts } from './sender.ts'
import { Splitter } from './splitter.ts'
import {
  hasSpool,
  keptIn,
  notedIn,
  notOpened,
  openingOf,
  refuseOwnHead,
  spoolFor,
} from './spooling.ts'
import { StreamabilityCheck } from './streamable.ts'
import { Transfer, type TransferListener } from './transfer.ts'
import {
  keptIncomplete,
  notKept,
  notStreamable,
  partsOutgrowMemory,
  spoolWarning,
  uploadFailed,
} from './warnings.ts'
import { finishWav } from './wav.ts'

/** With a spool the source is held when memory has been full for so long, in ms: the disk frees it. */
const HELD = 5_000

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
  readonly #spool: UploadSpool | undefined
  readonly #splitter: Splitter
  readonly #lateHead: LateHead | undefined
  readonly #pour: Pour
  /** Brings parts, where none are made here of what is written. */
  #bringer: Bringer | undefined
  #whenOpened: () => void = () => {}
  readonly #unfollow: () => void
  /** Looks at the first bytes, until they have told. */
  #streamability: StreamabilityCheck | undefined
  /** Since when the source has been held, on the monotonic clock; Infinity while it flows. */
  #stalledSince = Number.POSITIVE_INFINITY
  #heldTimer: NodeJS.Timeout | undefined
  #warned = false
  #progressTimer: NodeJS.Timeout | undefined
  /** No more bytes come. */
  #isFinal = false
  /** Why the upload failed, where the spool goes on. */
  #failure: Error | undefined
  #result: UploadResult | undefined

  constructor(options: RealtimeUploadOptions) {
    const resolved = resolveUploadOptions(options)
    const { limits, integrity, lateHead, signal } = resolved
    refuseOwnHead(resolved)
    super({
      highWaterMark: 64 * 2 ** 10,
      ...(hasSpool(resolved) && {
        construct(callback: Callback) {
          ;(this as unknown as RealtimeUpload).#openSpool(callback)
        },
      }),
    })
    refuseDecoded(this)
    this.#options = resolved
    const listener: TransferListener = {
      onStored: ({ number, size }, { attempts }) => {
        this.#emit('part', { number, size, attempts })
        this.#moved()
      },
      onRetry: info => this.#emit('retry', info),
      onFailure: error => this.#uploadFailed(error as Error),
      // With a spool an outage is no failure while there is room for what comes.
      isPatient: () =>
        this.#bringer?.isPatient ??
        (this.#isSpooling && performance.now() - this.#stalledSince < HELD),
    }
    this.#transfer = new Transfer(resolved, listener, noCounts())
    this.#spool = spoolFor(resolved, this.#transfer, (code, cause) => {
      this.#emit('warning', spoolWarning(code, cause))
      if (code === 'SPOOL_FAILED' && this.#failure) this.destroy(this.#failure)
    })
    this.#lateHead =
      lateHead &&
      new LateHead({
        mend: lateHead,
        admit: part => this.#transfer.admit(part),
        onHold: size => this.#transfer.memory.keepPart(size),
        onWarning: warning => this.#emit('warning', warning),
      })
    this.#splitter = new Splitter({
      plan: partPlan(resolved, limits),
      home: this.#spool ?? memoryHome(this.#transfer.memory),
      start: { parts: 0, bytes: 0 },
      onPart: part => (this.#lateHead ? this.#lateHead.take(part) : this.#transfer.admit(part)),
      onSize: size => this.#checkSize(size),
      md5: integrity === 'md5',
    })
    this.#pour = new Pour({
      splitter: this.#splitter,
      memory: this.#transfer.memory,
      partSize: resolved.partSize,
      maxSize: resolved.maxSize,
      tooLarge: tooMany => tooLarge(resolved, tooMany),
      onTaken: () => {
        this.#moved()
        if (this.#stalled) this.#stallOrResume('resume')
      },
      onNoRoom: () => {
        if (!this.#stalled) this.#stallOrResume('stall')
      },
      isOver: () => this.destroyed,
    })
    if (resolved.warnIfNotStreamable) this.#streamability = new StreamabilityCheck()
    insides.set(this, {
      options: resolved,
      transfer: this.#transfer,
      spool: this.#spool,
      opened: new Promise(resolve => {
        this.#whenOpened = resolve
      }),
      bring: bringer => {
        this.#bringer = bringer
      },
      emit: (event, ...args) => this.#emit(event, ...args),
    })
    if (!this.#spool) this.#whenOpened()
    const abort = (reason: unknown) => void this.destroy(new AbortError(reason))
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
    const { bytes } = this.#bringer ?? this.#splitter
    const { bytesSpooled, bytesDurable } = this.#spool ?? {
      bytesSpooled: 0,
      bytesDurable: bytesUploaded,
    }
    return {
      bytesReceived: bytes,
      bytesUploaded,
      bytesBuffered: bytes - bytesUploaded,
      ...counts,
      bytesSpooled,
      bytesDurable,
    }
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#take([chunk], callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    const all = chunks.map(({ chunk }) => chunk)
    this.#take(all, callback)
  }

  override _final(callback: Callback): void {
    this.#end().then(facts => {
      this.#emit('progress', this.progress)
      if (this.destroyed) return // By a listener, just now: that is the end then.
      this.#result = { assetId: this.#options.assetId, ...facts }
      callback()
    }, callback)
  }

  /** Sends what is left; what there is, once all of it is stored. */
  async #end(): Promise<Omit<UploadResult, 'assetId'>> {
    if (!this.#bringer) this.#splitter.end()
    const { bytes, parts } = (await this.#bringer?.end()) ?? this.#splitter
    const { assetId } = this.#options
    if (parts === 0) {
      const message = `The stream ended without a byte, and Frame.io cannot hold an empty file: asset ${assetId} holds nothing`
      throw new RealtimeUploadError('ERR_EMPTY_STREAM', message, { assetId })
    }
    this.#isFinal = true
    const kept = await this.#allStored(parts, bytes)
    await this.#bringer?.confirm()
    return { bytes, parts, ...(kept && { kept }) }
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
    clearTimeout(this.#heldTimer)
    this.#unfollow()
    this.#splitter.discard()
    this.#lateHead?.discard()
    const isDone = this.result !== undefined
    this.#transfer
      .stop(reason)
      .then(() => this.#bringer?.close())
      .then(() => (isDone ? this.#spool?.finish() : this.#spool?.close()))
      // Why the upload ended is what counts, whatever the disk says as it is closed.
      .then(
        () => callback(error),
        failure => callback(error ?? failure),
      )
    this.#pour.settle(reason)
  }

  #openSpool(callback: Callback): void {
    if (!this.#spool) return // The constructor has thrown: there is nothing to open, and no upload.
    const opening = openingOf(this.#options, this.#transfer.client)
    const { folder } = this.#spool
    this.#spool.open(opening).then(
      () => {
        this.#whenOpened()
        callback()
      },
      error => callback(notOpened(folder, error)),
    )
  }

  /** Is what comes safe on the disk, whatever becomes of the upload? */
  get #isSpooling(): boolean {
    return this.#spool !== undefined && !this.#spool.hasFailed && !this.#isFinal
  }

  /** In the middle of a recording the spool goes on: the error comes with its end. */
  #uploadFailed(error: Error): void {
    this.#failure = error
    // Whoever closes the client means the upload as well.
    const isMeant = (error as RealtimeUploadError).code === 'ERR_CLIENT_CLOSED'
    if (isMeant || this.#bringer || !this.#spool?.isDurable || !this.#isSpooling) {
      this.destroy(this.#explained(error))
      return
    }
    this.#emit('warning', uploadFailed(error))
    this.#endIfFull()
  }

  /** An upload that failed stores nothing that would make room: a source that is held is held for ever. */
  #endIfFull(): void {
    clearTimeout(this.#heldTimer)
    const failure = this.#failure
    if (!failure || !this.#stalled || this.destroyed) return
    this.#heldTimer = setTimeout(() => {
      if (this.#spool?.isFull) this.destroy(this.#explained(failure))
      else this.#endIfFull() // The disk is slow, and no more.
    }, HELD)
  }

  async #allStored(parts: number, bytes: number): Promise<KeptFile | undefined> {
    if (!this.#bringer) await this.#spool?.end(parts, bytes)
    await this.#lateHead?.end(bytes)
    await this.#transfer.allStored().catch(error => {
      throw this.#explained(error)
    })
    if (!this.#spool) return undefined
    try {
      const { lateHead, partSize } = this.#options
      const kept = await this.#spool.keep(async kept => {
        if (lateHead === finishWav) await mendKept(kept, bytes, partSize)
      })
      if (kept && kept.missing.length > 0) this.#emit('warning', keptIncomplete(kept))
      return kept
    } catch (error) {
      this.#emit('warning', notKept(this.#spool.folder, error as Error))
      return undefined
    }
  }

  /** With what to do next, where the recording is on the disk. */
  #explained(error: Error): Error {
    const explained = this.#bringer?.explain(error) ?? error
    if (!this.#spool?.isDurable || this.#spool.hasFailed) return explained
    const { folder } = this.#spool
    return this.#bringer ? notedIn(folder, explained) : keptIn(folder, explained)
  }

  #take(chunks: readonly Buffer[], callback: Callback): void {
    for (const chunk of chunks) {
      this.#checkStreamability(chunk)
      this.#lateHead?.look(chunk)
    }
    this.#pour.take(chunks, callback)
  }

  get #stalled(): boolean {
    return this.#stalledSince !== Number.POSITIVE_INFINITY
  }

  #stallOrResume(event: 'stall' | 'resume'): void {
    this.#stalledSince = event === 'stall' ? performance.now() : Number.POSITIVE_INFINITY
    const { assetId } = this.#options
    tell('frameio-realtime-upload:stall', () => ({ assetId, stalled: this.#stalled }))
    this.#emit(event)
    this.#endIfFull()
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

const tooLarge = (
  { maxSize, assetId }: ResolvedUploadOptions,
  tooMany: number,
): RealtimeUploadError => {
  const message = `The stream must have at most maxSize (${maxSize}) bytes; received ${maxSize + tooMany} so far`
  return new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { option: 'maxSize', assetId })
}

/** For what goes on when its upload is over. Not exported from the package. */
export const signalOf = (upload: RealtimeUpload): AbortSignal | undefined =>
  insides.get(upload)?.options.signal

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
