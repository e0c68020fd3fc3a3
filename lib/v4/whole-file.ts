/**
 * A finished file that is uploaded: as it was when it was opened, or not at all. S3 is sent ranges of it at
 * many moments, so what it holds at each of them must be the same.
 */
import { RealtimeUploadError } from '../errors.ts'
import { GrownFile } from '../follow/grown-file.ts'
import { LARGEST_FILE } from '../frameio/v4/protocol.ts'
import type { FileFacts } from '../spool/ledger.ts'

export class WholeFile {
  readonly #file: GrownFile
  /** As it was when it was opened. */
  readonly facts: FileFacts

  /** @throws {RealtimeUploadError} `ERR_SOURCE_FAILED`, `ERR_EMPTY_STREAM`, `ERR_STREAM_TOO_LARGE` */
  static async open(path: string, signal: AbortSignal): Promise<WholeFile> {
    const file = await GrownFile.open(path, undefined, signal)
    try {
      const { size, changedAt } = await file.state()
      checkSize(path, size)
      const { dev, ino } = file.id
      return new WholeFile(file, {
        path,
        dev: String(dev),
        ino: String(ino),
        size,
        mtime: String(changedAt),
      })
    } catch (error) {
      await file.close()
      throw error
    }
  }

  private constructor(file: GrownFile, facts: FileFacts) {
    this.#file = file
    this.facts = facts
  }

  /** Fills a buffer with bytes from one on. @throws {RealtimeUploadError} `ERR_SOURCE_TRUNCATED`, `ERR_SOURCE_FAILED` */
  async fill(into: Buffer, at: number): Promise<void> {
    const filled = await this.#file.readInto(into, at)
    if (filled < into.length) throw truncated(this.facts.path, at + filled)
  }

  /** @throws {RealtimeUploadError} `ERR_SOURCE_CHANGED`, `ERR_SOURCE_TRUNCATED` where it is not as it was */
  async confirm(): Promise<void> {
    const { path, size, mtime } = this.facts
    const now = await this.#file.state()
    if (now.size < size) throw truncated(path, now.size)
    if (now.size > size) throw changed(path, `it had ${size} bytes, and has ${now.size} now`)
    if (String(now.changedAt) !== mtime) throw changed(path, 'it was written to')
    if (await this.#file.isReplaced()) throw changed(path, 'another file has its name now')
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

const checkSize = (path: string, size: number): void => {
  if (size === 0) {
    const message = `${path} is empty, and Frame.io cannot hold an empty file`
    throw new RealtimeUploadError('ERR_EMPTY_STREAM', message, { path })
  }
  if (size <= LARGEST_FILE) return
  const message = `A file must have at most ${LARGEST_FILE} bytes (5 TB) for V4; ${path} has ${size}`
  throw new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { path })
}

const truncated = (path: string, size: number): RealtimeUploadError => {
  const message = `${path} was cut to ${size} bytes while it was uploaded: upload it anew`
  return new RealtimeUploadError('ERR_SOURCE_TRUNCATED', message, { path, offset: size })
}

const changed = (path: string, how: string): RealtimeUploadError => {
  const message = `${path} was changed while it was uploaded (${how}): upload it once nobody writes to it`
  return new RealtimeUploadError('ERR_SOURCE_CHANGED', message, { path })
}
