/**
 * Where the bytes of a part live, from its first byte until it is stored: the interface of a home.
 * Memory's stands in upload/, the one on disk beside this.
 *
 *   filling ──► held back ──► registering ──► waiting ──► in flight ──► stored
 *   (splitter)      │          (registrar)   (for a lane)  (put-part)    its bytes are released
 *                   │               ▲                          │
 *                   │               └── URL expired ───────────┤
 *                   │                                          └── transient fault: the same again
 *                   └── a full part waits for one more byte or the end of the stream, because only
 *                       then it is known whether it is the final one
 *
 * Whoever sends a part asks it for a fresh body, and never asks where its bytes are.
 */
import type { PartInfo } from '../frameio/client.ts'
import type { Opening, SourceFile } from './journal.ts'

/** A home for the parts of one upload. */
export interface Home {
  /** A part of this size begins, in bytes. */
  begin(size: number): Filling
}

/** A part that fills. It has room for no more than its size, which the caller sees to. */
export interface Filling {
  /** Takes bytes of `chunk` from `start` up to `end`; says how many: fewer where there is no room now. */
  push(chunk: Buffer, start: number, end: number): number
  /** Makes a part of what came. Nothing is taken in any more. */
  cut(facts: PartFacts): Part
  /** Gives the room back. Nothing is taken in any more. */
  discard(): void
}

export interface PartFacts extends PartInfo {
  /** Bytes of the whole file; of the final part alone. */
  readonly fileSize: number | undefined
  /** MD5 of its bytes in base64, as `Content-MD5` wants it; undefined where none was asked for. */
  readonly md5: string | undefined
}

export interface Part extends PartFacts {
  /** When it may be registered, where that is not at once. Never rejects. */
  readonly ready?: Promise<void>
  /** Is it to be registered in one call with the part that is admitted next? */
  readonly isTied?: boolean
  /** Does S3 have it already, with other bytes? */
  readonly isResent?: boolean
  /** MD5 as it is now, asked for at each attempt, where its bytes may change until they are sent. */
  readonly takeMd5?: () => Promise<string>
  /** All its bytes, from the first, at each call: an attempt that failed is replayed from here. */
  body(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>
  /** An attempt to send it is over: nothing reads what `body` gave any more. */
  rest?(): void
  /**
   * Gives its bytes' home back. Harmless when called twice.
   *
   * @param stored whether they are needed no more: if not, only the memory may go
   */
  release(stored: boolean): void
}

/** Memory in blocks, under a budget. */
export interface BlockMemory {
  /** Bytes of a block. */
  readonly blockSize: number
  /** A part of this size begins, in bytes. */
  beginPart(size: number): void
  /** A block, or undefined where there is no room now. */
  take(): Buffer | undefined
  give(blocks: readonly Buffer[]): void
  /** Who holds blocks that could be given back is asked for them when anybody finds no room. */
  onShort(giveBack: () => void): void
}

/** The journal of an upload whose parts are ranges of a file. */
export interface FileLog {
  /** The parts are those of a file. Resolves when that is durable, or cannot be. */
  follow(source: SourceFile): Promise<void>
  /** S3 has a part, with this CRC-32. */
  rangeStored(n: number, size: number, crc: number): void
  /** The file is over: resolves when that is durable, or cannot be. */
  end(parts: number, total: number): Promise<void>
}

/** A recording that stays on the disk. */
export interface KeptFile {
  readonly path: string
  /** Bytes that it lacks, in order, each from `from` up to and without `to`: what stands there is nothing. */
  readonly missing: readonly { readonly from: number; readonly to: number }[]
}

export type MendKept = (kept: KeptFile) => Promise<void>

/** What an upload needs of its spool, beside a home for its parts. */
export interface UploadSpool extends Home, FileLog {
  /** Where it lies. */
  readonly folder: string
  /** Does what is in it outlive this process? */
  readonly isDurable: boolean
  /** Has the disk failed, so that memory is all there is? */
  readonly hasFailed: boolean
  /** Did the disk take no more when it was last asked? */
  readonly isFull: boolean
  /** Bytes on the disk. */
  readonly bytesSpooled: number
  /** Bytes that outlive this process: durable here or stored. */
  readonly bytesDurable: number
  /** Makes the folder of a new upload. */
  open(upload: Opening): Promise<void>
  /**
   * All is stored: a take that stays gets its name. Undefined where none does.
   *
   * @param mend makes of it what Frame.io has, before the journal may go; harmless when called twice
   * @throws what the disk or `mend` threw; then `finish` leaves all for a resume
   */
  keep(mend: MendKept): Promise<KeptFile | undefined>
  /** All is stored: removes everything but what stays. */
  finish(): Promise<void>
  /** The upload ends before all is stored: keeps everything. */
  close(): Promise<void>
}
