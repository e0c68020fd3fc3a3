/**
 * What of a folder is to be uploaded: each file is weighed, and those that are to have their turn wait for it,
 * the oldest first. One that nothing is to be done with is weighed seldom.
 *
 * See judge.ts for the verdict on a file.
 */
import { basename, dirname } from 'node:path'
import { RealtimeUploadError } from '../errors.ts'
import { findWriter } from '../follow/writers.ts'
import { isTooMany } from '../shortage.ts'
import type { FileFacts, FileRecord, Ledger } from '../spool/ledger.ts'
import { type FolderView, nothingAt, type Seen } from './folder-view.ts'
import { type Failure, judge, type Verdict } from './judge.ts'
import { hasMediaType } from './media-files.ts'
import { isPassing } from './passing.ts'

/** A file that is to be uploaded. */
export interface Candidate extends Pick<Seen, 'file' | 'since' | 'born'> {
  readonly name: string
  /** The last word on it, where what was begun is to go on. */
  readonly record: FileRecord | undefined
  /** Another take was done under its name. */
  readonly isAgain: boolean
}

export interface FolderQueueOptions {
  readonly view: FolderView
  readonly ledger: Ledger
  /** What failed is not tried again. */
  readonly isOnce: boolean
  /** Is no file to be begun any more? */
  readonly isEnding: () => boolean
  /** Those that are uploaded just now, by name. */
  readonly running: ReadonlyMap<string, { readonly file: FileFacts }>
  /** Its upload was begun, and the file is not there. */
  readonly onMissing: (name: string, assetId: string) => void
  /** Nothing can be made of it as it stands. */
  readonly onFailed: (name: string, error: Error) => void
}

/** A file that nothing is to be done with is looked at once in so many looks. */
const SELDOM = 30

export class FolderQueue {
  readonly #options: FolderQueueOptions
  readonly #failures = new Map<string, Failure>()
  /** Names that nothing is to be done with. */
  readonly #settled = new Set<string>()
  #queue: Candidate[] = []
  #isWaiting = false

  constructor(options: FolderQueueOptions) {
    this.#options = options
  }

  /** May a file that was looked at last still become one that is to be uploaded? */
  get isWaiting(): boolean {
    return this.#isWaiting
  }

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  /** Files of which the last try failed. */
  get failures(): number {
    return this.#failures.size
  }

  /** The next to have its turn. */
  next(): Candidate | undefined {
    return this.#queue.shift()
  }

  /** @returns whether the folder is there */
  async look(count: number): Promise<boolean> {
    const { view, running, isEnding } = this.#options
    const names = await view.list()
    if (!names) return false
    const listed = new Set(names)
    if (count === 0) this.#tellOfMissing(listed)
    for (const name of this.#settled) if (!listed.has(name)) this.#settled.delete(name)
    this.#isWaiting = false
    const queue: Candidate[] = []
    for (const [index, name] of names.entries()) {
      if (isEnding()) break
      const isSkipped = this.#settled.has(name) && index % SELDOM !== count % SELDOM
      if (isSkipped || running.has(name)) continue
      const candidate = await this.weigh(name)
      if (candidate) queue.push(candidate)
    }
    this.#queue = queue.sort((a, b) => a.born - b.born || (a.name < b.name ? -1 : 1))
    return true
  }

  /** Is anything to be done with a file? */
  async weigh(name: string): Promise<Candidate | undefined> {
    const { view } = this.#options
    const path = view.pathOf(name)
    const seen = await view.look(name).catch((error: Error) => error)
    if (seen instanceof Error) {
      if (!this.#failures.has(name)) this.#fail(name, nothingAt(path), seen)
      return undefined
    }
    if (!seen) this.#isWaiting = true
    // `*` means files; but a folder that has the name of a film is a mistake.
    else if (seen.isFolder && !hasMediaType(name)) this.#settled.add(name)
    else return this.#judge(name, seen)
    return undefined
  }

  /** A file came to nothing as it stands: it waits until it is another, or for what passes by itself. */
  failed(name: string, file: FileFacts, error: Error): void {
    this.#failures.set(name, { file, isPassing: isPassing(error), at: performance.now() })
    this.#settled.add(name)
  }

  /** All of it is uploaded. */
  done(name: string): void {
    this.#failures.delete(name)
  }

  #tellOfMissing(names: ReadonlySet<string>): void {
    const { ledger, view, onMissing } = this.#options
    for (const { t, path, assetId, isLost } of ledger.records) {
      const name = basename(path)
      const isUnfinished = (t === 'begun' || t === 'failed') && !isLost
      if (!isUnfinished || assetId === undefined || dirname(path) !== view.dir) continue
      if (!names.has(name)) onMissing(name, assetId)
    }
  }

  async #judge(name: string, { file, since, born }: Seen): Promise<Candidate | undefined> {
    const verdict = await this.#verdictOn(name, file, since)
    if (verdict === 'done') this.#settled.add(name)
    else this.#settled.delete(name)
    if (verdict === 'wait') this.#isWaiting = true
    if (verdict === 'empty') this.#fail(name, file, empty(file.path))
    if (verdict === 'done' || verdict === 'wait' || verdict === 'empty') return undefined
    const record = verdict === 'go on' ? this.#options.ledger.of(file) : undefined
    return { name, file, since, born, record, isAgain: verdict === 'again' }
  }

  async #verdictOn(name: string, file: FileFacts, since: number): Promise<Verdict> {
    const { running, isOnce, ledger, view } = this.#options
    // One that was renamed while it is uploaded.
    const isThis = ([other, { file: it }]: [string, { readonly file: FileFacts }]) =>
      other !== name && it.dev === file.dev && it.ino === file.ino
    if ([...running].some(isThis)) return 'wait'
    const now = performance.now()
    const [record, failure] = [ledger.of(file), this.#failures.get(name)]
    const found = { file, record, failure, now, isOnce }
    const verdict = judge({ ...found, isOver: false })
    if (verdict !== 'wait' || now - since < view.idle) return verdict
    const id = { dev: BigInt(file.dev), ino: BigInt(file.ino) }
    const isWritten = await findWriter(id).catch(error => {
      if (!isTooMany(error)) throw error
      return true // Nobody knows now.
    })
    return isWritten ? 'wait' : judge({ ...found, isOver: true })
  }

  #fail(name: string, file: FileFacts, error: Error): void {
    this.failed(name, file, error)
    this.#options.onFailed(name, error)
  }
}

const empty = (path: string): RealtimeUploadError => {
  const text = `${path} is empty, and nobody writes to it: Frame.io cannot hold an empty file`
  return new RealtimeUploadError('ERR_EMPTY_STREAM', text, { path })
}
