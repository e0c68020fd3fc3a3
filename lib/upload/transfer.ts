/**
 * The only file that knows the order of things: a part is registered, waits for a lane, is sent,
 * and is counted; when all are through, the upload is done.
 */
import { setMaxListeners } from 'node:events'
import pLimit, { type LimitFunction } from 'p-limit'
import type { RealtimeUploadError } from '../errors.ts'
import type { Api, CallContext } from '../frameio/api.ts'
import { apiOf, FrameioClient, type RegisterOptions, registerParts } from '../frameio/client.ts'
import { DEFAULT_CAP, type FrameioClientOptions } from '../frameio/options.ts'
import { LIMITS_DOOR } from '../frameio/protocol.ts'
import { Pulse } from '../net/retry.ts'
import { unlessAborted } from '../net/signals.ts'
import { BlockAccount, BlockPool } from './blocks.ts'
import { tell } from './diagnostics.ts'
import type { RetryInfo } from './events.ts'
import type { ResolvedUploadOptions } from './options.ts'
import type { Part } from './part.ts'
import { putPart, type Receipt, type UploadUrl } from './put-part.ts'
import { Registrar } from './registrar.ts'

/** What a transfer tells the stream. */
export interface TransferListener {
  onStored(part: Part, receipt: Receipt): void
  onRetry(info: RetryInfo): void
  /** The first fatal failure. Nothing follows it. */
  onFailure(error: unknown): void
}

/** What all uploads of a client share, beside what the client itself holds. */
interface Shared {
  readonly pool: BlockPool
  /** The cap on PUTs in flight. */
  readonly cap: LimitFunction
}

const shares = new WeakMap<FrameioClient, Shared>()

const sharesOf = (client: FrameioClient): Shared => {
  const known = shares.get(client)
  if (known) return known
  const { memoryLimit, concurrency, limits } = apiOf(client).options
  const shared = {
    pool: new BlockPool(memoryLimit, limits.blockSize),
    cap: pLimit(concurrency),
  }
  shares.set(client, shared)
  return shared
}

/** Rate assumed before the first part was stored, in bytes per ms: 512 KiB/s. */
const FIRST_RATE = (512 * 2 ** 10) / 1_000

export class Transfer {
  /** Memory for this upload's parts. */
  readonly memory: BlockAccount
  /** Bytes that memory is limited to, together with the client's other uploads. */
  readonly memoryLimit: number
  readonly counts = {
    bytesUploaded: 0,
    partsFilled: 0,
    partsRegistered: 0,
    partsUploaded: 0,
    partsInFlight: 0,
    retries: 0,
  }
  readonly #options: ResolvedUploadOptions
  readonly #listener: TransferListener
  /** The client that this upload made for itself. */
  readonly #ownClient: FrameioClient | undefined
  readonly #api: Api
  readonly #cap: LimitFunction
  readonly #lanes: LimitFunction
  readonly #registrar: Registrar
  readonly #pulse = new Pulse()
  readonly #ending = new AbortController()
  /** Requests under way. */
  readonly #requests = new Set<Promise<unknown>>()
  /** Parts on their way, each to its end. None rejects. */
  readonly #parts = new Set<Promise<void>>()
  /** What a lane moved lately, in bytes per ms: measured on this upload's stored parts. */
  #rate: number | undefined

  /** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
  constructor(options: ResolvedUploadOptions, listener: TransferListener) {
    const { client, connection, concurrency, limits, assetName } = options
    this.#options = options
    this.#listener = listener
    this.#ownClient = client ? undefined : ownClient(options)
    const lender = client ?? (this.#ownClient as FrameioClient)
    const { pool, cap } = sharesOf(lender)
    this.#api = client ? apiOf(client, connection) : apiOf(lender)
    this.#cap = cap
    this.memoryLimit = this.#api.options.memoryLimit
    const ownMemory = client !== undefined && connection.memoryLimit !== undefined
    this.memory = new BlockAccount(
      !ownMemory ? pool : new BlockPool(this.memoryLimit, pool.blockSize),
    )
    this.#lanes = pLimit(concurrency)
    this.#registrar = new Registrar({
      register: (parts, total) => this.#track(this.#register(parts, total)),
      perCall: limits.maxPartsPerCall,
      window: 2 * concurrency,
      assetName,
    })
    const { signal } = this.#ending
    setMaxListeners(0, signal)
    const { closing } = this.#api
    if (closing.aborted) throw closing.reason
    closing.addEventListener('abort', () => this.#fail(closing.reason), { signal })
  }

  /** Takes a part on its way. Its memory is released when it is stored, or the transfer ends. */
  admit(part: Part): void {
    this.counts.partsFilled++
    const end = this.#send(part).finally(() => this.#parts.delete(end))
    this.#parts.add(end)
  }

