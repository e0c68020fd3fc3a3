/**
 * The only file that knows the order of things: a part is registered, waits for a lane, is sent,
 * and is counted; when all are through, the upload is done.
 */
import { setMaxListeners } from 'node:events'
import type { CallContext } from '../frameio/api.ts'
import { type RegisterOptions, registerParts } from '../frameio/client.ts'
import type { ResolvedClientOptions } from '../frameio/options.ts'
import type { RetryContext } from '../net/retry.ts'
import { unlessAborted } from '../net/signals.ts'
import type { Part } from '../spool/home.ts'
import { BlockAccount } from './blocks.ts'
import { tell } from './diagnostics.ts'
import type { RetryInfo } from './events.ts'
import type { ResolvedUploadOptions } from './options.ts'
import type { Receipt, UploadUrl } from './put-part.ts'
import { Registrar } from './registrar.ts'
import { type Counts, Sender } from './sender.ts'
import { type Shared, sharedFor } from './shared.ts'

/** What a transfer tells the stream. */
export interface TransferListener {
  onStored(part: Part, receipt: Receipt): void
  onRetry(info: RetryInfo): void
  /** The first fatal failure. Nothing follows it. */
  onFailure(error: unknown): void
  /** Whether an outage is no failure now, however long it lasts. Default: it is one. */
  readonly isPatient?: () => boolean
}

export class Transfer {
  /** Memory for this upload's parts. */
  readonly memory: BlockAccount
  /** Bytes that memory is limited to, together with the client's other uploads. */
  readonly memoryLimit: number
  readonly counts: Counts
  /** Where its client keeps recordings, if it does; and whose API it is. */
  readonly client: Pick<ResolvedClientOptions, 'spool' | 'baseUrl' | 'device'>
  readonly #options: ResolvedUploadOptions
  readonly #listener: TransferListener
  readonly #shared: Shared
  readonly #sender: Sender
  readonly #registrar: Registrar
  readonly #ending = new AbortController()
  /** Requests under way. */
  readonly #requests = new Set<Promise<unknown>>()
  /** Parts on their way, each to its end. None rejects. */
  readonly #parts = new Set<Promise<void>>()

  /**
   * @param counts what was done before this
   * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
   */
  constructor(options: ResolvedUploadOptions, listener: TransferListener, counts: Counts) {
    const { concurrency, stallTimeout, limits, assetName } = options
    const { signal } = this.#ending
    this.#options = options
    this.#listener = listener
    this.counts = counts
    this.#shared = sharedFor(options)
    const { api, pool, cap } = this.#shared
    this.client = api.options
    this.memoryLimit = api.options.memoryLimit
    this.memory = new BlockAccount(pool)
    this.#sender = new Sender({
      assetId: options.assetId,
      filetype: options.filetype,
      onMismatch: 'the URL signs content-type: pass the filetype the asset was created with',
      dispatcher: api.dispatcher,
      retry: api.options.retry,
      concurrency,
      cap,
      stallTimeout,
      signal,
      counts,
      isPatient: () => listener.isPatient?.() ?? false,
      onRetry: ({ number }, retry) =>
        this.#retrying({ stage: 'put', partNumbers: [number], ...retry }),
    })
    this.#registrar = new Registrar({
      register: (parts, total) => this.#track(this.#register(parts, total)),
      perCall: limits.maxPartsPerCall,
      // While one call's parts are registered, those of the call before it are sent. What retries and
      // waits add to a call is no measure.
      window: ({ size }, callTime) => {
        const moved = this.#sender.movedIn(Math.min(callTime, api.options.apiTimeout))
        return 2 * concurrency + Math.ceil((2 * moved) / size)
      },
      assetName,
    })
    setMaxListeners(0, signal)
    const { closing } = api
    if (closing.aborted) throw closing.reason
    closing.addEventListener('abort', () => this.#fail(closing.reason), { signal })
    api.stayPresent(signal)
  }

  /** Takes a part on its way. Its memory is released when it is stored, or the transfer ends. */
  admit(part: Part): void {
    if (!part.isResent) this.counts.partsFilled++
    const end = this.#send(part).finally(() => this.#parts.delete(end))
    this.#parts.add(end)
  }

  /** How the source is read again, beside PUTs, where that failed: counted and told as they are. */
  reading(partNumbers: readonly number[], signal: AbortSignal): RetryContext {
    return {
      signal,
      pulse: this.#sender.context.pulse,
      retry: this.#shared.api.options.retry,
      onRetry: retry => this.#retrying({ stage: 'read', partNumbers, ...retry }),
    }
  }

  /** Resolves when every part that was admitted is stored. */
  async allStored(): Promise<void> {
    await Promise.all(this.#parts)
    this.#ending.signal.throwIfAborted()
  }

  /** Stops everything; resolves when no request is in flight and all memory is given back. */
  async stop(reason: unknown): Promise<void> {
    this.#ending.abort(reason)
    await Promise.allSettled([...this.#requests, ...this.#parts])
    this.memory.close()
    await this.#shared.close()
  }

  async #send(part: Part): Promise<void> {
    let put: Promise<Receipt> | undefined
    let isStored = false
    try {
      if (part.ready) await this.#unlessEnded(part.ready)
      const url = await this.#unlessEnded(this.#registrar.add(part))
      if (!part.isResent) this.counts.partsRegistered++
      this.#sender.beat()
      put = this.#track(this.#put(part, url))
      const receipt = await this.#unlessEnded(put)
      this.#sender.stored(part, receipt)
      this.#listener.onStored(part, receipt)
      isStored = true
    } catch (error) {
      // Before its memory goes back: that would let a source go on into an upload that has failed.
      this.#fail(error)
    } finally {
      await put?.catch(() => {}) // Until it has settled, its socket may be reading the part's bytes.
      part.release(isStored)
    }
  }

  #put(part: Part, url: UploadUrl): Promise<Receipt> {
    return this.#sender.put(part, {
      url,
      renew: () => this.#unlessEnded(this.#registrar.again(part)),
      onLane: () => this.#registrar.startPart(),
    })
  }

  async #register(parts: readonly Part[], total: RegisterOptions): Promise<string[]> {
    const partNumbers = parts.map(part => part.number)
    const { assetId } = this.#options
    const context: CallContext = {
      ...this.#sender.context,
      onRetry: retry => this.#retrying({ stage: 'register', partNumbers, ...retry }),
    }
    const start = performance.now()
    const urls = await registerParts(this.#shared.api, assetId, parts, total, context)
    const duration = performance.now() - start
    tell('frameio-realtime-upload:register', () => ({ assetId, partNumbers, duration }))
    return urls
  }

  #retrying(info: RetryInfo): void {
    this.counts.retries++
    const { assetId } = this.#options
    tell('frameio-realtime-upload:retry', () => ({ assetId, ...info }))
    this.#listener.onRetry(info)
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
