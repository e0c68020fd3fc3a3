/**
 * What became of the files of a folder that is followed, so that none is uploaded twice: a file beside
 * the spools of its uploads.
 *
 *   followed.journal  a record a line, append only, in the form of any journal
 *   followed.lock     who works on it
 *
 * What holds always:
 *   1. `creating` is durable before an asset is asked for, and `begun` before a byte of the file is
 *      sent. A crash between the two leaves an asset that holds nothing and that nobody knows by its
 *      number: the record says of which file, so that it can be named.
 *   2. `done` is durable before the journal of the upload goes: of a file that is `begun` and has no
 *      journal nothing was sent.
 *   3. A record counts for the API it was written with alone: what a sandbox had, nobody has.
 *
 * Nothing here may hold a token or a URL: `origin` is compared, and never used as an address.
 */
import { RealtimeUploadError } from '../errors.ts'
import type { Lock } from '../lock.ts'
import type { Disk } from './disk.ts'
import { Journal, readLines } from './journal.ts'
import { readFrom } from './read-back.ts'
import { damaged } from './recover.ts'

/** A file as it stood at one moment. Numbers that may not fit one are strings. */
export interface FileFacts {
  /** Absolute. */
  readonly path: string
  readonly dev: string
  readonly ino: string
  /** In bytes. */
  readonly size: number
  /** In ns. */
  readonly mtime: string
}

export interface FileRecord extends FileFacts {
  readonly t: 'creating' | 'begun' | 'done' | 'failed'
  readonly assetId?: string | undefined
  /** Of what failed. */
  readonly why?: string | undefined
  /** Nothing can be made of the asset any more: another try needs a new one. */
  readonly isLost?: true | undefined
}

type Line =
  | { readonly t: 'open'; readonly version: number }
  | (FileRecord & { readonly origin: string })

/** Of the format. A file of another is refused. */
const VERSION = 1

const NAME = 'followed.journal'
const LOCK = 'followed.lock'

/** What lies here beside the folders of uploads. */
export const LEDGER_FILES: readonly string[] = [NAME, LOCK]

export interface LedgerOptions {
  /** Where the spools of uploads are. */
  readonly dir: string
  /** Of Frame.io's API. */
  readonly origin: string
  readonly disk: Disk
  readonly lock: (path: string) => Promise<Lock>
}

export class Ledger {
  readonly #path: string
  readonly #origin: string
  readonly #journal: Journal<Line>
  readonly #lock: Lock
  readonly #byPath = new Map<string, FileRecord>()
  readonly #byId = new Map<string, FileRecord>()

  /** @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED` */
  static async open({ dir, origin, disk, lock: take }: LedgerOptions): Promise<Ledger> {
    const path = `${dir}/${NAME}`
    await disk.makeFolder(dir)
    const lock = await take(`${dir}/${LOCK}`)
    try {
      const file = await disk.open(path)
      try {
        const size = await file.size()
        const entries: Line[] = []
        const bytes = size > 0 ? readFrom(disk, path, 0, size) : []
        const { end, damagedAt } = await readLines<Line>(bytes, line => entries.push(line))
        if (damagedAt !== undefined)
          throw damaged(path, damagedAt, 'a line that was durable is not whole')
        const [first] = entries
        if (first && (first.t !== 'open' || first.version !== VERSION))
          throw damaged(path, 0, 'it was written by a version of this library that knows more')
        // A tail that is torn was never relied upon.
        if (end < size) await file.cut(end)
        await file.sync()
        const journal = new Journal<Line>(file, end, async () => false)
        if (!first) journal.add({ t: 'open', version: VERSION })
        await journal.sync()
        return new Ledger({ path, origin, journal, lock, entries })
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  private constructor(opened: {
    readonly path: string
    readonly origin: string
    readonly journal: Journal<Line>
    readonly lock: Lock
    readonly entries: readonly Line[]
  }) {
    this.#path = opened.path
    this.#origin = opened.origin
    this.#journal = opened.journal
    this.#lock = opened.lock
    for (const line of opened.entries) {
      if (line.t !== 'open' && line.origin === this.#origin) this.#index(line)
    }
  }

  /** The last word on each file, by its path. */
  get records(): Iterable<FileRecord> {
    return this.#byPath.values()
  }

  /** The last word on a file: on itself, also where it was renamed once it was done, or on its path. */
  of(file: FileFacts): FileRecord | undefined {
    const same = this.#byId.get(idOf(file))
    return same?.t === 'done' && isSame(same, file) ? same : this.#byPath.get(file.path)
  }

  /** Durable when it resolves. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
  async add(record: FileRecord): Promise<void> {
    this.#journal.add({ ...record, origin: this.#origin })
    await this.#journal.sync().catch(error => {
      const text = `${this.#path} cannot be written: ${error.message}`
      throw new RealtimeUploadError('ERR_SPOOL_DAMAGED', text, { path: this.#path, cause: error })
    })
    this.#index(record)
  }

  async close(): Promise<void> {
    try {
      await this.#journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  #index(record: FileRecord): void {
    this.#byPath.set(record.path, record)
    this.#byId.set(idOf(record), record)
  }
}

/** Has nothing been written to it since? On network drives the numbers of a file may change. */
export const isSame = (one: FileFacts, other: FileFacts): boolean =>
  one.size === other.size &&
  one.mtime === other.mtime &&
  (one.path === other.path || idOf(one) === idOf(other))

const idOf = ({ dev, ino }: FileFacts): string => `${dev}:${ino}`