  /** Resolves when every part that was admitted is stored. */
  async finish(): Promise<void> {
    await Promise.all(this.#parts)
    this.#ending.signal.throwIfAborted()
  }

  /** Stops everything; resolves when no request is in flight and all memory is given back. */
  async end(reason: unknown): Promise<void> {
    this.#ending.abort(reason)
    this.#lanes.clearQueue()
    await Promise.allSettled([...this.#requests, ...this.#parts])
    this.memory.close()
    await this.#ownClient?.close()
  }

  async #send(part: Part): Promise<void> {
    let put: Promise<Receipt> | undefined
    try {
      const url = await this.#unlessEnded(this.#registrar.add(part))
      this.counts.partsRegistered++
      this.#pulse.beat()
      const inLane = () => {
        this.#registrar.startPart()
        return this.#cap(() => {
          this.#ending.signal.throwIfAborted()
          put = this.#track(this.#put(part, url))
          return put
        })
      }
      this.#stored(part, await this.#unlessEnded(this.#lanes(inLane)))
    } catch (error) {
      // Before its memory goes back: that would let a source go on into an upload that has failed.
      this.#fail(error)
    } finally {
      await put?.catch(() => {}) // Until it has settled, its socket may be reading the part's bytes.
      part.release()
    }
  }

  async #put(part: Part, url: UploadUrl): Promise<Receipt> {
    const { assetId, filetype, stallTimeout } = this.#options
    this.counts.partsInFlight++
    try {
      return await putPart({
        part,
        url,
        assetId,
        filetype,
        dispatcher: this.#api.dispatcher,
        renew: () => this.#unlessEnded(this.#registrar.again(part)),
        // The stall rule. Bytes that the kernel took are not bytes that arrived, so progress inside
        // a PUT cannot be seen: only its whole duration can be judged, by what others took.
        allowed: stalls =>
          (stallTimeout + (4 * part.size) / (this.#rate ?? FIRST_RATE)) * 2 ** stalls,
        context: { ...this.#context('put', [part.number]), retry: this.#api.options.retry },
      })
    } finally {
      this.counts.partsInFlight--
    }
  }

  async #register(parts: readonly Part[], total: RegisterOptions): Promise<string[]> {
    const partNumbers = parts.map(part => part.number)
    const { assetId } = this.#options
    const context = this.#context('register', partNumbers)
    const start = performance.now()
    const urls = await registerParts(this.#api, assetId, parts, total, context)
    const duration = performance.now() - start
    tell('frameio-realtime-upload:register', () => ({ assetId, partNumbers, duration }))
    return urls
  }

  #context(stage: RetryInfo['stage'], partNumbers: readonly number[]): CallContext {
    return {
      signal: this.#ending.signal,
      pulse: this.#pulse,
      onRetry: (attempt, delay, error) => {
        this.counts.retries++
        if (stage === 'put') this.#narrow(error)
        const info = { stage, partNumbers, attempt, delay, error }
        const { assetId } = this.#options
        tell('frameio-realtime-upload:retry', () => ({ assetId, ...info }))
        this.#listener.onRetry(info)
      },
    }
  }

  #stored(part: Part, receipt: Receipt): void {
    this.counts.bytesUploaded += part.size
    this.counts.partsUploaded++
    this.#pulse.beat()
    const rate = part.size / Math.max(receipt.duration, 1)
    this.#rate = this.#rate === undefined ? rate : (this.#rate + rate) / 2
    this.#lanes.concurrency = Math.min(this.#lanes.concurrency + 1, this.#options.concurrency)
    const { assetId } = this.#options
    const { number: partNumber, size } = part
    tell('frameio-realtime-upload:put', () => ({ assetId, partNumber, size, ...receipt }))
    this.#listener.onStored(part, receipt)
  }

  /** Fewer lanes for a link that collapses or a store that asks to slow down. */
  #narrow({ code, storageCode }: RealtimeUploadError): void {
    const { concurrency } = this.#lanes
    if (storageCode === 'SlowDown') this.#lanes.concurrency = Math.ceil(concurrency / 2)
    else if (code === 'ERR_TIMEOUT') this.#lanes.concurrency = Math.max(1, concurrency - 1)
  }

  #fail(error: unknown): void {
    if (this.#ending.signal.aborted) return // Only the first cause counts.
    this.#ending.abort(error)
    this.#listener.onFailure(error)
  }

  #unlessEnded<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(this.#ending.signal, promise)
  }

  #track<T>(request: Promise<T>): Promise<T> {
    this.#requests.add(request)
    const done = () => this.#requests.delete(request)
    request.then(done, done)
    return request
  }
}

/** A client for one upload. Its cap is never below what the upload asks for. */
const ownClient = ({ connection, concurrency, limits }: ResolvedUploadOptions): FrameioClient =>
  new FrameioClient({
    ...(connection as FrameioClientOptions),
    concurrency: Math.max(concurrency, DEFAULT_CAP),
    [LIMITS_DOOR]: limits,
  } as FrameioClientOptions)
