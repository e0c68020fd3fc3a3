/**
 * The pieces of a take on their way to Frame.io, one after the other, while the next is recorded.
 *
 * What holds always:
 *   1. A piece is uploaded once its name is durable, by a record of its own: what is stored of it is not sent twice.
 *   2. `stored` is durable before the record goes, and before the piece does: whoever goes on creates no second file.
 *   3. The first that is refused for good ends the uploads, and not the recording. Where the refusal is of a token or
 *      a right, it is tried again with each piece that comes: another token may be there by then.
 *   4. A piece that somebody has touched while it waited is read before it is uploaded: with other bytes than were
 *      recorded it is refused, as by who resumes, and stays.
 */
import { RealtimeUploadError } from '../errors.ts'
import type { FrameioV4Client } from '../frameio/v4/client.ts'
import type { Disk } from '../spool/disk.ts'
import type { Journal } from '../spool/journal.ts'
import type { FileFacts } from '../spool/ledger.ts'
import type { Progress } from '../upload/events.ts'
import { NO_PROGRESS, sumOf } from '../upload/progress.ts'
import type { UploadedFile } from './events.ts'
import { FileUpload } from './file-upload.ts'
import { confirmBytes, isUntouched, lookAt, lost } from './intact.ts'
import type { ResolvedFileSettings } from './options.ts'
import type { Piece } from './piece-files.ts'
import { asSpoolError, Record } from './record.ts'
import type { TakeEvent } from './take-events.ts'
import { recordOf } from './take-folder.ts'
import type { TakeEntry, TakeOpening } from './take-journal.ts'

/** What the upload of a piece needs beside the piece. */
export interface PieceUploadOptions {
  readonly client: FrameioV4Client
  readonly disk: Disk
  readonly journal: Journal<TakeEntry>
  readonly opening: TakeOpening
  readonly settings: Omit<ResolvedFileSettings, 'onEvent'>
  readonly onEvent: (event: TakeEvent) => void
  /** Whether an outage is no failure now. */
  readonly isPatient: () => boolean
  /** Told of the piece's file as it was opened: throws where it is not what was recorded. */
  readonly onOpen?: (facts: FileFacts) => Promise<void>
}

/**
 * @throws {RealtimeUploadError} as `uploadFile` does; `ERR_SPOOL_DAMAGED` and `ERR_SPOOL_INCOMPLETE` where the piece is
 *   not what was recorded; an `AbortError` when the signal aborts
 */
export const uploadPiece = async (
  piece: Piece,
  { client, disk, journal, opening, settings, onEvent, isPatient, onOpen }: PieceUploadOptions,
): Promise<UploadedFile> => {
  const { n, name, path, size } = piece
  const there = await disk.size(path).catch(error => Promise.reject(asSpoolError(path, error)))
  if (there !== size) throw lost(path, size, there)
  const file = await new FileUpload({
    client,
    target: { folderId: opening.folderId, path, name },
    settings: { ...settings, onEvent: event => onEvent({ ...event, name }) },
    openRecord: () => Record.open(recordOf(path)),
    // Whoever copied a spool to another disk has other files of the same bytes.
    takesOther: true,
    ...(onOpen && { onOpen }),
    isPatient,
    onStored: stored => noteStored(journal, path, n, stored),
    isToldByOthers: true,
  }).run()
  if (!opening.keep)
    await disk.remove(path).catch(error => Promise.reject(asSpoolError(path, error)))
  return file
}

const noteStored = async (
  journal: Journal<TakeEntry>,
  path: string,
  n: number,
  file: UploadedFile,
): Promise<void> => {
  journal.add({ t: 'stored', n, ...file })
  await journal.sync().catch(error => {
    throw asSpoolError(path, error)
  })
}

export interface PieceUploadsOptions extends Omit<PieceUploadOptions, 'onOpen'> {
  /** Of a piece the disk is rid, or it stays there for good. */
  readonly onFreed: (bytes: number) => void
  /** One was refused for good; `isKnown`: as the last time, and none was stored since. */
  readonly onFailure: (failure: { readonly error: Error; readonly isKnown: boolean }) => void
  readonly onMove: () => void
}

/** A piece, and its file as it was when it was closed. */
interface Waiting {
  readonly piece: Piece
  readonly closed: Promise<FileFacts | undefined>
}

export class PieceUploads {
  readonly #options: PieceUploadsOptions
  readonly #waiting: Waiting[] = []
  readonly #stored: UploadedFile[] = []
  #running: Promise<void> | undefined
  #failure: Error | undefined
  /** The code of the last failure, while no piece was stored since. */
  #known: unknown
  /** Of the pieces that are stored, and of the one on its way. */
  #past = NO_PROGRESS
  #present = NO_PROGRESS

  constructor(options: PieceUploadsOptions) {
    this.#options = options
  }

  add(piece: Piece): void {
    this.#waiting.push({ piece, closed: lookAt(piece.path) })
    if (isOfRights(this.#failure)) this.#failure = undefined
    if (!this.#failure) this.#running ??= this.#run()
  }

  /** Is one on its way? */
  get isBusy(): boolean {
    return this.#running !== undefined
  }

  get failure(): Error | undefined {
    return this.#failure
  }

  get progress(): Progress {
    return sumOf([this.#past, this.#present])
  }

  /** Resolves once all are stored. @throws what the first failed with */
  async end(): Promise<readonly UploadedFile[]> {
    await this.#running
    if (this.#failure) throw this.#failure
    return this.#stored
  }

  /** Resolves once nothing is in flight, which the signal of the settings ends. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      for (let [next] = this.#waiting; next; [next] = this.#waiting) {
        await this.#upload(next)
        this.#waiting.shift()
        this.#known = undefined
      }
      this.#running = undefined
    } catch (error) {
      this.#failure = error as Error
      this.#running = undefined
      const { code = '' } = error as Partial<RealtimeUploadError>
      const isKnown = code === this.#known
      this.#known = code
      this.#options.onFailure({ error: error as Error, isKnown })
    }
  }

  async #upload({ piece, closed }: Waiting): Promise<void> {
    const { disk, settings, onFreed, onMove, onEvent } = this.#options
    const { path, size: at, crc } = piece
    const onProgress = (progress: Progress) => {
      this.#present = progress
      onMove()
    }
    const file = await uploadPiece(piece, {
      ...this.#options,
      settings: { ...settings, onProgress },
      onOpen: async facts => {
        if (isUntouched(await closed, facts)) return
        await confirmBytes(disk, path, { at, crc }, settings.signal)
      },
    })
    this.#past = sumOf([this.#past, this.#present])
    this.#present = NO_PROGRESS
    this.#stored.push(file)
    onFreed(piece.size)
    onEvent({ type: 'file', number: piece.n, ...file })
  }
}

const isOfRights = (error: Error | undefined): boolean =>
  error instanceof RealtimeUploadError && ['ERR_UNAUTHORIZED', 'ERR_FORBIDDEN'].includes(error.code)
