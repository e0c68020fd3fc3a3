/**
 * One take: lets the source flow, and says what became of it.
 */
import type { RealtimeUploadError } from '../errors.ts'
import { DEFAULTS } from '../frameio/options.ts'
import { type UploadFromResult, uploadFrom } from '../sources/upload-from.ts'
import { RealtimeUpload } from '../upload/realtime-upload.ts'
import type { Display } from './display.ts'
import { roomFor } from './room.ts'
import type { Settings } from './settings.ts'
import { resumeLine } from './shell-word.ts'
import { TakeSource } from './take-source.ts'
import type { Target } from './target.ts'

/** What a take came to. */
export interface Take extends UploadFromResult {
  /** From the first byte to the end, in seconds. */
  readonly seconds: number
  /** Of the file, where it is in a sandbox. */
  readonly path: string | undefined
  /** Did the source end by itself, or as it was asked to? */
  readonly isWell: boolean
}

export class Recording {
  readonly source: TakeSource
  readonly #settings: Settings
  readonly #display: Display
  #target: Target | undefined
  #upload: RealtimeUpload | undefined

  /**
   * @param onAbort called where there is nothing to end yet, and so nothing that hears of it
   * @throws {UsageError} where the producer's log cannot be written
   */
  constructor(settings: Settings, display: Display, onAbort: () => void) {
    this.#settings = settings
    this.#display = display
    const hasEnded = () => this.#upload?.writableEnded ?? false
    this.source = new TakeSource(settings, display, { fate: 'finalised', hasEnded, onAbort })
  }

  get hasBegun(): boolean {
    return this.#upload !== undefined
  }

  /** Is it certain that nothing was registered, for not even one part was begun to be? */
  get isEmpty(): boolean {
    return (this.#upload?.progress.partsFilled ?? 0) === 0 && this.#kept === undefined
  }

  /** What is there of a take that failed, in a sentence. @param error why it failed */
  left(error: unknown): string | undefined {
    const left = this.#target?.left(this.#upload?.result !== undefined)
    // Of a file that is shorter than what went up of it nothing can be finished.
    const isLost = (error as Partial<RealtimeUploadError>).code === 'ERR_SOURCE_TRUNCATED'
    return [left, isLost ? undefined : this.#kept].filter(Boolean).join(' ') || undefined
  }

  /** What is on the disk of a take that is not stored, and how to go on with it. */
  get #kept(): string | undefined {
    const { spool } = this.#settings.upload
    const { result, progress } = this.#upload ?? {}
    if (!spool?.durable || result || !progress) return undefined
    const { following } = this.source
    const line = resumeLine(spool.dir, this.#settings)
    if (following) {
      return progress.bytesReceived > 0 ? following.resumable(spool.dir, line) : undefined
    }
    if (progress.bytesDurable <= progress.bytesUploaded) return undefined
    return `What came is kept in ${spool.dir}: ${line} finishes it.`
  }

  async run(target: Target): Promise<Take> {
    this.#target = target
    return this.source.during(() => this.#take(target))
  }

  async #take(target: Target): Promise<Take> {
    const { source } = this
    const { memoryLimit = DEFAULTS.memoryLimit, spool } = this.#settings.upload
    const upload = this.#open(target)
    const start = performance.now()
    this.#display.watch(upload, source.following ? undefined : roomFor(memoryLimit, spool))
    source.following?.begin(() => upload.writableEnded)
    const result = await uploadFrom(source.source, upload, source.options)
    await source.release()
    const { wait, sandbox } = this.#settings
    const isWaiting = wait || sandbox !== undefined
    const path = isWaiting ? await target.whenUploaded(source.signal) : undefined
    const seconds = Number(((performance.now() - start) / 1_000).toFixed(3))
    const isWell = source.isWell(result.source)
    if (!isWell) source.tellOfFailure(result.source)
    return { ...result, seconds, path, isWell }
  }

  #open({ client, assetId }: Target): RealtimeUpload {
    const { upload, filetype, name, asset, extension } = this.#settings
    const { partSize, maxSize, expectedSize, concurrency, integrity, lateHead, spool } = upload
    const isNamedLast = asset !== undefined || extension !== undefined
    this.#upload = new RealtimeUpload({
      client,
      assetId,
      filetype,
      partSize,
      maxSize,
      expectedSize,
      concurrency,
      integrity,
      lateHead,
      spool,
      assetName: isNamedLast ? name : undefined,
      warnIfNotStreamable: true,
      signal: this.source.signal,
    })
    return this.#upload
  }
}
