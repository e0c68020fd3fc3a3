/**
 * Sends parts whose URLs are known: a lane for each PUT, another try, and what is counted of it. Where URLs
 * come from is others' business.
 */
import type { LimitFunction } from 'p-limit'
import type { Dispatcher } from 'undici'
import type { RealtimeUploadError } from '../errors.ts'
import { Pulse, type Retry, type RetryContext, type RetryOptions } from '../net/retry.ts'
import type { Part } from '../spool/home.ts'
import { tell } from './diagnostics.ts'
import { Lanes } from './lanes.ts'
import { type PutOptions, putPart, type Receipt, type UploadUrl } from './put-part.ts'

/** How far an upload has come; see `Progress`. */
export interface Counts {
  bytesUploaded: number
  bytesResent: number
  partsFilled: number
  partsRegistered: number
  partsUploaded: number
  partsInFlight: number
  retries: number
}

export const noCounts = (): Counts => ({
  bytesUploaded: 0,
  bytesResent: 0,
  partsFilled: 0,
  partsRegistered: 0,
  partsUploaded: 0,
  partsInFlight: 0,
  retries: 0,
})

export interface SenderOptions {
  readonly assetId: string
  readonly filetype: string
  /** See `PutOptions`. */
  readonly onMismatch: string
  readonly dispatcher: Dispatcher
  readonly retry: RetryOptions
  /** Lanes. */
  readonly concurrency: number
  /** PUTs in flight over all uploads of the client. */
  readonly cap: LimitFunction
  /** In ms. */
  readonly stallTimeout: number
  /** Ends every PUT. */
  readonly signal: AbortSignal
  /** Counted on: what was done before stands in it. */
  readonly counts: Counts
  /** Whether an outage is no failure now, however long it lasts. */
  readonly isPatient: () => boolean
  /** A PUT failed and will be tried again. */
  readonly onRetry: (part: Part, retry: Retry) => void
}

/** What sending one part needs beside it. */
export interface SendOptions {
  readonly url: UploadUrl
  readonly renew: PutOptions['renew']
  /** Told when it has its first lane. */
  readonly onLane?: () => void
}

export class Sender {
  readonly #options: SenderOptions
  readonly #lanes: Lanes
  readonly #pulse = new Pulse()

  constructor(options: SenderOptions) {
    const { concurrency, cap, stallTimeout, retry, signal } = options
    this.#options = options
    const { giveUpAfter } = retry
    this.#lanes = new Lanes({ concurrency, cap, stallTimeout, giveUpAfter, signal })
  }

  /** Something moved: the budgets of all that fails begin anew. */
  beat(): void {
    this.#pulse.beat()
  }

  /** Bytes that all lanes together move in so many ms; 0 before the first part was stored. */
  movedIn(ms: number): number {
    return this.#lanes.movedIn(ms)
  }

  /** What ends a request of this upload, and renews its budget. */
  get context(): Pick<RetryContext, 'signal' | 'pulse' | 'isPatient'> {
    const { signal, isPatient } = this.#options
    return { signal, pulse: this.#pulse, isPatient }
  }

  /** @throws {RealtimeUploadError} when it cannot be sent; the signal's reason when it aborts */
  put(part: Part, { url, renew, onLane }: SendOptions): Promise<Receipt> {
    const { assetId, filetype, onMismatch, dispatcher, retry, counts } = this.#options
    const { isPatient, onRetry } = this.#options
    let wasInLane = false
    const start = async () => {
      const leave = await this.#lanes.enter()
      if (!wasInLane) onLane?.()
      wasInLane = true
      counts.partsInFlight++
      return () => {
        counts.partsInFlight--
        part.rest?.()
        leave()
      }
    }
    return putPart({
      part,
      url,
      assetId,
      filetype,
      onMismatch,
      dispatcher,
      renew,
      start,
      allowed: () => this.#lanes.allowed(part.size),
      onCut: after => this.#lanes.cut(after) && !isPatient(),
      context: {
        ...this.context,
        retry,
        onRetry: failed => {
          this.#slowDown(failed.error)
          onRetry(part, failed)
        },
      },
    })
  }

  /** A part is stored: counts it. */
  stored(part: Part, receipt: Receipt): void {
    const { assetId, counts } = this.#options
    if (part.isResent) counts.bytesResent += part.size
    else {
      counts.bytesUploaded += part.size
      counts.partsUploaded++
    }
    this.#pulse.beat()
    this.#lanes.stored(part.size, receipt.duration)
    const { number: partNumber, size } = part
    tell('frameio-realtime-upload:put', () => ({ assetId, partNumber, size, ...receipt }))
  }

  /** A store that asks to slow down, or finds that a body came too slowly. */
  #slowDown({ storageCode }: RealtimeUploadError): void {
    if (storageCode === 'SlowDown') this.#lanes.halve()
    else if (storageCode === 'RequestTimeout') this.#lanes.narrow()
  }
}
