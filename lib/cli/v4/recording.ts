/**
 * One take for V4: records it, and says what became of it.
 */
import { existsSync } from 'node:fs'
import { NO_PROGRESS } from '../../upload/progress.ts'
import type { UploadedFile } from '../../v4/events.ts'
import { type RecordToV4Result, recordToV4 } from '../../v4/record-to-v4.ts'
import type { TakeEvent } from '../../v4/take-events.ts'
import type { Display } from '../display.ts'
import { roomFor } from '../room.ts'
import type { V4Settings } from '../settings.ts'
import { TakeSource } from '../take-source.ts'
import { Pieces } from './pieces.ts'
import type { V4Target } from './target.ts'
import { tell } from './telling.ts'

/** A file, and where it lies if it is in a sandbox. */
export type V4File = UploadedFile & { readonly path: string | undefined }

export interface V4Take extends Omit<RecordToV4Result, 'files'> {
  readonly files: readonly V4File[]
  /** From the first byte to the end. */
  readonly seconds: number
  /** From the end of the source to the last file. */
  readonly secondsAfter: number
  /** Did the source end by itself, or as it was asked to? */
  readonly isWell: boolean
}

export class V4Recording {
  readonly source: TakeSource
  readonly #settings: V4Settings
  readonly #display: Display
  readonly #pieces = new Pieces()
  #progress = NO_PROGRESS
  #hasBegun = false
  /** Of the recording. */
  #folder: string | undefined
  /** When the source had ended. */
  #endedAt: number | undefined

  /**
   * @param onAbort called where there is nothing to end yet, and so nothing that hears of it
   * @throws {UsageError} where the producer's log cannot be written
   */
  constructor(settings: V4Settings, display: Display, onAbort: () => void) {
    this.#settings = settings
    this.#display = display
    const hasEnded = () => this.#endedAt !== undefined
    this.source = new TakeSource(settings, display, { fate: 'uploaded', hasEnded, onAbort })
  }

  get hasBegun(): boolean {
    return this.#hasBegun
  }

  /** Those that Frame.io has. */
  get stored(): readonly UploadedFile[] {
    return this.#pieces.stored
  }

  /** What stays of a take that did not come to its end, in a sentence. @param line that finishes it */
  kept(line: string | undefined): string | undefined {
    const how = line === undefined ? '' : `: ${line} goes on with it`
    const folder = this.#folder
    if (folder !== undefined && existsSync(folder))
      return `The recording is kept in ${folder}${how}.`
    const isBegun = this.source.following && this.#progress.bytesUploaded > 0
    return isBegun && line !== undefined ? `What went up is noted${how}.` : undefined
  }

  run(target: V4Target): Promise<V4Take> {
    return this.source.during(() => this.#take(target))
  }

  async #take({ client, folderId, dir, whenUploaded }: V4Target): Promise<V4Take> {
    const { source } = this
    const { name, segment, spool, upload, wait, sandbox } = this.#settings
    const { maxSize, concurrency, integrity } = upload
    const space = { dir, maxBytes: spool.maxBytes, keepFree: spool.keepFree }
    const start = performance.now()
    const room = source.following ? undefined : roomFor(0, space)
    const describe = this.#pieces.describe.bind(this.#pieces)
    this.#hasBegun = true
    this.#display.show(() => this.#progress, room, describe)
    source.following?.begin(() => this.#endedAt !== undefined)
    const { files, ...result } = await recordToV4(source.source, {
      ...source.options,
      client,
      folderId,
      name,
      segment,
      maxSize,
      concurrency,
      integrity,
      spool: { ...space, keep: spool.keep },
      signal: source.signal,
      onProgress: progress => {
        this.#progress = progress
      },
      onEvent: event => this.#heard(event),
    })
    await source.release()
    const now = performance.now()
    const isWaiting = wait || sandbox !== undefined
    const placed: V4File[] = []
    for (const file of files) {
      const path = isWaiting ? await whenUploaded(file.fileId, source.signal) : undefined
      placed.push({ ...file, path })
    }
    const isWell = source.isWell(result.source)
    if (!isWell) source.tellOfFailure(result.source)
    const seconds = secondsSince(start, now)
    const secondsAfter = secondsSince(this.#endedAt ?? now, now)
    return { ...result, files: placed, seconds, secondsAfter, isWell }
  }

  #heard(event: TakeEvent): void {
    if (event.type === 'begin') this.#folder = event.folder
    if (event.type === 'end') this.#endedAt = performance.now()
    // The command says in its own words what its source left unfinished.
    if (event.type === 'warning' && event.code === 'SOURCE_UNFINISHED') return
    this.#pieces.take(event)
    tell(event, this.#display, this.source.following !== undefined)
  }
}

const secondsSince = (start: number, now: number): number =>
  Number(((now - start) / 1_000).toFixed(3))
