/**
 * The disk, as far as the spool needs it: the seam behind which tests put one that lies, and the real
 * one. Each call is one that may fail, and each says what is durable when it is over.
 */
import type { Stats } from 'node:fs'
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
} from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { type OpenFolder, openFolder, syncFolder } from '../durable-file.ts'

export interface Disk {
  /** Makes a folder that nobody else can read, with its parents. The names of all that is new are durable. */
  makeFolder(path: string): Promise<void>
  /** Names in a folder; none where there is no such folder. */
  list(path: string): Promise<string[]>
  /** Bytes of a file; undefined where there is none. */
  size(path: string): Promise<number | undefined>
  /** A file to read and write, 0600. Made where there is none. */
  open(path: string): Promise<DiskFile>
  /** A file to read alone. Fails where there is none. */
  openToRead(path: string): Promise<DiskFile>
  rename(from: string, to: string): Promise<void>
  /** Removes a file. Harmless where there is none. */
  remove(path: string): Promise<void>
  /** Removes an empty folder. */
  removeFolder(path: string): Promise<void>
  /** Makes the names in a folder durable, and that others are gone. */
  syncFolder(path: string): Promise<void>
  /** Bytes that are free on the volume of a folder, for those who are not root. */
  free(path: string): Promise<number>
}

export interface DiskFile {
  /** Writes all of it from a byte on, or throws. */
  write(chunks: readonly Uint8Array[], at: number): Promise<void>
  /** Reads from a byte on; says how many bytes came: fewer only at the end of the file. */
  read(into: Uint8Array, at: number): Promise<number>
  /** In bytes. */
  size(): Promise<number>
  /** Cuts it to so many bytes. */
  cut(size: number): Promise<void>
  /**
   * Makes its bytes durable, and its name where the file was made by this call of `open`: durable bytes
   * in a file whose name is not are nothing. Once this has failed it must not be called again on the
   * file: the kernel may have dropped the pages, and the next call would tell of success (PostgreSQL's
   * fsyncgate).
   */
  sync(): Promise<void>
  close(): Promise<void>
}

export const realDisk: Disk = {
  async makeFolder(path) {
    // Node's own way to make all of them (`recursive`) never ends in /proc.
    const made = await makeAll(resolve(path))
    for (const folder of made) await syncFolder(dirname(folder))
  },

  async list(path) {
    try {
      return await readdir(path)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },

  async open(path) {
    // Before the file: a process that has too many open would find that out when the file has bytes, and in
    // the middle of a sync, which nobody may repeat.
    const folder = await openFolder(dirname(path))
    let isNew = false
    try {
      const made = await open(path, 'wx+', 0o600).catch(error => {
        if ((error as NodeJS.ErrnoException).code === 'EEXIST') return undefined
        throw error
      })
      isNew = made !== undefined
      return new RealFile(made ?? (await open(path, 'r+')), isNew ? folder : undefined)
    } finally {
      if (!isNew) await folder.close()
    }
  },

  async openToRead(path) {
    return new RealFile(await open(path, 'r'), undefined)
  },

  async size(path) {
    try {
      return (await stat(path)).size
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  },

  rename,

  async remove(path) {
    await unlink(path).catch(error => {
      if (!isMissing(error)) throw error
    })
  },

  removeFolder: path => rmdir(path),

  syncFolder: path => syncFolder(path),

  async free(path) {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  },
}

class RealFile implements DiskFile {
  readonly #handle: FileHandle
  /** Where its name is not durable yet. */
  #newIn: OpenFolder | undefined

  constructor(handle: FileHandle, newIn: OpenFolder | undefined) {
    this.#handle = handle
    this.#newIn = newIn
  }

  async write(chunks: readonly Uint8Array[], at: number): Promise<void> {
    let left = chunks.filter(chunk => chunk.length > 0)
    let position = at
    while (left.length > 0) {
      // May be short without an error: the next call tells why.
      let { bytesWritten } = await this.#handle.writev(left, position)
      position += bytesWritten
      while (left[0] && bytesWritten >= left[0].length) {
        bytesWritten -= left[0].length
        left = left.slice(1)
      }
      if (left[0] && bytesWritten > 0) left = [left[0].subarray(bytesWritten), ...left.slice(1)]
    }
  }

  async read(into: Uint8Array, at: number): Promise<number> {
    let filled = 0
    while (filled < into.length) {
      const left = into.length - filled
      const { bytesRead } = await this.#handle.read(into, filled, left, at + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  async size(): Promise<number> {
    const { size }: Stats = await this.#handle.stat()
    return size
  }

  cut(size: number): Promise<void> {
    return this.#handle.truncate(size)
  }

  async sync(): Promise<void> {
    await this.#handle.datasync()
    const folder = this.#newIn
    if (!folder) return
    await folder.sync()
    this.#newIn = undefined
    await folder.close()
  }

  async close(): Promise<void> {
    const folder = this.#newIn
    this.#newIn = undefined
    await this.#handle.close().finally(() => folder?.close())
  }
}

/** The folders that had to be made, the outermost first. */
const makeAll = async (path: string): Promise<string[]> => {
  const make = () => mkdir(path, { mode: 0o700 }).then(() => [path])
  try {
    return await make()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return []
    if (code !== 'ENOENT' || path === dirname(path)) throw error
    return [...(await makeAll(dirname(path))), ...(await make())]
  }
}

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT'

/** Of a folder that was to be listed: it is a file. */
export const isNoFolder = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOTDIR'

/** Of a write. ENOSPC from a sync is none of these: it counts as a failure (NFS). */
export const isFull = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOSPC'
