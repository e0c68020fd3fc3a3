/**
 * What became of the files of a folder that is followed, so that none is uploaded twice: a file beside
 * the spools of its uploads.
 *
 *   followed.journal      a record a line, append only, in the form of any journal
 *   followed.journal.new  the same, shorter, on its way into the place of that
 *   followed.lock         who works on it
 *
 * What holds always:
 *   1. `creating` is durable before an asset is asked for, and `begun` before a byte of the file is
 *      sent. A crash between the two leaves an asset that holds nothing and that nobody knows by its
 *      number: the record says of which file, so that it can be named.
 *   2. `done` is durable before the journal of the upload goes: of a file that is `begun` and has no
 *      journal nothing was sent.
 *   3. A record counts for the API it was written with alone: what a sandbox had, nobody has.
 *   4. What was done is remembered for as long as there is this file. But of the three records of each file
 *      the last says all: where most of a long journal is of no more use, the rest alone is written anew as
 *      it is opened. At any time either the old or the new one has the name, whole and durable.
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
const OPENING: Line = { t: 'open', version: VERSION }

const NAME = 'followed.journal'
const FRESH = 'followed.journal.new'
const LOCK = 'followed.lock'

/** A journal of so many bytes is worth being written anew, where no more than one record in so many counts. */
const LONG = 2 ** 20
const ONE_IN = 2
/** Lines that are written at once. */
const AT_ONCE = 10_000

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
      await disk.remove(`${dir}/${FRESH}`) // Of one that was killed.
      const { entries, end } = await read(disk, path)
      const counting = countingOf(entries)
      const isWorth = end >= LONG && entries.length > ONE_IN * counting.length
      const size = isWorth ? await writeAnew(disk, dir, counting) : end
      const file = await disk.open(path)
      try {
        // A tail that is torn was never relied upon.
        if (size < (await file.size())) await file.cut(size)
        await file.sync()
        // It has its name since just now, or whoever was killed gave it that.
        await disk.syncFolder(dir)
        const journal = new Journal<Line>(file, size, async () => false)
        if (entries.length === 0) journal.add(OPENING)
        await journal.sync()
        return new Ledger({ path, origin, journal, lock, entries: counting })
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

/** What it holds, and how many bytes that is. Nothing is changed. */
const read = async (disk: Disk, path: string) => {
  const size = (await disk.size(path)) ?? 0
  const entries: Line[] = []
  const bytes = size > 0 ? readFrom(disk, path, 0, size) : []
  // How much was durable before a line is a matter of the journal that it is written to.
  const { end, damagedAt } = await readLines<Line & { d?: number }>(bytes, ({ d: _, ...line }) =>
    entries.push(line as Line),
  )
  if (damagedAt !== undefined)
    throw damaged(path, damagedAt, 'a line that was durable is not whole')
  const [first] = entries
  if (first && (first.t !== 'open' || first.version !== VERSION))
    throw damaged(path, 0, 'it was written by a version of this library that knows more')
  return { entries, end }
}

/** Of each API the last word on each path, and on each file: what `of` may still be asked for. In order. */
const countingOf = (entries: readonly Line[]): Line[] => {
  const last = new Map<string, number>()
  for (const [index, line] of entries.entries()) {
    if (line.t === 'open') continue
    last.set(`${line.origin} ${idOf(line)}`, index)
    last.set(`${line.origin} ${line.path}`, index)
  }
  const indices = [...new Set(last.values())].sort((one, other) => one - other)
  return indices.map(index => entries[index] as Line)
}

/**
 * Puts a journal of these records alone into the place of the one that is there. Its name is not durable yet.
 *
 * @returns bytes of the journal that has the name then: the old one, where the disk did not take this
 */
const writeAnew = async (disk: Disk, dir: string, records: readonly Line[]): Promise<number> => {
  const [path, fresh] = [`${dir}/${NAME}`, `${dir}/${FRESH}`]
  try {
    const size = await writeAll(disk, fresh, records)
    await disk.rename(fresh, path)
    return size
  } catch {
    // Long as it is the old one is right; and what is left of this goes at the next start.
    await disk.remove(fresh).catch(() => {})
    // Network drives may have renamed it, and say that they did not.
    return (await read(disk, path)).end
  }
}

const writeAll = async (disk: Disk, path: string, records: readonly Line[]): Promise<number> => {
  const file = await disk.open(path)
  try {
    const journal = new Journal<Line>(file, 0, async () => false)
    journal.add(OPENING)
    for (const [index, record] of records.entries()) {
      // The last line says that those before it were durable: so what rots of them is told from a torn tail.
      if (index === records.length - 1) await journal.sync()
      else if (index % AT_ONCE === 0) await journal.write()
      journal.add(record)
    }
    await journal.sync()
    return await file.size()
  } finally {
    await file.close()
  }
}

/** Has nothing been written to it since? On network drives the numbers of a file may change. */
export const isSame = (one: FileFacts, other: FileFacts): boolean =>
  one.size === other.size &&
  one.mtime === other.mtime &&
  (one.path === other.path || idOf(one) === idOf(other))

const idOf = ({ dev, ino }: FileFacts): string => `${dev}:${ino}`
