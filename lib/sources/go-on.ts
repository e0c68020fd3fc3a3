/**
 * An upload that was cut off goes on: its transfer, from the first part that is sent to the last.
 */
import { EventEmitter } from 'node:events'
import { AbortError } from '../errors.ts'
import { apiOf, type FrameioClient } from '../frameio/client.ts'
import { LIMITS_DOOR } from '../frameio/protocol.ts'
import { followSignal } from '../net/signals.ts'
import type { Opening } from '../spool/journal.ts'
import type { EventMap, Progress } from '../upload/events.ts'
import {
  type RealtimeUploadOptions,
  type ResolvedUploadOptions,
  resolveUploadOptions,
} from '../upload/options.ts'
import { noCounts } from '../upload/sender.ts'
import { Transfer } from '../upload/transfer.ts'

/** An upload that goes on. */
export interface ResumedUpload {
  readonly assetId: string
  /** A snapshot of where the upload stands. */
  readonly progress: Progress
  /**
   * Of the events of a `RealtimeUpload` there are `part`, `retry` and `close`; of a file that is followed
   * on `changed` and `warning` as well.
   */
  on<E extends keyof EventMap>(event: E, listener: (...args: EventMap[E]) => void): ResumedUpload
}

export interface GoOnSettings {
  readonly client: FrameioClient
  readonly concurrency: number | undefined
  readonly onUpload: (upload: ResumedUpload) => void
  readonly signal: AbortSignal | undefined
}

export interface GoOn {
  readonly opening: Opening
  /** What S3 has. */
  readonly stored: { readonly parts: number; readonly bytes: number }
  readonly progress: () => Pick<Progress, 'bytesReceived' | 'bytesDurable'>
  /** Is an outage no failure now? Default: it is one. */
  readonly isPatient?: () => boolean
  readonly settings: GoOnSettings
}

/** What whoever sends the parts has of it. */
export interface Ongoing {
  readonly options: ResolvedUploadOptions
  readonly transfer: Transfer
  readonly fail: (error: Error) => void
  /** Aborts as soon as it has failed. */
  readonly signal: AbortSignal
  emit<E extends keyof EventMap>(event: E, ...args: EventMap[E]): void
}

/** @throws what it failed with first */
export const goOn = async <T>(
  { opening, stored, progress, isPatient, settings }: GoOn,
  send: (ongoing: Ongoing) => Promise<T>,
): Promise<T> => {
  const { client, concurrency, onUpload, signal } = settings
  const { assetId } = opening
  const options = optionsOf(opening, client, concurrency)
  const failing = new AbortController()
  const events = new EventEmitter()
  const upload: ResumedUpload = {
    assetId,
    get progress() {
      const { bytesUploaded, ...counts } = transfer.counts
      const { bytesReceived, bytesDurable } = progress()
      const bytesBuffered = bytesReceived - bytesUploaded
      const bytes = { bytesReceived, bytesUploaded, bytesBuffered }
      return { ...bytes, ...counts, bytesSpooled: bytesDurable - bytesUploaded, bytesDurable }
    },
    on(event, listener) {
      events.on(event, listener)
      return upload
    },
  }
  const transfer: Transfer = new Transfer(
    options,
    {
      onStored: ({ number, size }, { attempts }) => events.emit('part', { number, size, attempts }),
      onRetry: info => events.emit('retry', info),
      onFailure: error => failing.abort(error),
      ...(isPatient && { isPatient }),
    },
    { ...noCounts(), bytesUploaded: stored.bytes, partsUploaded: stored.parts },
  )
  const fail = (error: Error) => {
    failing.abort(error) // The first counts.
    void transfer.stop(error)
  }
  const abort = (reason: unknown) => fail(new AbortError(reason))
  const unfollow = signal ? followSignal(signal, abort) : () => {}
  const emit: Ongoing['emit'] = (event, ...args) => void events.emit(event, ...args)
  try {
    if (signal?.aborted) throw new AbortError(signal.reason)
    onUpload(upload)
    return await send({ options, transfer, fail, signal: failing.signal, emit })
  } catch (error) {
    throw failing.signal.reason ?? error
  } finally {
    unfollow()
    await transfer.stop(failing.signal.reason ?? new AbortError('over'))
    events.emit('close')
  }
}

/** As its journal has them, so that every number means the same bytes. */
const optionsOf = (
  { assetId, filetype, assetName, partSize, maxSize, expectedSize, integrity }: Opening,
  client: FrameioClient,
  concurrency: number | undefined,
): ResolvedUploadOptions => {
  const facts = { client, assetId, filetype, assetName, partSize, maxSize, expectedSize, integrity }
  const { limits } = apiOf(client).options
  const options = { ...facts, concurrency, [LIMITS_DOOR]: limits }
  return resolveUploadOptions(options as RealtimeUploadOptions)
}
