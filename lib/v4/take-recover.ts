/**
 * A take that was cut off, found again: what it has, and what becomes of each piece.
 *
 *     stored ───────────────────────────────► its file and record go, unless it is to stay
 *     whole, its file there ────────────────► to be uploaded, or gone on with
 *     under its own name, without `whole` ──► so it is whole, if the last mark is that of all of it: it got that name
 *                                             once all of it was durable
 *     .partial ─────────────────────────────► as far as a mark's CRC holds; what stands behind is kept as .torn
 *     whole, its file gone or another ──────► an error, and nothing is touched; other bytes are found by `confirm`
 *
 * A piece that was cut off is not mended: players take an MP4 in fragments, or MPEG-TS, that ends in the middle of
 * one, and show all that is whole.
 */
import type { Lock } from '../lock.ts'
import { type Disk, realDisk } from '../spool/disk.ts'
import { useReserve } from '../spool/folder.ts'
import { Journal, readLines } from '../spool/journal.ts'
import { readFrom } from '../spool/read-back.ts'
import { damaged } from '../spool/recover.ts'
import type { UploadedFile } from './events.ts'
import { confirmBytes, lost, OTHER_BYTES } from './intact.ts'
import type { Piece } from './piece-files.ts'
import { asSpoolError, removeRecord } from './record.ts'
import { isFileOfPiece, partialOf, recordOf, removeTake, tornOf } from './take-folder.ts'
import {
  type Mark,
  type PieceState,
  type TakeEntry,
  type TakeOpening,
  type TakeState,
  takeStateOf,
} from './take-journal.ts'
import { lastThatHolds, setAside } from './torn.ts'

/** What became of a piece. */
export type Recovered =
  | { readonly t: 'stored'; readonly state: PieceState; readonly file: UploadedFile }
  | {
      readonly t: 'whole'
      readonly state: PieceState
      readonly piece: Piece
      /** Throws where its bytes are not those that were recorded: to be called before they are uploaded. */
      readonly confirm: (signal: AbortSignal | undefined) => Promise<void>
    }
  | { readonly t: 'lost'; readonly state: PieceState; readonly error: Error }
  /** Not a byte of it outlived the cut. */
  | { readonly t: 'empty'; readonly state: PieceState }

export interface Reopen {
  readonly folder: string
  readonly disk: Disk
  readonly lock: (path: string) => Promise<Lock>
}

export class ReopenedTake {
  readonly folder: string
  readonly opening: TakeOpening
  readonly journal: Journal<TakeEntry>
  readonly #lock: Lock
  readonly #disk: Disk
  readonly #state: TakeState

  /**
   * Undefined where nothing had begun; then the folder is gone.
   *
   * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`
   */
  static async open({ folder, disk, lock }: Reopen): Promise<ReopenedTake | undefined> {
    const taken = await lock(`${folder}/lock`).catch(error => {
      throw asSpoolError(folder, error)
    })
    try {
      const path = `${folder}/journal`
      const file = await disk.open(path)
      try {
        const size = await file.size()
        const { entries, end } = await readTake(disk, path, size)
        if (end < size) await setAside(file, end, size, `${path}.torn`, disk)
        await file.sync()
        const state = stateOf(path, entries)
        if (state) {
          const journal = new Journal<TakeEntry>(file, end, () => useReserve(disk, folder))
          return new ReopenedTake({ folder, disk, journal, lock: taken, state })
        }
      } catch (error) {
        await file.close()
        throw error
      }
      await file.close()
      await removeTake({ disk, folder, lock: taken, files: [], keep: false })
      return undefined
    } catch (error) {
      await taken.release()
      throw asSpoolError(folder, error)
    }
  }

  private constructor(opened: {
    readonly folder: string
    readonly disk: Disk
    readonly journal: Journal<TakeEntry>
    readonly lock: Lock
    readonly state: TakeState
  }) {
    this.folder = opened.folder
    this.journal = opened.journal
    this.opening = opened.state.opening
    this.#disk = opened.disk
    this.#lock = opened.lock
    this.#state = opened.state
  }

