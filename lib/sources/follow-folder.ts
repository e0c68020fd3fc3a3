/**
 * A folder that is followed: each file in it becomes an asset of its own while it grows, several at a
 * time, the oldest first. What was done is remembered in the spool, so that none is uploaded twice.
 *
 *   - The folder is listed and its files are looked at once a second: `fs.watch` is unreliable on
 *     network drives, and tells of no close anywhere. One that vanishes is waited for.
 *   - Subfolders, hidden files and the spool's own are left alone.
 *   - A file is known by its device, number, size and time of change, or by the latter two and its path,
 *     for on network drives numbers change. One that was renamed since it was done is the same.
 *   - One that was changed after it was done is a new take under the same name, and a new asset: once it
 *     is over again, for each change would be another take. Footage twice is better than not at all.
 *   - One that fails keeps no other from its turn. What may pass by itself is tried again each minute,
 *     all else at the next start, or when it has changed and is over again. But a token that is dead, or a
 *     folder of Frame.io's that is none, is no fault of a file's: it ends all, and is said once.
 *
 * See folder-queue.ts for what is to be uploaded, folder-file.ts for how one file is, and spool/ledger.ts for
 * what is remembered. Here each gets its turn.
 */
import { realpath } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { AbortError } from '../errors.ts'
import { apiOf } from '../frameio/client.ts'
import { lock } from '../lock.ts'
import { followSignal } from '../net/signals.ts'
import { realDisk } from '../spool/disk.ts'
import { type FileFacts, LEDGER_FILES, Ledger } from '../spool/ledger.ts'
import type { RealtimeUpload } from '../upload/realtime-upload.ts'
import { type FileSettings, FolderFile, forget, type UploadedFile } from './folder-file.ts'
import { type Candidate, FolderQueue } from './folder-queue.ts'
import { FolderView } from './folder-view.ts'
import type { ResumedUpload } from './go-on.ts'
import { matcher } from './media-files.ts'
import { isForAll } from './passing.ts'
import { isRoom, Place } from './place.ts'

export interface FolderOptions
  extends Pick<FileSettings, 'client' | 'parentId' | 'spool' | 'follow' | 'upload'> {
  /** The folder. */
  readonly dir: string
  /** See `matcher`. */
  readonly match: readonly string[]
  /** Ends when all that is there is done. */
  readonly isOnce: boolean
  /** Ends at once. What is under way goes on at the next start. */
  readonly signal: AbortSignal
  readonly onEvent: (event: FolderEvent) => void
}

/** What happens to a file, by its name; or to the folder. */
export type FolderEvent =
  | ({ readonly t: 'begun' } & Begun)
  | ({ readonly t: 'resumed' } & Begun)
  | ({ readonly t: 'done'; readonly name: string; readonly path: string } & UploadedFile)
  | {
      readonly t: 'failed'
      readonly name: string
      readonly assetId: string | undefined
      readonly error: Error
      /** What there is of it, in a sentence. */
      readonly left: string | undefined
    }
  /** It was done, and is another now. */
  | { readonly t: 'changed'; readonly name: string; readonly assetId: string | undefined }
  /** Its asset was asked for when a crash came: there may be one that holds nothing. */
  | { readonly t: 'nameless'; readonly name: string }
  /** Its upload was begun, and the file is not there. */
  | { readonly t: 'missing'; readonly name: string; readonly assetId: string }
  | { readonly t: 'gone'; readonly error: Error }
  | { readonly t: 'back' }

/** A file whose upload begins, or goes on. */
interface Begun {
  readonly name: string
  readonly assetId: string
  readonly upload: RealtimeUpload | ResumedUpload
}

/** Files that were dealt with. */
export interface FolderSum {
  readonly done: number
  readonly unfinished: number
  /** Of those that failed the last try counts. */
  readonly failed: number
}

/** Between two looks at the folder, in ms. */
const LOOK_EVERY = 1_000

/**
 * Uploads what comes into a folder, until `follow.ended` aborts: then no file is begun any more, and
 * those under way are over.
 *
 * @throws {RealtimeUploadError} `ERR_SPOOL_IN_USE` where somebody follows with this spool already;
 *   `ERR_SPOOL_DAMAGED`; `ERR_INVALID_OPTION`; `ERR_UNAUTHORIZED`, `ERR_NOT_PAIRED`, and `ERR_FORBIDDEN`
 *   and `ERR_ASSET_NOT_FOUND` where no asset can be created
 * @throws {AbortError}
 */
export const followFolder = async (options: FolderOptions): Promise<FolderSum> => {
  const { spool, client } = options
  const api = apiOf(client)
  const { origin } = api.options.baseUrl
  const ledger = await Ledger.open({ dir: spool.dir, origin, disk: realDisk, lock })
  const following = new AbortController()
  // A device that waits for files is there, though nothing is uploaded.
  api.stayPresent(following.signal)
  try {
    return await new FollowedFolder(options, ledger).run()
  } finally {
    following.abort()
    await ledger.close()
  }
}

interface Running {
  readonly file: FileFacts
  readonly place: Place
  readonly task: Promise<void>
}

class FollowedFolder {
  readonly #options: FolderOptions
  readonly #ledger: Ledger
  readonly #view: FolderView
  /** Aborts when all that is under way is to stop. */
  readonly #stopping = new AbortController()
  /** Why it cannot go on. */
  #fault: Error | undefined
  readonly #queue: FolderQueue
  readonly #running = new Map<string, Running>()
  readonly #sum = { done: 0, unfinished: 0 }
  /** Is the spool in the folder itself? */
  #isSpool = false
  #wake: () => void = () => {}

