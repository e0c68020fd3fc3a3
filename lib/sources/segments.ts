/**
 * A recording as many assets: the stream is cut where its container allows, and each segment is a
 * real-time asset of its own, that plays by itself.
 *
 *   write ──► cutter ──► A001_001.mp4  is stored: `segment`
 *                        A001_002.mp4  ends: its last parts are on their way
 *                        A001_003.mp4  is filled
 *
 * What holds: no asset without a byte; `finish` only when every segment is whole; the first failure ends
 * all, and says which segments are stored. The source is held while an asset is created: so nothing is
 * cut while the network is in trouble or many segments are ending, and the segment becomes longer.
 */
import { Writable } from 'node:stream'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import type { FrameioClient } from '../frameio/client.ts'
import { followSignal } from '../net/signals.ts'
import { type Cutter, cutterFor, type Piece } from '../segments/cutter.ts'
import { segmentName } from '../segments/segment-name.ts'
import { refuseDecoded } from '../upload/decoded.ts'
import type { EventMap, Progress } from '../upload/events.ts'
import { NO_PROGRESS, sumOf } from '../upload/progress.ts'
import { RealtimeUpload } from '../upload/realtime-upload.ts'
import { uploadFailed } from '../upload/warnings.ts'
import { type ResolvedSegments, resolveSegments, type SegmentsOptions } from './segments-options.ts'
import { withStored } from './segments-stored.ts'
import { whenUploaded } from './uploaded.ts'

/** Segments that end at once, at most: each may hold two parts beyond `memoryLimit`. */
const MOST_ENDING = 4

/** What stands at Frame.io of one segment. */
export interface Segment {
  readonly assetId: string
  readonly name: string
  readonly bytes: number
  readonly parts: number
}

/** What stands at Frame.io once `finish` was emitted. */
export interface SegmentsResult {
  readonly segments: readonly Segment[]
  /** Of all segments: each has a head of its own, so they are more than were written. */
  readonly bytes: number
}

/** What `segments` tells beside a `Writable`'s own. */
export interface SegmentsEvents
  extends Pick<EventMap, 'warning' | 'finish' | 'error' | 'close' | 'drain' | 'pipe' | 'unpipe'> {
  /** Where all segments together stand: at most ten times a second for each that is under way. */
  progress: [progress: Progress]
  /** Frame.io has every byte of this one. Counted from 1. */
  segment: [segment: Omit<Segment, 'parts'> & { readonly number: number }]
}

/**
 * A `Writable` that cuts a recording (MP4 or MOV in fragments, MPEG-TS) and makes each segment a
 * real-time asset, created once its first byte is there and uploaded while the next is recorded. What
 * cannot be cut becomes one asset, with the `warning` `NOT_CUTTABLE`. When `finish` fires, Frame.io has
 * every byte of every segment.
 *
 * @example
 * const film = segments(client, { segment: '5m', name: 'A001.mp4', filetype: 'video/mp4', parentId })
 * film.on('segment', ({ name, assetId }) => console.log(name, assetId))
 * await pipeline(ffmpeg.stdout, film)
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` at once; as the stream's `error` what an upload or
 *   the creation of an asset fails with. Segments that are stored stay, and its message names them.
 */
export const segments = (client: FrameioClient, options: SegmentsOptions): Segments =>
  new SegmentsStream(resolveSegments(client, options))

/** One that is under way. */
interface Running {
  readonly number: number
  readonly name: string
  readonly upload: RealtimeUpload
  /** Rejects with the upload's error. */
  readonly over: Promise<void>
}

class SegmentsStream extends Writable {
  readonly #options: ResolvedSegments
  readonly #cutter: Cutter
  readonly #ending = new AbortController()
  readonly #unfollow: () => void
  #count = 0
  /** The one that is filled. */
  #current: Running | undefined
  readonly #running = new Set<Running>()
  readonly #stored: Segment[] = []
  /** Of the segments that are stored. */
  #past = NO_PROGRESS
  /** An attempt failed, and nothing was stored since. */
  #isInTrouble = false
  /** The present segment fails at its end, and is filled until then. */
  #isLast = false
  /** Why a segment failed, where what is recorded goes on into the spool. */
  #failure: Error | undefined

