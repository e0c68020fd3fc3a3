/**
 * A file that somebody else writes: opened for reading alone, and looked at. No lock is ever taken.
 */
import type { BigIntStats } from 'node:fs'
import { type FileHandle, open, stat, statfs } from 'node:fs/promises'
import { RealtimeUploadError } from '../errors.ts'
import { sleep } from '../net/retry.ts'
import { shortageIn } from '../shortage.ts'
import { bornAt } from './age.ts'
import type { ResolvedFollowOptions } from './options.ts'
import type { FileId } from './writers.ts'

/** Between two looks whether it is there, in ms. */
const LOOK_EVERY = 250
/** How long a machine may be short of what it takes to open a file, in ms: so long graceful-fs waits. */
const SHORT_FOR = 60_000

/** What tells whether a file was changed. */
export interface FileState {
  readonly size: number
  /** When its bytes or its size were last changed, in ns. */
  readonly changedAt: bigint
}

/** A file as it stood at one moment. */
export interface State extends FileState {
  /** Bytes of the disk that it takes. */
  readonly allocated: number
}

/** Is it as it was? */
export const isSame = (one: FileState, other: FileState): boolean =>
  one.size === other.size && one.changedAt === other.changedAt

export class GrownFile {
  readonly path: string
  readonly #handle: FileHandle
  readonly id: FileId
  /** When its first byte was written, in ms since the epoch, as far as that is known: see age.ts. */
  readonly bornAt: number | undefined

  /**
   * Opens it, once it is there.
   *
   * @param follow undefined: it must be there
   * @throws {RealtimeUploadError} `ERR_SOURCE_FAILED`
   */
  static async open(
    path: string,
    follow: ResolvedFollowOptions | undefined,
    signal: AbortSignal,
  ): Promise<GrownFile> {
    const start = performance.now()
    const { appear = 0, ended } = follow ?? {}
    for (;;) {
      try {
        // Of a pipe `open` would wait for somebody who writes to it.
        const seen = await stat(path, { bigint: true })
        if (!seen.isFile()) throw unfit(path, seen.isDirectory() ? 'is a folder' : 'is no file')
        const handle = await open(path, 'r')
        // The name may have gone to another file in between.
        const stats = await handle.stat({ bigint: true }).catch(async error => {
          await handle.close()
          throw error
        })
        return new GrownFile(path, handle, stats)
      } catch (error) {
        const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
        const isShort = shortageIn(error) !== undefined
        const most = isShort ? Math.max(appear, SHORT_FOR) : appear
        const isLate = ended?.aborted || performance.now() - start >= most
        if (!(isMissing || isShort) || isLate) throw unreadable(path, error)
        await sleep(LOOK_EVERY, signal)
      }
    }
  }

  private constructor(path: string, handle: FileHandle, stats: BigIntStats) {
    this.path = path
    this.#handle = handle
    this.id = { dev: stats.dev, ino: stats.ino }
    this.bornAt = bornAt(stats)
  }

  async state(): Promise<State> {
    const { size, mtimeNs, blocks } = await this.#handle.stat({ bigint: true }).catch(error => {
      throw unreadable(this.path, error)
    })
    return { size: Number(size), changedAt: mtimeNs, allocated: Number(blocks) * 512 }
  }

  /** Bytes from one on: fewer than asked for at its end. */
  readonly read = async (at: number, length: number): Promise<Buffer> => {
    const buffer = Buffer.allocUnsafe(length)
    return buffer.subarray(0, await this.readInto(buffer, at))
  }

  /** Says how many bytes came: fewer than there is room for only at its end. */
  async readInto(buffer: Buffer, at: number): Promise<number> {
    let filled = 0
    while (filled < buffer.length) {
      const left = buffer.length - filled
      const { bytesRead } = await this.#handle
        .read(buffer, filled, left, at + filled)
        .catch(error => {
          throw unreadable(this.path, error)
        })
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  /** Has another file its name now? One whose name is gone has only been renamed, or removed. */
  async isReplaced(): Promise<boolean> {
    try {
      const { dev, ino } = await stat(this.path, { bigint: true })
      return dev !== this.id.dev || ino !== this.id.ino
    } catch {
      return false
    }
  }

  isLocal(): Promise<boolean> {
    return isLocal(this.path)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** What `statfs` calls them (linux/magic.h): NFS, SMB 1 and 2, CIFS, FUSE, 9P, Ceph, AFS. */
const NETWORK_DRIVES = new Set([
  0x6969, 0x517b, 0xfe534d42, 0xff534d42, 0x65735546, 0x01021997, 0x00c36400, 0x5346414f,
])

/** Does it lie on a disk of this machine? Of one that is not known it is assumed. */
export const isLocal = async (path: string): Promise<boolean> => {
  const { type } = await statfs(path).catch(() => ({ type: 0 }))
  return !NETWORK_DRIVES.has(type)
}

const unfit = (path: string, what: string): Error =>
  new Error(`${path} ${what}: only a regular file can be read in ranges`)

/** A disk that fails, or a network drive that is gone: perhaps for a while. */
export const unreadable = (path: string, error: unknown): RealtimeUploadError => {
  const { message } = error as Error
  const shortage = shortageIn(error)
  const but = shortage === undefined ? '' : `. It is not damaged: ${shortage}`
  const text = `The source failed: ${message}${but}`
  return new RealtimeUploadError('ERR_SOURCE_FAILED', text, { path, cause: error })
}
