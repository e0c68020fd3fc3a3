/**
 * The record of an upload of a file that is to outlive this process: a folder of its own.
 *
 *     <dir>/v4-<32 hex digits of what is uploaded where>/      0700
 *       lock      who works on it
 *       journal   what became of the upload, a record a line, in the form of any journal
 *       urls      the presigned URLs of the present creation, 0600: nothing renews them, so who goes on
 *                 needs them. It goes as soon as all is stored, or they are of no more use
 *
 * The name begins as no asset of V2's is called, and the journal as none of a spool's does: `resumeUploads`
 * leaves the folder alone. One file for one folder and name has one record, so two processes cannot begin it.
 *
 * What holds always:
 *   1. `creating` is durable before a file is asked for: of a crash before `created` it is known that a file
 *      may have been left behind, what it is called, and since when.
 *   2. `urls` is durable before `created`, and names its creation: a crash between the two loses nothing.
 *   3. `stored` is in the journal before anybody is told. It is durable a moment later: a part that a power
 *      cut makes us send again does no harm.
 *   4. `done` is durable before the first file of the record goes.
 *   5. The source is never touched.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceDurably } from '../durable-file.ts'
import { RealtimeUploadError } from '../errors.ts'
import { type Lock, lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { claimFolder } from '../spool/folder.ts'
import { Journal, readLines } from '../spool/journal.ts'
import type { FileFacts } from '../spool/ledger.ts'
import { readFrom } from '../spool/read-back.ts'
import { damaged } from '../spool/recover.ts'
import { type Creation, readUrls, textOfUrls } from './creation.ts'
import { type Entry, type Opening, type State, stateOf, VERSION } from './record-state.ts'

const PREFIX = 'v4-'
const FILES = ['urls', 'urls.new', 'journal', 'lock'] as const

/** The folder of what is uploaded where. */
export const folderFor = (
  dir: string,
  {
    origin,
    accountId,
    folderId,
    name,
    path,
  }: Omit<Opening, keyof FileFacts | 'integrity'> & Pick<Opening, 'path'>,
): string => {
  const what = JSON.stringify([origin, accountId, folderId, name, path])
  return join(dir, PREFIX + createHash('sha256').update(what).digest('hex').slice(0, 32))
}

/** Every record in a folder, by name. */
export const recordsIn = async (dir: string): Promise<string[]> => {
  const names = (await realDisk.list(dir)).filter(name => NAME.test(name)).sort()
  return names.map(name => join(dir, name))
}

