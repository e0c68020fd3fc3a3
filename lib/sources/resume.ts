/**
 * Uploads that were cut off, finished: the parts that lie in a spool go the way of any other.
 */
import { EventEmitter } from 'node:events'
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
import { apiOf, FrameioClient } from '../frameio/client.ts'
import { CONCURRENCY } from '../frameio/options.ts'
import { LIMITS_DOOR } from '../frameio/protocol.ts'
import { followSignal } from '../net/signals.ts'
import { realDisk } from '../spool/disk.ts'
import { isOurs } from '../spool/folder.ts'
import { lock } from '../spool/lock.ts'
import { Unfinished } from '../spool/unfinished.ts'
import { tell } from '../upload/diagnostics.ts'
import type { EventMap, Progress, UploadResult } from '../upload/events.ts'
import { type RealtimeUploadOptions, resolveUploadOptions } from '../upload/options.ts'
import { noCounts, Transfer } from '../upload/transfer.ts'
import { isThereAlready } from './refused.ts'

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
  /** Told of each upload before its first byte is sent, to follow it. */
  readonly onUpload?: ((upload: ResumedUpload) => void) | undefined
  /** Stops after what is under way: that and the rest stay in the spool. */
  readonly signal?: AbortSignal | undefined
}

/** An upload that was resumed and is over; or that could not be. */
export type Resumed = UploadResult | { readonly assetId: string; readonly error: Error }

/** An upload that goes on. */
export interface ResumedUpload {
  readonly assetId: string
  /** A snapshot of where the upload stands. */
  readonly progress: Progress
  /** Of the events of a `RealtimeUpload` there are `part`, `retry` and `close`. */
  on<E extends keyof EventMap>(event: E, listener: (...args: EventMap[E]) => void): ResumedUpload
}

/**
 * Finishes every upload that a spool holds, one after the other. One that fails does not keep the next
 * from being tried; it stays in the spool, with all its bytes.
 *
 * @example
 * for await (const { assetId, error } of resumeUploads({ dir: '/media/spool', client })) {
 *   console.log(assetId, error ?? 'is whole')
 * }
 *
 * @returns an item an upload, once it is over; of one that never had a byte `bytes` is 0
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`, at once. Items carry all others, among them
 *   `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED` and `ERR_SPOOL_INCOMPLETE`
 */
export const resumeUploads = (options: ResumeOptions): AsyncGenerator<Resumed> => {
  object('options', options)
  const known = ['dir', 'client', 'onInterrupted', 'concurrency', 'onUpload', 'signal']
  refuseUnknown('', options, known)
  const { dir, client, onInterrupted = 'finalise', concurrency, onUpload, signal } = options
  take('dir', dir, text('the path of a folder', /./))
  take('client', client, CLIENT)
  take('onInterrupted', onInterrupted, oneOf('finalise', 'keep'))
  takeIfGiven('concurrency', concurrency, CONCURRENCY)
  takeIfGiven('onUpload', onUpload, aFunction)
  takeIfGiven('signal', signal, abortSignal)
  const told = onUpload ?? (() => {})
  return resumeAll({ dir, client, onInterrupted, concurrency, onUpload: told, signal })
}

const CLIENT = rule<FrameioClient>('a FrameioClient', v => v instanceof FrameioClient)

interface Settings extends ResumeOptions {
  readonly onInterrupted: 'finalise' | 'keep'
  readonly onUpload: (upload: ResumedUpload) => void
}

async function* resumeAll(settings: Settings): AsyncGenerator<Resumed> {
  const { dir, signal } = settings
  for (const name of (await namesIn(dir)).sort()) {
    if (signal?.aborted) return
    const folder = join(dir, name)
    if (!(await isOurs(realDisk, folder))) continue
    yield await resume(folder, settings).catch(error => ({
      assetId: basename(folder),
      error: asOurs(folder, error),
    }))
  }
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
const namesIn = (dir: string): Promise<string[]> =>
  realDisk.list(dir).catch(error => {
    const text = `dir must be a folder that can be read; ${error.message}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', text, { option: 'dir', cause: error })
  })

/** What the system says of a disk is an error of the spool's. */
const asOurs = (folder: string, error: Error): Error => {
  if (error instanceof RealtimeUploadError || error instanceof AbortError) return error
  const text = `${folder} cannot be read or written: ${error.message}. Nothing was deleted.`
  return new RealtimeUploadError('ERR_SPOOL_DAMAGED', text, { path: folder, cause: error })
}

const resume = async (folder: string, settings: Settings): Promise<Resumed> => {
  const { client, onInterrupted } = settings
  const unfinished = await Unfinished.open({ folder, disk: realDisk, lock })
  if (!unfinished) return { assetId: basename(folder), bytes: 0, parts: 0 }
  let isOver = false
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
    return { assetId: opening.assetId, bytes, parts }
  } finally {
    await (isOver ? unfinished.finish() : unfinished.close())
  }
}

/** The origin in a journal is compared, and never used: else who can write there gets the token. */
const checkClient = ({ origin, device }: Unfinished['opening'], client: FrameioClient): void => {
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

const send = async (
  unfinished: Unfinished,
  { client, concurrency, onUpload, signal }: Settings,
): Promise<void> => {
  const { opening, stored, whole } = unfinished
  const { assetId, filetype, assetName, partSize } = opening
  const { limits } = apiOf(client).options
  const facts = { client, assetId, filetype, assetName, partSize, concurrency }
  const resolved = resolveUploadOptions({
    ...facts,
    [LIMITS_DOOR]: limits,
  } as RealtimeUploadOptions)
  let failure: Error | undefined
  const events = new EventEmitter()
  const upload: ResumedUpload = {
    assetId,
    get progress() {
      const { bytesUploaded, ...counts } = transfer.counts
      const bytesBuffered = whole.bytes - bytesUploaded
      return {
        bytesReceived: whole.bytes,
        bytesUploaded,
        bytesBuffered,
        ...counts,
        bytesSpooled: bytesBuffered,
        bytesDurable: whole.bytes,
      }
    },
    on(event, listener) {
      events.on(event, listener)
      return upload
    },
  }
  const transfer: Transfer = new Transfer(
    resolved,
    {
      onStored: ({ number, size }, { attempts }) => events.emit('part', { number, size, attempts }),
      onRetry: info => events.emit('retry', info),
      onFailure: error => {
        failure ??= error as Error
      },
    },
    { ...noCounts(), bytesUploaded: stored.bytes, partsUploaded: stored.parts },
  )
  const fail = (error: Error) => {
    failure ??= error
    void transfer.stop(error)
  }
  const abort = (reason: unknown) => fail(new AbortError(reason))
  const unfollow = signal ? followSignal(signal, abort) : () => {}
  try {
    if (signal?.aborted) throw new AbortError(signal.reason)
    const waiting = {
      assetId,
      bytes: whole.bytes - stored.bytes,
      parts: whole.parts - stored.parts,
    }
    tell('frameio-realtime-upload:resumed', () => waiting)
    onUpload(upload)
    for await (const part of unfinished.parts(fail)) {
      if (failure) break // What is left need not be read for its sum.
      transfer.admit(part)
    }
    await transfer.allStored()
  } catch (error) {
    throw failure ?? error
  } finally {
    unfollow()
    await transfer.stop(failure ?? new AbortError('over'))
    events.emit('close')
  }
}
