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
 * See judge.ts for what is done with a file, folder-file.ts for how it is uploaded, and spool/ledger.ts
 * for what is remembered.
 */
import { realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { findWriter } from '../follow/writers.ts'
import { apiOf } from '../frameio/client.ts'
import { lock } from '../lock.ts'
import { followSignal } from '../net/signals.ts'
import { realDisk } from '../spool/disk.ts'
import { type FileFacts, type FileRecord, LEDGER_FILES, Ledger } from '../spool/ledger.ts'
import type { RealtimeUpload } from '../upload/realtime-upload.ts'
import { type FileSettings, FolderFile, forget, type UploadedFile } from './folder-file.ts'
import { FolderView, nothingAt, type Seen } from './folder-view.ts'
import type { ResumedUpload } from './go-on.ts'
import { type Failure, judge, type Verdict } from './judge.ts'
import { hasMediaType, matcher } from './media-files.ts'
import { isForAll, isPassing } from './passing.ts'
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
/** A file that nothing is to be done with is looked at once in so many looks. */
const SELDOM = 30

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

/** A file that is to be uploaded. */
interface Candidate extends Pick<Seen, 'file' | 'since' | 'born'> {
  readonly name: string
  /** The last word on it, where what was begun is to go on. */
  readonly record: FileRecord | undefined
  /** Another take was done under its name. */
  readonly isAgain: boolean
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
  readonly #failures = new Map<string, Failure>()
  /** Names that nothing is to be done with. */
  readonly #settled = new Set<string>()
  #queue: Candidate[] = []
  readonly #running = new Map<string, Running>()
  readonly #sum = { done: 0, unfinished: 0 }
  /** Is the spool in the folder itself? */
  #isSpool = false
  /** May a file that was looked at last still become one that is to be uploaded? */
  #isWaiting = false
  #wake: () => void = () => {}

  constructor(options: FolderOptions, ledger: Ledger) {
    const { dir, match, follow, onEvent } = options
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
        const isListed = await this.#look(count)
        this.#fill()
        const isIdle = this.#running.size === 0 && !this.#isWaiting
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
    return { ...this.#sum, failed: this.#failures.size }
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

  /** @returns whether the folder is there */
  async #look(count: number): Promise<boolean> {
    const names = await this.#view.list()
    if (!names) return false
    const listed = new Set(names)
    if (count === 0) this.#tellOfMissing(listed)
    for (const name of this.#settled) if (!listed.has(name)) this.#settled.delete(name)
    this.#isWaiting = false
    const queue: Candidate[] = []
    for (const [index, name] of names.entries()) {
      if (this.#isEnding) break
      const isSkipped = this.#settled.has(name) && index % SELDOM !== count % SELDOM
      if (isSkipped || this.#running.has(name)) continue
      const candidate = await this.#weigh(name)
      if (candidate) queue.push(candidate)
    }
    this.#queue = queue.sort((a, b) => a.born - b.born || (a.name < b.name ? -1 : 1))
    return true
  }

  #tellOfMissing(names: ReadonlySet<string>): void {
    for (const { t, path, assetId, isLost } of this.#ledger.records) {
      const name = basename(path)
      const isUnfinished = (t === 'begun' || t === 'failed') && !isLost
      if (!isUnfinished || assetId === undefined || dirname(path) !== this.#view.dir) continue
      if (!names.has(name)) this.#options.onEvent({ t: 'missing', name, assetId })
    }
  }

  /** Is anything to be done with a file? */
  async #weigh(name: string): Promise<Candidate | undefined> {
    const path = this.#view.pathOf(name)
    const seen = await this.#view.look(name).catch((error: Error) => error)
    if (seen instanceof Error) {
      if (!this.#failures.has(name)) this.#failed(name, nothingAt(path), seen)
      return undefined
    }
    if (!seen) this.#isWaiting = true
    // `*` means files; but a folder that has the name of a film is a mistake.
    else if (seen.isFolder && !hasMediaType(name)) this.#settled.add(name)
    else return this.#judge(name, seen)
    return undefined
  }

  async #judge(name: string, { file, since, born }: Seen): Promise<Candidate | undefined> {
    const verdict = await this.#verdictOn(name, file, since)
    if (verdict === 'done') this.#settled.add(name)
    else this.#settled.delete(name)
    if (verdict === 'wait') this.#isWaiting = true
    if (verdict === 'empty') this.#failed(name, file, empty(file.path))
    if (verdict === 'done' || verdict === 'wait' || verdict === 'empty') return undefined
    const record = verdict === 'go on' ? this.#ledger.of(file) : undefined
    return { name, file, since, born, record, isAgain: verdict === 'again' }
  }

  async #verdictOn(name: string, file: FileFacts, since: number): Promise<Verdict> {
    // One that was renamed while it is uploaded.
    const isThis = ([other, { file: it }]: [string, { readonly file: FileFacts }]) =>
      other !== name && it.dev === file.dev && it.ino === file.ino
    if ([...this.#running].some(isThis)) return 'wait'
    const { isOnce } = this.#options
    const now = performance.now()
    const [record, failure] = [this.#ledger.of(file), this.#failures.get(name)]
    const found = { file, record, failure, now, isOnce }
    const verdict = judge({ ...found, isOver: false })
    if (verdict !== 'wait' || now - since < this.#view.idle) return verdict
    const isWritten = await findWriter({ dev: BigInt(file.dev), ino: BigInt(file.ino) })
    return isWritten ? 'wait' : judge({ ...found, isOver: true })
  }

  #fill(): void {
    while (isRoom([...this.#running.values()].map(it => it.place)) && !this.#isEnding) {
      const next = this.#queue.shift()
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
        if (this.#queue.length === 0) this.#wake()
      })
    this.#running.set(name, { file, place, task })
  }

  async #upload(name: string, place: Place): Promise<void> {
    // Since it was put into the queue it may have been done, or changed.
    const candidate = await this.#weigh(name)
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
      this.#failures.delete(name)
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
      this.#failed(name, now?.file ?? file, error as Error, { left, assetId: one.assetId })
    }
  }

  #failed(
    name: string,
    file: FileFacts,
    error: Error,
    more: { readonly left?: string | undefined; readonly assetId?: string | undefined } = {},
  ): void {
    const { left, assetId } = more
    this.#failures.set(name, { file, isPassing: isPassing(error), at: performance.now() })
    this.#settled.add(name)
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

const empty = (path: string): RealtimeUploadError => {
  const text = `${path} is empty, and nobody writes to it: Frame.io cannot hold an empty file`
  return new RealtimeUploadError('ERR_EMPTY_STREAM', text, { path })
}