  constructor(options: ResolvedSegments) {
    super({ highWaterMark: 64 * 2 ** 10 })
    refuseDecoded(this)
    this.#options = options
    const { segment, resolved } = options
    this.#cutter = cutterFor({
      segment,
      maxSize: resolved.maxSize,
      mayCut: () => this.#mayCut,
      onWarning: warning => this.#tell('warning', warning),
    })
    const abort = (reason: unknown) => void this.destroy(new AbortError(reason))
    this.#unfollow = resolved.signal ? followSignal(resolved.signal, abort) : () => {}
    if (resolved.signal?.aborted) abort(resolved.signal.reason)
  }

  /** What stands at Frame.io; undefined before `finish`. */
  get result(): SegmentsResult | undefined {
    if (!this.writableFinished) return undefined
    const segments = [...this.#stored]
    return { segments, bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0) }
  }

  /** A snapshot of where all segments together stand. */
  get progress(): Progress {
    return sumOf([this.#past, ...[...this.#running].map(({ upload }) => upload.progress)])
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#take(this.#cutter.push(chunk)).then(() => callback(), callback)
  }

  override _final(callback: Callback): void {
    this.#end().then(() => callback(), callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    const reason = error ?? new AbortError('destroyed')
    this.#unfollow()
    this.#ending.abort(reason)
    for (const { upload } of this.#running) upload.destroy(reason)
    Promise.allSettled(this.#overs).then(() => callback(error))
  }

  get #overs(): Promise<void>[] {
    return [...this.#running].map(({ over }) => over)
  }

  get #mayCut(): boolean {
    // One of those that are running is still filled.
    const mayOpen = this.#running.size <= MOST_ENDING && !this.#isInTrouble
    return mayOpen && !this.#isLast && !this.#failure
  }

  async #take(pieces: readonly Piece[]): Promise<void> {
    let chunks: Uint8Array[] = []
    for (const piece of pieces) {
      if (piece.t === 'bytes') chunks.push(piece.chunk)
      else {
        await this.#fill(chunks)
        chunks = []
        this.#current?.upload.end()
        this.#current = undefined
      }
    }
    await this.#fill(chunks)
  }

  /** Into the present segment; resolves once it takes more. */
  async #fill(chunks: readonly Uint8Array[]): Promise<void> {
    if (chunks.length === 0) return
    this.#current ??= await this.#open()
    const { upload, over } = this.#current
    upload.cork()
    const written = chunks.map(chunk => new Promise(resolve => upload.write(chunk, resolve)))
    upload.uncork()
    await Promise.all(written)
    if (!upload.destroyed) return
    await over.catch(error => {
      throw this.#explained(error)
    })
  }

  async #open(): Promise<Running> {
    const { client, creation, name: whole, upload: options, keepsByName } = this.#options
    // Of one large chunk many segments may have come.
    while (this.#running.size > MOST_ENDING) await Promise.race(this.#overs)
    const number = ++this.#count
    const name = segmentName(whole, number)
    const { signal } = this.#ending
    const asset = await client
      .createRealtimeAsset({ ...creation, name, signal })
      .catch((error: Error) => {
        throw this.#explained(error)
      })
    // What has been destroyed meanwhile would begin an upload that nobody ends.
    if (this.destroyed) throw this.#ending.signal.reason
    const assetName = keepsByName ? name : undefined
    const upload = new RealtimeUpload({ ...options, assetId: asset.id, assetName })
    const running = { number, name, upload, over: whenUploaded(upload) }
    this.#running.add(running)
    this.#follow(running)
    return running
  }

  #follow(running: Running): void {
    const { upload, over } = running
    upload.on('progress', () => this.#tell('progress', this.progress))
    upload.on('warning', warning => {
      if (warning.code === 'UPLOAD_FAILED') this.#isLast = true
      this.#tell('warning', warning)
    })
    upload.on('retry', () => {
      this.#isInTrouble = true
    })
    upload.on('part', () => {
      this.#isInTrouble = false
    })
    over.then(
      () => this.#isStored(running),
      error => this.#hasFailed(running, error),
    )
  }

  #isStored(running: Running): void {
    const { upload, number, name } = running
    const result = upload.result
    if (!result) return
    this.#past = sumOf([this.#past, upload.progress])
    this.#running.delete(running)
    const { assetId, bytes, parts } = result
    this.#stored[number - 1] = { assetId, name, bytes, parts }
    this.#tell('segment', { number, name, assetId, bytes })
  }

  #hasFailed(running: Running, error: Error): void {
    this.#running.delete(running)
    if (this.destroyed) return
    const explained = this.#explained(error)
    const isKept = this.#options.isDurable && running !== this.#current
    if (!isKept) {
      this.destroy(explained)
      return
    }
    this.#failure ??= explained
    if (!this.writableEnded) this.#tell('warning', uploadFailed(explained))
  }

  async #end(): Promise<void> {
    await this.#take(this.#cutter.end())
    if (this.#count === 0) {
      const message = 'The stream ended without a byte: no asset was created'
      throw new RealtimeUploadError('ERR_EMPTY_STREAM', message)
    }
    this.#current?.upload.end()
    this.#current = undefined
    await Promise.allSettled(this.#overs)
    if (this.#failure) throw this.#failure
  }

  #explained(error: Error): Error {
    return withStored(error, this.#stored)
  }

  /** A listener that throws ends all with what it threw, and nothing else. */
  #tell<E extends keyof SegmentsEvents>(event: E, ...args: SegmentsEvents[E]): void {
    if (this.destroyed) return
    try {
      this.emit(event, ...args)
    } catch (error) {
      this.destroy(error as Error)
    }
  }
}

type Callback = (error?: Error | null) => void
type Listener<E extends keyof SegmentsEvents> = (...args: SegmentsEvents[E]) => void

/** What `segments` gives: an editor knows each event and what it carries. */
export interface Segments extends Writable {
  /** What stands at Frame.io; undefined before `finish`. */
  readonly result: SegmentsResult | undefined
  /** A snapshot of where all segments together stand. */
  readonly progress: Progress
  on<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  once<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  off<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  addListener<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  removeListener<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  prependListener<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
  prependOnceListener<E extends keyof SegmentsEvents>(event: E, listener: Listener<E>): this
}
