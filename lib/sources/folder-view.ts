/**
 * A folder as it is looked at: what is listed, how each file stands, and since when. It may be gone for
 * a while, as network drives are.
 */
import type { BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bornAt } from '../follow/age.ts'
import { isLocal, unreadable } from '../follow/grown-file.ts'
import { IDLE } from '../follow/watch.ts'
import { type FileFacts, isSame } from '../spool/ledger.ts'
import { isPassing } from './passing.ts'

export interface Seen {
  readonly file: FileFacts
  /** Since when nothing has changed, on the monotonic clock, in ms. */
  readonly since: number
  /** When its first byte was written, in ms since the epoch: see age.ts. */
  readonly born: number
  readonly isFolder: boolean
}

export interface FolderViewOptions {
  readonly dir: string
  /** How long nothing changes in a file that is over, in ms. Undefined: by the disk that it lies on. */
  readonly idle: number | undefined
  readonly isMeant: (name: string) => boolean
  readonly onGone: (error: Error) => void
  readonly onBack: () => void
}

export class FolderView {
  readonly dir: string
  readonly #options: FolderViewOptions
  readonly #seen = new Map<string, Pick<Seen, 'file' | 'since'>>()
  /** Names that were listed, and of which nothing was there. */
  readonly #absent = new Set<string>()
  #isLocal = true
  #isGone = false

  constructor(options: FolderViewOptions) {
    this.#options = options
    this.dir = resolve(options.dir)
  }

  get idle(): number {
    return this.#options.idle ?? (this.#isLocal ? IDLE.local : IDLE.network)
  }

  pathOf(name: string): string {
    return join(this.dir, name)
  }

  /** Names that are meant; undefined while the folder is gone. */
  async list(): Promise<readonly string[] | undefined> {
    const { isMeant, onGone, onBack } = this.#options
    const all = await readdir(this.dir).catch((error: Error) => error)
    if (all instanceof Error) {
      if (!this.#isGone) onGone(all)
      this.#isGone = true
      return undefined
    }
    if (this.#isGone) onBack()
    this.#isGone = false
    this.#isLocal = await isLocal(this.dir)
    const names = all.filter(isMeant)
    const listed = new Set(names)
    for (const known of [this.#seen, this.#absent]) {
      for (const name of known.keys()) if (!listed.has(name)) known.delete(name)
    }
    return names
  }

  /**
   * How a file stands; undefined where it is not there in this moment.
   *
   * @throws {RealtimeUploadError} `ERR_SOURCE_FAILED`
   */
  async look(name: string): Promise<Seen | undefined> {
    const path = this.pathOf(name)
    const found = await stat(path, { bigint: true }).catch((error: Error) => error)
    if (found instanceof Error) {
      const isMissing = (found as NodeJS.ErrnoException).code === 'ENOENT'
      // A link to nothing, or a name that is no UTF-8, is listed each time.
      if (isMissing && this.#absent.has(name)) throw unreadable(path, found)
      if (!isMissing && !isPassing(found)) throw unreadable(path, found)
      if (isMissing) this.#absent.add(name)
      return undefined
    }
    this.#absent.delete(name)
    const file = factsOf(path, found)
    const since = this.#unchangedSince(name, file)
    const born = bornAt(found) ?? Number(found.mtimeMs)
    return { file, since, born, isFolder: found.isDirectory() }
  }

  #unchangedSince(name: string, file: FileFacts): number {
    const seen = this.#seen.get(name)
    if (seen && isSame(seen.file, file)) return seen.since
    // The clock of a network drive is another.
    const age = this.#isLocal ? Date.now() - Number(BigInt(file.mtime) / 1_000_000n) : 0
    const since = performance.now() - Math.max(0, age)
    this.#seen.set(name, { file, since })
    return since
  }
}

/** What is no file has neither size nor time of its own. */
const factsOf = (path: string, found: BigIntStats): FileFacts => ({
  path,
  dev: String(found.dev),
  ino: String(found.ino),
  size: found.isFile() ? Number(found.size) : 1,
  mtime: found.isFile() ? String(found.mtimeNs) : '0',
})

/** Of what cannot be looked at. */
export const nothingAt = (path: string): FileFacts => ({
  path,
  dev: '',
  ino: '',
  size: 1,
  mtime: '0',
})
