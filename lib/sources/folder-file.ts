/**
 * One file of a folder that is followed: its asset, its upload, and what is remembered of both.
 *
 *     open the file ──► `creating` ──► create the asset ──► `begun` ──► upload ──► `done`
 *                                                             │                     ▲
 *                              a crash, or a failure ─────────┴──► go on from ──────┘
 *                                                                  its journal
 */
import { basename, join } from 'node:path'
import { ageOf } from '../follow/age.ts'
import { type FollowEnd, Follower, type Known } from '../follow/follower.ts'
import { GrownFile } from '../follow/grown-file.ts'
import type { ResolvedFollowOptions } from '../follow/options.ts'
import { apiOf, type FrameioClient } from '../frameio/client.ts'
import type { SpoolOptions } from '../frameio/options.ts'
import { lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { isOurs } from '../spool/folder.ts'
import { Followed } from '../spool/followed.ts'
import type { FileFacts, FileRecord, Ledger } from '../spool/ledger.ts'
import { type Reopened, reopen } from '../spool/reopen.ts'
import { Unfinished } from '../spool/unfinished.ts'
import type { UploadResult } from '../upload/events.ts'
import { type Bringer, type Inside, insides } from '../upload/inside.ts'
import type { RealtimeUploadOptions } from '../upload/options.ts'
import { RealtimeUpload } from '../upload/realtime-upload.ts'
import type { Whole } from './follow-on.ts'
import type { ResumedUpload } from './go-on.ts'
import { mediaTypeOf } from './media-files.ts'
import { isPassing } from './passing.ts'
import { stateOf } from './remember.ts'
import { resumeFollowed } from './resume.ts'
import { unlessFailed } from './upload-from.ts'
import { whenUploaded } from './uploaded.ts'

/** What all files of a folder have in common. */
export interface FileSettings {
  readonly client: FrameioClient
  /** Where assets are created; none for a device. */
  readonly parentId: string | undefined
  readonly spool: SpoolOptions
  readonly follow: ResolvedFollowOptions
  readonly upload: Pick<
    RealtimeUploadOptions,
    'partSize' | 'maxSize' | 'concurrency' | 'integrity' | 'retry' | 'memoryLimit'
  >
  readonly ledger: Ledger
  readonly signal: AbortSignal
  readonly onUpload: (upload: RealtimeUpload | ResumedUpload, assetId: string) => void
}

export interface UploadedFile extends UploadResult {
  readonly reason: FollowEnd['reason']
  readonly isUnfinished: boolean
}

export class FolderFile {
  readonly #file: FileFacts
  readonly #record: FileRecord | undefined
  readonly #seen: Known['seen']
  readonly #settings: FileSettings
  /** Of this try. */
  #whole: Whole | undefined
  #assetId: string | undefined
  #hasBytes = true

  /** @param record what was begun and is to go on */
  constructor(
    file: FileFacts,
    record: FileRecord | undefined,
    seen: Known['seen'],
    settings: FileSettings,
  ) {
    this.#file = file
    this.#record = record
    this.#seen = seen
    this.#settings = settings
    this.#assetId = record?.assetId
  }

  get assetId(): string | undefined {
    return this.#assetId
  }

  /** Resolves once it is stored, and that is remembered. */
  async upload(): Promise<UploadedFile> {
    const { assetId, bytes, parts } = (await this.#goOn()) ?? (await this.#begin())
    if (!this.#whole) {
      const unknown = { reason: undefined, isUnfinished: false, state: undefined }
      await this.#done({ bytes, parts, ...unknown })
    }
    const { reason, isUnfinished = false } = this.#whole ?? {}
    return { assetId, bytes, parts, reason, isUnfinished }
  }

  /**
   * After a failure: an asset that holds nothing is deleted.
   *
   * @returns what there is of it, in a sentence
   */
  async leave(error: Error): Promise<string | undefined> {
    const { client, ledger } = this.#settings
    const assetId = this.#assetId
    const isCut = hasCode(
      error,
      ...['ERR_SOURCE_TRUNCATED', 'ERR_SOURCE_REPLACED', 'ERR_ASSET_NOT_FOUND'],
    )
    const left = { ...this.#file, t: 'failed', why: error.message } as const
    if (assetId === undefined) {
      await ledger.add(left)
      return undefined
    }
    if (this.#hasBytes || isPassing(error)) {
      await ledger.add({ ...left, assetId, isLost: isCut || undefined })
      if (isCut) await this.#forget(assetId)
      return isCut
        ? `Asset ${assetId} can never be complete: delete it in Frame.io. The next try is a new one.`
        : `Asset ${assetId} stays unfinished, and is gone on with at the next try.`
    }
    const { device } = apiOf(client).options
    const unable = device
      ? new Error('a device may not')
      : await client.deleteAsset(assetId).catch((failure: Error) => failure)
    if (unable) {
      await ledger.add({ ...left, assetId })
      return `Asset ${assetId} is empty, and could not be deleted: ${unable.message}. The next try fills it.`
    }
    await ledger.add(left)
    await this.#forget(assetId)
    return `Asset ${assetId}, which was created for it, was deleted.`
  }

  /** From its journal, where it has one. */
  async #goOn(): Promise<UploadResult | undefined> {
    const { client, spool, follow, upload, signal, onUpload } = this.#settings
    const assetId = this.#record?.assetId
    const folder = join(spool.dir, assetId ?? '')
    if (assetId === undefined || !(await isOurs(realDisk, folder))) return undefined
    const reopened = await reopen({ folder, disk: realDisk, lock })
    if (!reopened) return undefined
    const { followed } = reopened.recovery
    if (!followed) {
      // Cut off before it said which file it is of: nothing was sent.
      await drop(reopened)
      return undefined
    }
    return resumeFollowed(new Followed(reopened, followed), {
      client,
      concurrency: upload.concurrency,
      onUpload: upload => onUpload(upload, assetId),
      signal,
      followed: follow,
      seen: this.#seen,
      onWhole: whole => this.#done(whole),
    })
  }

  async #begin(): Promise<UploadResult> {
    const { client, spool, follow, upload: options, signal, onUpload } = this.#settings
    const { path } = this.#file
    const file = await GrownFile.open(path, follow, signal)
    const assetId = await this.#create(file).catch(async error => {
      await file.close()
      throw error
    })
    const filetype = mediaTypeOf(path)
    const upload = new RealtimeUpload({ ...options, client, assetId, filetype, spool, signal })
    const uploaded = whenUploaded(upload)
    uploaded.catch(() => {}) // It is awaited once the file is over.
    const inside = insides.get(upload) as Inside
    let end: FollowEnd | undefined
    const remember = (sum: Sum) =>
      this.#done({ ...sum, ...(end as FollowEnd), state: follower.settled })
    const bring = (bringer: Bringer) => inside.bring(confirming(bringer, remember))
    const known = { stored: new Map(), total: undefined, seen: this.#seen }
    const follower = new Follower(file, { ...inside, bring }, follow, known)
    onUpload(upload, assetId)
    try {
      end = await unlessFailed(uploaded, follower.run())
      upload.end()
      await uploaded
      return upload.result as UploadResult
    } catch (error) {
      upload.destroy(error as Error)
      await uploaded.catch(() => {}) // Nothing is in flight any more when this fails.
      this.#hasBytes = upload.progress.bytesUploaded > 0
      throw upload.errored ?? error
    }
  }

  async #create({ bornAt }: GrownFile): Promise<string> {
    if (this.#assetId !== undefined) return this.#assetId
    const { client, parentId, ledger, signal } = this.#settings
    const { path } = this.#file
    const offset = apiOf(client).options.device ? () => ageOf(bornAt) : undefined
    const asset = { parentId, name: basename(path), filetype: mediaTypeOf(path), offset }
    await ledger.add({ ...this.#file, t: 'creating' })
    const { id } = await client.createRealtimeAsset({ ...asset, signal })
    this.#assetId = id
    await ledger.add({ ...this.#file, t: 'begun', assetId: id })
    return id
  }

  /** All of it is stored, and its journal may go. */
  async #done(whole: Whole): Promise<void> {
    this.#whole = whole
    // Where more of it has come since it counts as changed.
    const { size, changedAt } = await stateOf(this.#file.path, whole)
    const mtime = String(changedAt)
    await this.#settings.ledger.add({
      ...this.#file,
      size,
      mtime,
      t: 'done',
      assetId: this.#assetId,
    })
  }

  async #forget(assetId: string): Promise<void> {
    await forget(this.#settings.spool.dir, assetId)
  }
}

/** Removes what a spool knows of an upload of which nothing can be made any more, or all was. */
export const forget = async (dir: string, assetId: string): Promise<void> => {
  const folder = join(dir, assetId)
  if (!(await isOurs(realDisk, folder))) return
  const reopened = await reopen({ folder, disk: realDisk, lock })
  const { followed } = reopened?.recovery ?? {}
  if (reopened && followed) await new Followed(reopened, followed).finish()
  else if (reopened) await drop(reopened)
}

/** Of a file nothing lies in a spool but a journal: a recording that does is somebody else's, and stays. */
const drop = async (reopened: Reopened): Promise<void> => {
  const unfinished = new Unfinished(reopened)
  const isRecording = unfinished.whole.bytes > 0 && !unfinished.isDone
  await (isRecording ? unfinished.close() : unfinished.finish())
}

interface Sum {
  readonly bytes: number
  readonly parts: number
}

/** The same, with something to be done once all is stored, and before that is said. */
const confirming = (bringer: Bringer, then: (sum: Sum) => Promise<void>): Bringer => {
  let sum: Sum = { bytes: 0, parts: 0 }
  return {
    get bytes() {
      return bringer.bytes
    },
    get isPatient() {
      return bringer.isPatient
    },
    async end() {
      sum = await bringer.end()
      return sum
    },
    async confirm() {
      await bringer.confirm()
      await then(sum)
    },
    explain: error => bringer.explain(error),
    close: () => bringer.close(),
  }
}

const hasCode = (error: unknown, ...codes: readonly string[]): boolean =>
  codes.includes((error as { code?: string } | undefined)?.code ?? '')
