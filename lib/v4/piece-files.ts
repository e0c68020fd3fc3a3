/**
 * A recording on its way to the disk, a file a piece.
 *
 *     append ──► A001_002.mp4.partial ──► synced each `syncEvery` ──► mark
 *     cut ─────► synced ──► A001_002.mp4, the name durable ──► whole ──► to be uploaded
 *
 * What holds always:
 *   1. When `append` resolves the bytes are written. They outlive this process up to the last mark, which comes
 *      each MiB and with each sync, and a power cut up to the last sync.
 *   2. Whoever recovers believes a mark's CRC and never a length. The mark of a sync is written behind it, when the
 *      bytes and the name of the file are durable (`DiskFile.sync`).
 *   3. A piece gets its own name once all of it is durable, and is told of once that name is.
 *   4. A sync that failed is never repeated: the recording ends with an error, for nobody has its bytes any more.
 */
import { crc32 } from 'node:zlib'
import { RealtimeUploadError } from '../errors.ts'
import { isTooMany } from '../shortage.ts'
import { type Disk, type DiskFile, isFull } from '../spool/disk.ts'
import type { Journal } from '../spool/journal.ts'
import { asSpoolError } from './record.ts'
import { partialOf } from './take-folder.ts'
import type { TakeEntry } from './take-journal.ts'
import type { Room } from './take-room.ts'

/** A piece that lies whole on the disk. */
export interface Piece {
  readonly n: number
  readonly name: string
  readonly file: string
  readonly path: string
  readonly size: number
  /** CRC-32 of its bytes. */
  readonly crc: number
}

export interface PieceFilesOptions {
  readonly disk: Disk
  readonly folder: string
  readonly journal: Journal<TakeEntry>
  readonly room: Room
  /** In ms. */
  readonly syncEvery: number
  /** Bytes after which the journal says so: a process that dies loses fewer. */
  readonly markEvery: number
  /** Bytes of a piece at most. */
  readonly maxSize: number
  /** What a piece is called at Frame.io, and on the disk, where each has another name; counted from 1. */
  readonly namesOf: (n: number) => { readonly name: string; readonly file: string }
  /** A piece is whole. */
  readonly onPiece: (piece: Piece) => void
  /** Something moved. */
  readonly onMove: () => void
  /** The disk failed between two calls. */
  readonly onFailure: (error: Error) => void
}

/** Bytes that are written at once. */
const AT_ONCE = 2 ** 20

interface Current {
  readonly n: number
  readonly name: string
  readonly file: string
  readonly path: string
  readonly disk: DiskFile
  at: number
  /** Of the first `at` bytes. */
  crc: number
  marked: number
  synced: number
}

export class PieceFiles {
  readonly #options: PieceFilesOptions
  #count = 0
  #current: Current | undefined
  /** Of the pieces that are whole. */
  #bytes = 0
  #timer: NodeJS.Timeout | undefined
  #syncing: Promise<void> = Promise.resolve()
  #failure: Error | undefined

  constructor(options: PieceFilesOptions) {
    this.#options = options
  }

  /** Pieces that have begun. */
  get count(): number {
    return this.#count
  }

