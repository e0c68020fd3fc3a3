/**
 * Uploads that were cut off, finished: the parts that lie in a spool go the way of any other.
 */
import { basename, join } from 'node:path'
import {
  abortSignal,
  aFunction,
  object,
  oneOf,
  refuseUnknown,
  rule,
  take,
  takeIfGiven,
  text,
} from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { type FollowOptions, type ResolvedFollowOptions, resolveFollow } from '../follow/options.ts'
import { apiOf, FrameioClient } from '../frameio/client.ts'
import { CONCURRENCY } from '../frameio/options.ts'
import { lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { isOurs } from '../spool/folder.ts'
import { Followed } from '../spool/followed.ts'
import type { KeptFile } from '../spool/home.ts'
import type { Opening } from '../spool/journal.ts'
import { namesIn } from '../spool/names-in.ts'
import { reopen } from '../spool/reopen.ts'
import { Unfinished } from '../spool/unfinished.ts'
import { tell } from '../upload/diagnostics.ts'
import type { UploadResult } from '../upload/events.ts'
import { mendKept } from '../upload/kept-wav.ts'
import { LateHead } from '../upload/late-head.ts'
import { finishWav } from '../upload/wav.ts'
import { type FollowOnSettings, followOn } from './follow-on.ts'
import { type GoOnSettings, goOn, type ResumedUpload } from './go-on.ts'
import { type CutOff, isThereAlready } from './refused.ts'
import { remember } from './remember.ts'

export interface ResumeOptions {
  /** The folder that `spool.dir` was. */
  readonly dir: string
  /** Whose token and connections to use. Its `baseUrl` must be of the origin that the uploads went to. */
  readonly client: FrameioClient
  /**
   * What becomes of a recording that was cut off before its end: `'finalise'` makes what is there the
   * file; `'keep'` sends what can be sent, and leaves asset and folder open. Default `'finalise'`.
   */
  readonly onInterrupted?: 'finalise' | 'keep' | undefined
  /** PUTs in flight at once: 1..1000. Default 4. */
  readonly concurrency?: number | undefined
  /**
   * How files that were followed are followed on; `idle` counts from their last change. Default: as
   * `follow: true`, and a file that is gone fails at once.
   */
  readonly follow?: FollowOptions | undefined
  /** Told of each upload before its first byte is sent, to follow it. */
  readonly onUpload?: ((upload: ResumedUpload) => void) | undefined
  /** Stops after what is under way: that and the rest stay in the spool. */
  readonly signal?: AbortSignal | undefined
}

/** An upload that was resumed and is over; or that could not be. */
export type Resumed = ResumedResult | { readonly assetId: string; readonly error: Error }

export interface ResumedResult extends UploadResult {
  /** Of a file that was followed: it is over, and its head says that its writer did not finish it. */
  readonly isUnfinished?: boolean
}

/**
 * Finishes every upload that a spool holds, one after the other. One that fails does not keep the next
 * from being tried; it stays in the spool, with all its bytes.
 *
 * @example
 * for await (const one of resumeUploads({ dir: '/media/spool', client })) {
 *   console.log(one.assetId, 'error' in one ? one.error.message : 'is whole')
 * }
 *
 * @returns an item an upload, once it is over; of one that never had a byte `bytes` is 0
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`, at once. Items carry all others, among them
 *   `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED` and `ERR_SPOOL_INCOMPLETE`
 */
export const resumeUploads = (options: ResumeOptions): AsyncGenerator<Resumed> => {
  object('options', options)
  const known = ['dir', 'client', 'onInterrupted', 'follow', 'concurrency', 'onUpload', 'signal']
  refuseUnknown('', options, known)
  const { dir, client, onInterrupted = 'finalise', follow, concurrency, onUpload, signal } = options
  take('dir', dir, text('the path of a folder', /./))
  take('client', client, CLIENT)
  take('onInterrupted', onInterrupted, oneOf('finalise', 'keep'))
  takeIfGiven('concurrency', concurrency, CONCURRENCY)
  takeIfGiven('onUpload', onUpload, aFunction)
  takeIfGiven('signal', signal, abortSignal)
  const followed = resolveFollow('follow', { appear: 0, ...object('follow', follow ?? {}) })
  const told = onUpload ?? (() => {})
  const chosen = { concurrency, onUpload: told, signal }
  return resumeAll({ dir, client, onInterrupted, followed, ...chosen })
}

const CLIENT = rule<FrameioClient>('a FrameioClient', v => v instanceof FrameioClient)

interface Settings extends GoOnSettings {
  readonly dir: string
  readonly onInterrupted: 'finalise' | 'keep'
  readonly followed: ResolvedFollowOptions | undefined
}

async function* resumeAll(settings: Settings): AsyncGenerator<Resumed> {
  const { dir, signal } = settings
  for (const name of (await namesIn(dir)).sort()) {
    if (signal?.aborted) return
    const folder = join(dir, name)
    if (!(await isOurs(realDisk, folder))) continue
    const resumed = await resume(folder, settings).catch(async error => {
      // Whoever else resumes has finished it in this very moment.
      if (!(await isOurs(realDisk, folder))) return undefined
      return { assetId: basename(folder), error: asOurs(folder, error) }
    })
    if (resumed) yield resumed
  }
}

/** What the system says of a disk is an error of the spool's. */
const asOurs = (folder: string, error: Error): Error => {
  if (error instanceof RealtimeUploadError || error instanceof AbortError) return error
  const text = `${folder} cannot be read or written: ${error.message}. Nothing was deleted.`
  return new RealtimeUploadError('ERR_SPOOL_DAMAGED', text, { path: folder, cause: error })
}

const resume = async (folder: string, settings: Settings): Promise<Resumed> => {
  const reopened = await reopen({ folder, disk: realDisk, lock })
  if (!reopened) return { assetId: basename(folder), bytes: 0, parts: 0 }
  const { followed, opening } = reopened.recovery
  if (!followed) return resumeSpooled(new Unfinished(reopened), settings)
  let isRemembered = false
  const onWhole = async (stored: Parameters<typeof remember>[2]) => {
    await remember(settings.dir, opening, stored)
    isRemembered = true
  }
  const done = await resumeFollowed(new Followed(reopened, followed), { ...settings, onWhole })
  if (!isRemembered) await onWhole({ bytes: done.bytes, state: undefined })
  return done
}

const resumeSpooled = async (unfinished: Unfinished, settings: Settings): Promise<Resumed> => {
  const { client, onInterrupted } = settings
  let isOver = false
  let over: Omit<UploadResult, 'kept'>
  const mend = async (kept: KeptFile) => {
    const { lateHead, partSize } = unfinished.opening
    if (lateHead === 'wav') await mendKept(kept, unfinished.whole.bytes, partSize)
  }
  let kept: KeptFile | undefined
  try {
    const { opening } = unfinished
    checkClient(opening, client)
    if (onInterrupted === 'finalise') await unfinished.end()
    const { bytes, parts } = unfinished.whole
    if (!unfinished.isDone && bytes > 0) {
      await send(unfinished, settings).catch(async error => {
        await isThereAlready(unfinished, client, error)
      })
    }
    isOver = unfinished.hasEnded || bytes === 0
    over = { assetId: opening.assetId, bytes, parts }
  } finally {
    if (isOver) kept = await unfinished.finish(mend)
    else await unfinished.close()
  }
  return { ...over, ...(kept && { kept }) }
}

const send = (unfinished: Unfinished, settings: Settings): Promise<void> => {
  const { opening, stored, whole } = unfinished
  const progress = () => ({ bytesReceived: whole.bytes, bytesDurable: whole.bytes })
  return goOn({ opening, stored, progress, settings }, async ({ transfer, fail, signal }) => {
    tell('frameio-realtime-upload:resumed', () => ({
      assetId: opening.assetId,
      bytes: whole.bytes - stored.bytes,
      parts: whole.parts - stored.parts,
    }))
    const lateHead =
      opening.lateHead &&
      new LateHead({
        mend: opening.lateHead === 'wav' ? finishWav : true,
        admit: part => transfer.admit(part),
        onHold: () => {}, // It lies on the disk.
        onWarning: () => {}, // That was said when its first bytes came.
      })
    for await (const part of unfinished.parts(fail)) {
      if (signal.aborted) break // What is left need not be read for its sum.
      if (lateHead) lateHead.take(part)
      else transfer.admit(part)
    }
    if (!signal.aborted && unfinished.hasEnded) await lateHead?.end(whole.bytes)
    await transfer.allStored()
  })
}

/** As far as the file has come, or is still to come. Not exported from the package. */
export const resumeFollowed = async (
  followed: Followed,
  settings: FollowOnSettings,
): Promise<ResumedResult> => {
  let isOver = false
  try {
    const { opening, final, isDone } = followed
    checkClient(opening, settings.client)
    const { parts, total: bytes } = final ?? { parts: 0, total: 0 }
    let whole: Awaited<ReturnType<typeof followOn>> = { bytes, parts }
    if (!isDone) {
      whole = await followOn(followed, settings).catch(async error => {
        await isThereAlready(asCutOff(followed), settings.client, error)
        return whole
      })
    }
    isOver = true
    return { assetId: opening.assetId, ...whole }
  } finally {
    await (isOver ? followed.finish() : followed.close())
  }
}

const asCutOff = ({ folder, opening, final }: Followed): CutOff => ({
  ...{ folder, opening },
  hasEnded: final !== undefined,
  hadEnded: final !== undefined,
  isLastUncertain: false,
  whole: { parts: final?.parts ?? 0, bytes: final?.total ?? 0 },
})

/** The origin in a journal is compared, and never used: else who can write there gets the token. */
const checkClient = ({ origin, device }: Opening, client: FrameioClient): void => {
  const { options } = apiOf(client)
  if (options.baseUrl.origin !== origin) {
    const message = `client must be one for ${origin}, where the upload began; received one for ${options.baseUrl.origin}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', message, { option: 'client' })
  }
  if ((options.device === undefined) !== (device === undefined)) {
    const message = `client must have ${device === undefined ? 'no device' : 'a device'}, as the upload began`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', message, { option: 'client' })
  }
}