/** What a record says, without touching it. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
export const lookAtRecord = async (folder: string): Promise<State | undefined> => {
  const path = `${folder}/journal`
  try {
    const size = (await realDisk.size(path)) ?? 0
    return stateOf(path, (await read(path, size)).entries)
  } catch (error) {
    throw asSpoolError(folder, error)
  }
}

const NAME = /^v4-[0-9a-f]{32}$/

export class Record {
  readonly folder: string
  readonly #journal: Journal<Entry>
  readonly #lock: Lock
  /** Told once where the disk takes nothing more while parts are sent. */
  onFailure: (error: Error) => void = () => {}
  #state: State | undefined
  /** The last creation, counted from 1, and whether it was not dropped. */
  #last = 0
  #isInUse = false
  #closing: Promise<void> | undefined
  #isSyncing = false
  #isDue = false
  #syncing: Promise<void> = Promise.resolve()
  #failure: Error | undefined

  /** @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED`, `ERR_INVALID_OPTION` */
  static async open(folder: string): Promise<Record> {
    const taken = await claimFolder(realDisk, folder, path => lock(path)).catch(error => {
      if (error instanceof RealtimeUploadError) throw error
      const text = `spool.dir must be a folder on a disk that takes it; ${folder} could not be made ready: ${error.message}`
      const details = { option: 'spool.dir', path: folder, cause: error }
      throw new RealtimeUploadError('ERR_INVALID_OPTION', text, details)
    })
    try {
      const path = `${folder}/journal`
      const file = await realDisk.open(path)
      try {
        const size = await file.size()
        const { entries, end } = await read(path, size)
        // A tail that is torn was never relied upon.
        if (end < size) await file.cut(end)
        await file.sync()
        return new Record({
          folder,
          journal: new Journal<Entry>(file, end, async () => false),
          lock: taken,
          state: stateOf(path, entries),
        })
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      await taken.release()
      throw asSpoolError(folder, error)
    }
  }

  private constructor(opened: {
    readonly folder: string
    readonly journal: Journal<Entry>
    readonly lock: Lock
    readonly state: State | undefined
  }) {
    this.folder = opened.folder
    this.#journal = opened.journal
    this.#lock = opened.lock
    this.#state = opened.state
    this.#last = opened.state?.last ?? 0
    this.#isInUse = opened.state?.creating !== undefined
  }

  /** What became of the upload before; undefined where it has just begun. */
  get state(): State | undefined {
    return this.#state
  }

  /** Does it know of no file at Frame.io? */
  get isEmpty(): boolean {
    return !this.#isInUse
  }

  /** It begins, or begins anew with the file as it is now. */
  async begin(opening: Opening): Promise<void> {
    this.#state = undefined
    this.#isInUse = false
    await this.#write({ t: 'v4', version: VERSION, ...opening })
    await this.#removeUrls()
  }

  /**
   * A file is about to be asked for.
   *
   * @param at by the clock on the wall, in ms
   * @returns the number of this creation
   */
  async creating(at: number): Promise<number> {
    const k = ++this.#last
    this.#isInUse = true
    await this.#write({ t: 'creating', k, at })
    return k
  }

  async created(creation: Creation): Promise<void> {
    const { k, at, fileId, name, viewUrl, mediaType, slices } = creation
    await replaceDurably(`${this.folder}/urls`, textOfUrls(creation)).catch(error => {
      throw asSpoolError(this.folder, error)
    })
    const parts = slices.length
    await this.#write({ t: 'created', k, at, fileId, name, viewUrl, mediaType, parts })
  }

  /** The URLs of a creation; undefined where they are not there. @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
  async urls(secure: boolean): Promise<Creation | undefined> {
    const path = `${this.folder}/urls`
    const text = await readFile(path, 'utf8').catch(error => {
      if (error.code === 'ENOENT') return undefined
      throw asSpoolError(this.folder, error)
    })
    return text === undefined ? undefined : readUrls(path, text, secure)
  }

  /** S3 has a part. In the journal when it resolves, and durable soon. Never rejects. */
  async stored(k: number, n: number): Promise<void> {
    if (this.#failure) return
    this.#journal.add({ t: 'stored', k, n })
    await this.#journal.write().catch(error => this.#fail(error))
    this.#syncSoon()
  }

  /** The file of a creation is of no more use, and neither are its URLs. */
  async dropped(): Promise<void> {
    await this.#write({ t: 'dropped', k: this.#last })
    this.#isInUse = false
    await this.#removeUrls()
  }

  /** All is stored: nothing of it is needed any more. What is not ours in the folder stays. */
  async done(): Promise<void> {
    try {
      await this.#write({ t: 'done' })
    } finally {
      await this.#removeUrls()
    }
    await this.remove()
  }

  /** The upload ends before that: all stays. Harmless when called twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** Nothing of it is needed, and nothing is at Frame.io. */
  async remove(): Promise<void> {
    await this.#syncing
    for (const name of FILES) await realDisk.remove(`${this.folder}/${name}`)
    await this.close()
    await removeEmpty(this.folder)
  }

  async #close(): Promise<void> {
    try {
      await this.#syncing
      await this.#journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  async #removeUrls(): Promise<void> {
    for (const name of ['urls', 'urls.new']) await realDisk.remove(`${this.folder}/${name}`)
    await realDisk.syncFolder(this.folder)
  }

  async #write(entry: Entry): Promise<void> {
    if (this.#failure) return
    this.#journal.add(entry)
    await this.#journal.sync().catch(error => {
      throw asSpoolError(this.folder, error)
    })
  }

  #syncSoon(): void {
    this.#isDue = true
    if (this.#isSyncing) return
    this.#isSyncing = true
    this.#syncing = this.#syncAll().finally(() => {
      this.#isSyncing = false
    })
  }

  async #syncAll(): Promise<void> {
    while (this.#isDue && !this.#failure) {
      this.#isDue = false
      await this.#journal.sync().catch(error => this.#fail(error))
    }
  }

  #fail(error: Error): void {
    if (this.#failure) return
    this.#failure = error
    this.onFailure(error)
  }
}

/** Removes a record that is of no more use. Harmless where there is none. */
export const removeRecord = async (folder: string): Promise<void> => {
  for (const name of FILES) await realDisk.remove(`${folder}/${name}`)
  await removeEmpty(folder)
}

const removeEmpty = (folder: string): Promise<void> =>
  realDisk.removeFolder(folder).catch(error => {
    const { code = '' } = error as NodeJS.ErrnoException
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(code)) throw error
  })

/** Entries that hold, and where the next goes. */
const read = async (path: string, size: number) => {
  const entries: Entry[] = []
  const bytes = size > 0 ? readFrom(realDisk, path, 0, size) : []
  const { end, damagedAt } = await readLines<Entry>(bytes, line => entries.push(line))
  if (damagedAt !== undefined) {
    throw damaged(path, damagedAt, 'a line that was durable is not whole')
  }
  return { entries, end }
}

/** What the system says of a disk is an error of the spool's. */
export const asSpoolError = (folder: string, error: unknown): Error => {
  if (error instanceof RealtimeUploadError) return error
  const text = `${folder} cannot be read or written: ${(error as Error).message}. Nothing was deleted.`
  return new RealtimeUploadError('ERR_SPOOL_DAMAGED', text, { path: folder, cause: error })
}
