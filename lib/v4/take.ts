/**
 * A recording to an account without Camera to Cloud. V4 must know the size of a file before its first byte, so what
 * comes is recorded on the disk, and each piece goes up the moment it is whole.
 *
 *     source ──► cutter ──► piece-files ──► A001_001.mp4 ──► piece-uploads ──► Frame.io, and the file goes
 *     (take-stream.ts)      on the disk     A001_002.mp4     one at a time
 *                  ▲                        A001_003.mp4.partial
 *                  └── held by take-room alone, where the disk takes no more
 *
 * What holds always:
 *   1. The network never holds the source, and never ends the recording: while it goes on an outage is waited for
 *      without end, and a refusal is told of as a warning, and as the error at the end.
 *   2. `end` resolves only when S3 has answered for every slice of every piece.
 *   3. Nothing is removed that is not stored, whatever fails: `resumeV4` goes on with what is there.
 *   4. When a take is over nothing is in flight, no timer runs, and its folder is no longer locked.
 *
 * Read take-journal.ts and take-folder.ts next, then piece-files.ts and piece-uploads.ts; take-recover.ts is the way
 * back.
 */
import { RealtimeUploadError } from '../errors.ts'
import { v4Of } from '../frameio/v4/client.ts'
import type { Lock } from '../lock.ts'
import { followSignal } from '../net/signals.ts'
import { segmentName } from '../segments/segment-name.ts'
import { type Disk, realDisk } from '../spool/disk.ts'
import type { Journal } from '../spool/journal.ts'
import type { Progress } from '../upload/events.ts'
import { PROGRESS_INTERVAL } from '../upload/progress.ts'
import { uploadFailed } from '../upload/warnings.ts'
import type { UploadedFile } from './events.ts'
import { explained } from './file-upload.ts'
import { PieceFiles } from './piece-files.ts'
import { PieceUploads } from './piece-uploads.ts'
import type { TakeEvent, TakeWarning } from './take-events.ts'
import { fileOf, removeTake } from './take-folder.ts'
import type { TakeEntry } from './take-journal.ts'
import { type OpenedTake, openTake } from './take-open.ts'
import type { ResolvedTakeOptions } from './take-options.ts'
import { Room } from './take-room.ts'
import { thrown } from './teller.ts'

/** Bytes of the recording for each word on them in the journal. */
const MARK_EVERY = 2 ** 20

/** Everything that Frame.io has of a recording. */
export interface TakeResult {
  /** In order. */
  readonly files: readonly UploadedFile[]
  /** Of all files: each has a head of its own, so they may be more than were recorded. */
  readonly bytes: number
  /** The folder that the files stay in, with `spool.keep`. */
  readonly kept: string | undefined
}

export interface TakeHooks {
  /** Whether the pieces are numbered. */
  readonly isCut: () => boolean
  /** What a callback threw, or the disk, between two calls. */
  readonly onFailure: (error: Error) => void
}

export class Take {
  readonly folder: string
  readonly #options: ResolvedTakeOptions
  readonly #hooks: TakeHooks
  readonly #disk: Disk = realDisk
  readonly #lock: Lock
  readonly #journal: Journal<TakeEntry>
  readonly #files: PieceFiles
  readonly #uploads: PieceUploads
  readonly #room: Room
  readonly #ending = new AbortController()
  readonly #unfollow: () => void
  readonly #names: string[] = []
  #isRecording = true
  #isHeld = false
  #isRemoved = false
  #timer: NodeJS.Timeout | undefined

  /** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where `spool.dir` is of no use, `ERR_CLIENT_CLOSED` */
  static async begin(options: ResolvedTakeOptions, hooks: TakeHooks): Promise<Take> {
    // Else it would be recorded, only to fail at its end.
    v4Of(options.client).api.closing.throwIfAborted()
    return new Take(await openTake(options), options, hooks)
  }