  /** Bytes of all pieces, and those of them that are durable. */
  get bytes(): { readonly written: number; readonly durable: number } {
    const { at, synced } = this.#current ?? { at: 0, synced: 0 }
    return { written: this.#bytes + at, durable: this.#bytes + synced }
  }

  /** Waits while the disk is full. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`, `ERR_STREAM_TOO_LARGE` */
  async append(chunks: readonly Uint8Array[]): Promise<void> {
    for (const batch of batchesOf(chunks)) {
      this.#current ??= await this.#begin()
      await this.#write(this.#current, batch)
    }
  }

  /** The piece is complete: what comes next is another. Nothing happens where it has no byte. */
  async cut(): Promise<void> {
    const piece = this.#current
    if (!piece) return
    await this.#finish(piece).catch(error => {
      this.#failure ??= asSpoolError(this.#options.folder, error)
      throw this.#failure
    })
  }

  /** The recording is over, with or without an end: what came stays, and is durable. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#syncing
    const piece = this.#current
    this.#current = undefined
    if (!piece) return
    try {
      if (!this.#failure) await this.#asOurs(this.#sync(piece))
    } finally {
      await piece.disk.close()
    }
  }

  async #begin(): Promise<Current> {
    const { disk, folder, journal, namesOf } = this.#options
    const n = ++this.#count
    const { name, file } = namesOf(n)
    const path = `${folder}/${file}`
    journal.add({ t: 'begin', n, name, file })
    await this.#asOurs(journal.write())
    const opened = await this.#unlessTooMany(() => disk.open(partialOf(path)))
    return { n, name, file, path, disk: opened, at: 0, crc: 0, marked: 0, synced: 0 }
  }

  async #write(piece: Current, batch: readonly Uint8Array[]): Promise<void> {
    const { room, maxSize, journal, markEvery, onMove } = this.#options
    const size = sizeOf(batch)
    if (piece.at + size > maxSize) throw tooLarge(piece.path, maxSize)
    for (;;) {
      if (this.#failure) throw this.#failure
      await room.take(size)
      try {
        await piece.disk.write(batch, piece.at)
        room.took()
        break
      } catch (error) {
        // What was written of it would be in front of what comes next.
        await this.#asOurs(piece.disk.cut(piece.at))
        if (!isFull(error)) throw asSpoolError(piece.path, error)
        await room.full(size, error as Error)
      }
    }
    for (const chunk of batch) piece.crc = crc32(chunk, piece.crc)
    piece.at += size
    if (piece.at - piece.marked >= markEvery) {
      this.#mark(piece)
      await this.#asOurs(journal.write())
    }
    this.#syncSoon()
    onMove()
  }

  async #finish(piece: Current): Promise<void> {
    const { disk, folder, journal, onPiece } = this.#options
    clearTimeout(this.#timer)
    this.#timer = undefined
    try {
      await this.#syncing
      if (this.#failure) throw this.#failure
      await this.#sync(piece)
    } finally {
      await piece.disk.close()
    }
    const { n, name, file, path, at: size, crc } = piece
    await disk.rename(partialOf(path), path)
    await this.#unlessTooMany(() => disk.syncFolder(folder))
    journal.add({ t: 'whole', n, size, crc })
    await journal.sync()
    this.#current = undefined
    this.#bytes += size
    onPiece({ n, name, file, path, size, crc })
  }

  #syncSoon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      const piece = this.#current
      if (!piece) return
      this.#syncing = this.#syncing.then(async () => {
        if (this.#failure) return
        await this.#sync(piece).catch(error => {
          this.#failure = asSpoolError(piece.path, error)
          this.#options.onFailure(this.#failure)
        })
      })
    }, this.#options.syncEvery)
  }

  async #sync(piece: Current): Promise<void> {
    const { journal, onMove } = this.#options
    const { n, at, crc } = piece
    if (at === piece.synced) return
    await piece.disk.sync()
    journal.add({ t: 'mark', n, at, crc })
    await journal.sync()
    piece.synced = at
    onMove()
  }

  #mark(piece: Current): void {
    const { n, at, crc } = piece
    this.#options.journal.add({ t: 'mark', n, at, crc })
    piece.marked = at
  }

  /** While too many files are open for one more the source is held, as where the disk is full. */
  async #unlessTooMany<T>(open: () => Promise<T>): Promise<T> {
    const { folder, room } = this.#options
    for (;;) {
      try {
        return await open()
      } catch (error) {
        if (!isTooMany(error)) throw asSpoolError(folder, error)
        await room.full(0, error as Error)
      }
    }
  }

  #asOurs<T>(call: Promise<T>): Promise<T> {
    return call.catch(error => {
      throw asSpoolError(this.#options.folder, error)
    })
  }
}

/** The same bytes in order, as lists of `AT_ONCE` bytes at most. */
function* batchesOf(chunks: readonly Uint8Array[]): Generator<Uint8Array[]> {
  let batch: Uint8Array[] = []
  let room = AT_ONCE
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + room)
      batch.push(part)
      at += part.length
      room -= part.length
      if (room > 0) continue
      yield batch
      batch = []
      room = AT_ONCE
    }
  }
  if (batch.length > 0) yield batch
}

const sizeOf = (chunks: readonly Uint8Array[]): number =>
  chunks.reduce((sum, { length }) => sum + length, 0)

const tooLarge = (path: string, maxSize: number): RealtimeUploadError => {
  const message = `A file may have ${maxSize} bytes at most (maxSize), and more came: cut the recording, with segment. What came is kept in ${path}.partial: resumeV4 uploads it`
  return new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { path })
}