  /** What became of each piece, in order; what is written for that is durable. */
  async recover(): Promise<Recovered[]> {
    const pieces: Recovered[] = []
    for (const state of this.#state.pieces) {
      pieces.push(
        await this.#piece(state).catch(error => {
          throw asSpoolError(this.folder, error)
        }),
      )
    }
    if (!this.#state.hasEnded) {
      this.journal.add({ t: 'end', pieces: pieces.length })
      await this.journal.sync()
    }
    return pieces
  }

  /** Everything is stored: nothing of it is needed any more. */
  async finish(): Promise<void> {
    await this.journal.close()
    const files = this.#state.pieces.map(({ file }) => file)
    const keep = this.opening.keep ?? false
    await removeTake({ disk: this.#disk, folder: this.folder, lock: this.#lock, files, keep })
  }

  /** All stays. Harmless behind `finish`. */
  async close(): Promise<void> {
    try {
      await this.journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  async #piece(state: PieceState): Promise<Recovered> {
    const { n, name, file, whole, stored } = state
    const path = `${this.folder}/${file}`
    if (stored) {
      await removeRecord(recordOf(path))
      if (!this.opening.keep) await this.#disk.remove(path)
      return { t: 'stored', state, file: stored }
    }
    const there = await this.#disk.size(path)
    const found = ({ at: size, crc }: Mark): Recovered => ({
      t: 'whole',
      state,
      piece: { n, name, file, path, size, crc },
      confirm: signal => confirmBytes(this.#disk, path, { at: size, crc }, signal),
    })
    if (whole) {
      if (there === whole.at) return found(whole)
      return { t: 'lost', state, error: lost(path, whole.at, there) }
    }
    const end = there === undefined ? await this.#cut(path, state) : await this.#last(path, state)
    if (there !== undefined && end.at < there) {
      return { t: 'lost', state, error: damaged(path, end.at, OTHER_BYTES) }
    }
    if (end.at === 0) return { t: 'empty', state }
    await this.#disk.syncFolder(this.folder)
    this.journal.add({ t: 'whole', n, size: end.at, crc: end.crc })
    await this.journal.sync()
    return found(end)
  }

  async #last(path: string, { marks }: PieceState): Promise<Mark> {
    const file = await this.#disk.openToRead(path)
    try {
      return await lastThatHolds(file, marks)
    } finally {
      await file.close()
    }
  }

  /** Gives the piece that was recorded its name, as far as its bytes are known to be right, and says how far. */
  async #cut(path: string, { marks }: PieceState): Promise<Mark> {
    const partial = partialOf(path)
    const size = await this.#disk.size(partial)
    if (size === undefined) return { at: 0, crc: 0 }
    const file = await this.#disk.open(partial)
    let end: Mark
    try {
      end = await lastThatHolds(file, marks)
      if (end.at < size) await setAside(file, end.at, size, tornOf(path), this.#disk)
      await file.sync()
    } finally {
      await file.close()
    }
    if (end.at === 0) await this.#disk.remove(partial)
    else await this.#disk.rename(partial, path)
    return end
  }
}

/** What a take has, without touching it. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
export const lookAtTake = async (folder: string): Promise<TakeState | undefined> => {
  const path = `${folder}/journal`
  try {
    const { entries } = await readTake(realDisk, path, (await realDisk.size(path)) ?? 0)
    return stateOf(path, entries)
  } catch (error) {
    throw asSpoolError(folder, error)
  }
}

/** Who can write to a journal must not choose which files are uploaded, and removed. */
const stateOf = (path: string, entries: readonly TakeEntry[]): TakeState | undefined => {
  const state = takeStateOf(path, entries)
  for (const { n, file } of state?.pieces ?? []) {
    if (!isFileOfPiece(file))
      throw damaged(path, 0, `the file of piece ${n} is none of this folder`)
  }
  return state
}

/** The entries that hold, without the marks of pieces that are whole: of a long recording there are millions. */
const readTake = async (disk: Disk, path: string, size: number) => {
  const entries: TakeEntry[] = []
  let marks: TakeEntry[] = []
  const bytes = size > 0 ? readFrom(disk, path, 0, size) : []
  const { end, damagedAt } = await readLines<TakeEntry>(bytes, line => {
    if (line.t === 'mark') marks.push(line)
    else {
      // Neither a copy of all for each line, which a day in seconds takes hours for, nor a million arguments.
      if (line.t !== 'whole') for (const mark of marks) entries.push(mark)
      entries.push(line)
      marks = []
    }
  })
  if (damagedAt !== undefined) {
    throw damaged(path, damagedAt, 'a line that was durable is not whole')
  }
  return { entries: [...entries, ...marks], end }
}