  private constructor(opened: OpenedTake, options: ResolvedTakeOptions, hooks: TakeHooks) {
    const { folder, journal } = opened
    const { client, opening, settings, maxBytes, keepFree, syncEvery, maxSize } = options
    const disk = this.#disk
    this.folder = folder
    this.#lock = opened.lock
    this.#journal = journal
    this.#options = options
    this.#hooks = hooks
    const { signal } = this.#ending
    const { closing } = v4Of(client).api
    this.#unfollow = followSignal(closing, reason => hooks.onFailure(reason as Error))
    this.#uploads = new PieceUploads({
      client,
      disk,
      journal,
      opening,
      settings: { ...settings, signal },
      isPatient: () => this.#isRecording && !this.#isHeld,
      onEvent: event => this.#emit(event),
      onFreed: bytes => this.#room.freed(bytes),
      onMove: () => this.#moved(),
      onFailure: failure => this.#notUploaded(failure),
    })
    this.#room = new Room({
      disk,
      folder,
      maxBytes,
      keepFree,
      signal,
      isEmptying: () => this.#uploads.isBusy,
      failure: () => this.#uploads.failure,
      onFull: cause => this.warn({ code: 'SPOOL_FULL', message: full(cause, folder) }),
      onHold: isHeld => {
        this.#isHeld = isHeld
        this.#emit({ type: isHeld ? 'stall' : 'resume' })
      },
    })
    this.#files = new PieceFiles({
      disk,
      folder,
      journal,
      room: this.#room,
      syncEvery,
      markEvery: MARK_EVERY,
      maxSize,
      namesOf: n => namesOf(opening.name, hooks.isCut() ? n : undefined),
      onPiece: piece => {
        this.#names.push(piece.file)
        const { n: number, name, size: bytes } = piece
        this.#emit({ type: 'piece', number, name, bytes })
        this.#uploads.add(piece)
      },
      onMove: () => this.#moved(),
      onFailure: error => hooks.onFailure(error),
    })
    this.#emit({ type: 'begin', folder })
  }

  /** A snapshot. `bytesReceived` counts what the pieces have. */
  get progress(): Progress {
    const { written, durable } = this.#files.bytes
    const { bytesUploaded, ...counts } = this.#uploads.progress
    return {
      ...counts,
      bytesReceived: written,
      bytesUploaded,
      bytesBuffered: written - bytesUploaded,
      bytesSpooled: written - bytesUploaded,
      bytesDurable: durable,
    }
  }

  warn(warning: TakeWarning): void {
    this.#emit({ type: 'warning', name: undefined, ...warning })
  }

  /** Resolves once it is written; waits while the disk is full. */
  append(chunks: readonly Uint8Array[]): Promise<void> {
    return this.#files.append(chunks)
  }

  /** What comes next is another piece. */
  cut(): Promise<void> {
    return this.#files.cut()
  }

  /** No more comes: resolves once Frame.io has all of it. */
  async end(): Promise<TakeResult> {
    if (this.#files.count === 0) {
      await this.#remove()
      const message = 'The stream ended without a byte: no file was created'
      throw new RealtimeUploadError('ERR_EMPTY_STREAM', message)
    }
    await this.#files.cut()
    this.#journal.add({ t: 'end', pieces: this.#files.count })
    await this.#journal.sync()
    this.#isRecording = false
    this.#emit({ type: 'end' })
    const files = await this.#uploads.end()
    await this.#remove().catch(error => this.warn(notRemoved(this.folder, error)))
    this.#tell(() => this.#options.settings.onProgress(this.progress))
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
    return { files, bytes, kept: this.#options.opening.keep && this.folder }
  }

  /** It is over: ends all that is under way, and every wait. */
  stop(reason: Error): void {
    this.#unfollow()
    clearTimeout(this.#timer)
    this.#ending.abort(reason)
  }

  /** After `stop`, once no call is under way any more: what is not stored stays. */
  async close(): Promise<void> {
    try {
      await this.#uploads.settled()
      await this.#files.close()
      if (this.#files.count === 0) await this.#remove()
    } finally {
      await this.#journal.close().catch(() => {}) // All that was promised of it is durable already.
      await this.#lock.release()
    }
  }

  /** As it fails: where something lies on the disk, what goes on with it is said as well. */
  explain(error: Error): Error {
    // A callback may throw whatever it likes.
    if (!(error instanceof Error) || error.message.includes(this.folder)) return error
    if (this.#files.count === 0) return error
    return explained(error, `The recording is kept in ${this.folder}: resumeV4 goes on with it`)
  }

  async #remove(): Promise<void> {
    if (this.#isRemoved) return
    this.#isRemoved = true
    const { opening } = this.#options
    const keep = opening.keep ?? false
    await this.#journal.close()
    const [disk, folder] = [this.#disk, this.folder]
    await removeTake({ disk, folder, lock: this.#lock, files: this.#names, keep })
  }

  #notUploaded({ error, isKnown }: { readonly error: Error; readonly isKnown: boolean }): void {
    this.#room.lookAgain()
    // Else the error comes with the end, or has come already.
    if (this.#isRecording && !isKnown && !this.#ending.signal.aborted) {
      this.warn({ code: 'UPLOAD_FAILED', message: uploadFailed(error).message })
    }
  }

  #moved(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#tell(() => this.#options.settings.onProgress(this.progress))
    }, PROGRESS_INTERVAL).unref()
  }

  #emit(event: TakeEvent): void {
    this.#tell(() => this.#options.onEvent(event))
  }

  /** A callback that throws, or whose promise rejects, ends the recording with that. */
  #tell(call: () => unknown): void {
    if (this.#ending.signal.aborted) return
    const fail = (error: unknown) => this.#hooks.onFailure(thrown(error) as Error)
    try {
      void Promise.resolve(call()).catch(fail)
    } catch (error) {
      fail(error)
    }
  }
}

const namesOf = (name: string, n: number | undefined) => ({
  name: n === undefined ? name : segmentName(name, n),
  file: fileOf(name, n),
})

const full = (cause: string, folder: string): string =>
  `The disk of ${folder} takes no more (${cause}): the source is held until it does`

const notRemoved = (folder: string, { message }: Error): TakeWarning => ({
  code: 'SPOOL_FAILED',
  message: `${folder} could not be removed: ${message}. Frame.io has all of it, and resumeV4 tidies up`,
})