  constructor(options: FolderOptions, ledger: Ledger) {
    const { dir, match, follow, isOnce, onEvent } = options
    const isMeant = matcher(match)
    this.#options = options
    this.#ledger = ledger
    this.#view = new FolderView({
      dir,
      idle: follow.idle,
      isMeant: name => isMeant(name) && !(this.#isSpool && LEDGER_FILES.includes(name)),
      onGone: error => onEvent({ t: 'gone', error }),
      onBack: () => onEvent({ t: 'back' }),
    })
    this.#queue = new FolderQueue({
      view: this.#view,
      ledger,
      isOnce,
      isEnding: () => this.#isEnding,
      running: this.#running,
      onMissing: (name, assetId) => onEvent({ t: 'missing', name, assetId }),
      onFailed: (name, error) => this.#tellOfFailure(name, error),
    })
  }

  async run(): Promise<FolderSum> {
    const { signal, isOnce, follow } = this.#options
    const stop = (reason: unknown) => this.#stop(new AbortError(reason))
    const unfollow = followSignal(signal, stop)
    const unfollowEnd = follow.ended ? followSignal(follow.ended, () => this.#wake()) : () => {}
    if (signal.aborted) stop(signal.reason)
    try {
      await this.#tidy()
      for (let count = 0; !this.#isEnding; count++) {
        const isListed = await this.#queue.look(count)
        this.#fill()
        const isIdle = this.#running.size === 0 && !this.#queue.isWaiting
        if (isOnce && isListed && isIdle) break
        await this.#pause()
      }
    } catch (error) {
      this.#stop(error as Error)
    }
    await Promise.all([...this.#running.values()].map(({ task }) => task))
    unfollow()
    unfollowEnd()
    if (this.#fault) throw this.#fault
    return { ...this.#sum, failed: this.#queue.failures }
  }

  get #isEnding(): boolean {
    return this.#stopping.signal.aborted || (this.#options.follow.ended?.aborted ?? false)
  }

  #stop(error: Error): void {
    this.#fault ??= error
    this.#stopping.abort(error)
    this.#wake()
  }

  /** What a crash may have left. */
  async #tidy(): Promise<void> {
    const { spool, onEvent } = this.#options
    const real = (dir: string) => realpath(dir).catch(() => dir)
    this.#isSpool = (await real(spool.dir)) === (await real(this.#view.dir))
    const folders = new Set(await realDisk.list(spool.dir))
    for (const { t, path, assetId = '' } of this.#ledger.records) {
      if (t === 'creating') onEvent({ t: 'nameless', name: basename(path) })
      // The journal of an upload is the last to go.
      if (t !== 'done' || !folders.has(assetId)) continue
      // The others must not wait for somebody to look at it.
      await forget(spool.dir, assetId).catch(error => {
        const left = `It is uploaded (asset ${assetId}), and ${join(spool.dir, assetId)} is needed no more: remove it.`
        onEvent({ t: 'failed', name: basename(path), assetId, error, left })
      })
    }
  }

  #fill(): void {
    while (isRoom([...this.#running.values()].map(it => it.place)) && !this.#isEnding) {
      const next = this.#queue.next()
      if (!next) return
      if (!this.#running.has(next.name)) this.#start(next)
    }
  }

  #start({ name, file }: Candidate): void {
    const place = new Place()
    const task = this.#upload(name, place)
      .catch(error => this.#stop(error))
      .finally(() => {
        this.#running.delete(name)
        this.#fill()
        if (this.#queue.isEmpty) this.#wake()
      })
    this.#running.set(name, { file, place, task })
  }

  async #upload(name: string, place: Place): Promise<void> {
    // Since it was put into the queue it may have been done, or changed.
    const candidate = await this.#queue.weigh(name)
    if (!candidate) return
    const { file, record, since, isAgain } = candidate
    const { onEvent, ...settings } = this.#options
    if (isAgain) onEvent({ t: 'changed', name, assetId: this.#ledger.of(file)?.assetId })
    const seen = { state: { size: file.size, changedAt: BigInt(file.mtime) }, since }
    const one = new FolderFile(file, record, seen, {
      ...settings,
      ledger: this.#ledger,
      signal: this.#stopping.signal,
      onUpload: (upload, assetId) => {
        place.fill(upload)
        onEvent({ t: record ? 'resumed' : 'begun', name, assetId, upload })
      },
    })
    try {
      const uploaded = await one.upload()
      this.#queue.done(name)
      this.#sum[uploaded.isUnfinished ? 'unfinished' : 'done']++
      onEvent({ t: 'done', name, path: file.path, ...uploaded })
    } catch (error) {
      const isStopped = this.#stopping.signal.aborted
      // Of one whose asset was refused before it heard of the stop there is none.
      if (isStopped && (error instanceof AbortError || one.assetId !== undefined)) return
      const left = await one.leave(error as Error)
      if (isStopped) return
      if (isForAll(error, one.assetId)) throw error
      const now = await this.#view.look(name).catch(() => undefined)
      this.#queue.failed(name, now?.file ?? file, error as Error)
      this.#tellOfFailure(name, error as Error, { left, assetId: one.assetId })
    }
  }

  #tellOfFailure(
    name: string,
    error: Error,
    more: { readonly left?: string | undefined; readonly assetId?: string | undefined } = {},
  ): void {
    const { left, assetId } = more
    this.#options.onEvent({ t: 'failed', name, assetId, error, left })
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, LOOK_EVERY)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
