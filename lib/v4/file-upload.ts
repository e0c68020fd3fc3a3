/**
 * The upload of a finished file, from its creation at Frame.io to the last receipt of S3's.
 *
 *   what is noted ──► create ──► PUT every slice ──► the file is as it was ──► done
 *     (recall.ts)       ▲              │
 *                       └── delete ◄───┴── the URLs have expired
 *
 * What holds always:
 *   1. `run` resolves only when S3 has answered every PUT with an ETag, and the file is what it was.
 *   2. When it has ended nothing is in flight, and the file and the record are closed.
 *   3. What it created and did not finish it deletes, or says that it could not; with a record it stays, and
 *      the record knows of it.
 */
import { setMaxListeners } from 'node:events'
import { AbortError, type ErrorCode, RealtimeUploadError } from '../errors.ts'
import { untilInReach } from '../follow/reach.ts'
import { type FrameioV4Client, type V4Inside, v4Of } from '../frameio/v4/client.ts'
import { Pulse, type Retry } from '../net/retry.ts'
import { followSignal } from '../net/signals.ts'
import type { FileFacts } from '../spool/ledger.ts'
import { tell } from '../upload/diagnostics.ts'
import { sharesOf } from '../upload/shared.ts'
import { bytesOf, type Creation, expiredForGood, UrlsExpired } from './creation.ts'
import type { FileWarning, UploadedFile } from './events.ts'
import type { FileTarget, ResolvedFileSettings } from './options.ts'
import { type Known, recall } from './recall.ts'
import type { Record } from './record.ts'
import type { Created, Opening } from './record-state.ts'
import { RemoteFile } from './remote-file.ts'
import { sendSlices } from './send-slices.ts'
import { Tally } from './tally.ts'
import { Teller } from './teller.ts'
import { WholeFile } from './whole-file.ts'

export interface FileUploadOptions {
  readonly client: FrameioV4Client
  readonly target: FileTarget
  readonly settings: ResolvedFileSettings
  /** Opens the record; undefined: nothing is noted. */
  readonly openRecord: (() => Promise<Record>) | undefined
  /** Whether a file that is another than in the record is begun anew. Else that is an error. */
  readonly takesOther: boolean
  /** Told of the file as it was opened, before anything is asked for: throws where it is not the one that is meant. */
  readonly onOpen?: (facts: FileFacts) => Promise<void>
  /** Whether an outage is no failure now, however long it lasts. Default: it is one. */
  readonly isPatient?: () => boolean
  /** S3 has all of it; awaited before the record goes. */
  readonly onStored?: (file: UploadedFile) => Promise<void>
  /** Whether others say how to go on where this fails and a record stays. Default: it says so. */
  readonly isToldByOthers?: boolean
}

export class FileUpload {
  readonly #options: FileUploadOptions
  readonly #inside: V4Inside
  readonly #ending = new AbortController()
  readonly #teller: Teller
  readonly #remote: RemoteFile
  #record: Record | undefined

  constructor(options: FileUploadOptions) {
    const { client, target, settings } = options
    const { signal } = this.#ending
    this.#options = options
    this.#inside = v4Of(client)
    this.#teller = new Teller(settings, this.#ending)
    const pulse = new Pulse()
    this.#remote = new RemoteFile({
      inside: this.#inside,
      target,
      contextOf: stage => ({
        signal,
        pulse,
        isPatient: () => this.#isPatient,
        onRetry: retry => this.#teller.retrying(stage, [], retry),
      }),
    })
    setMaxListeners(0, signal)
  }

  /** @throws {RealtimeUploadError}; an `AbortError` when the signal aborts */
  async run(): Promise<UploadedFile> {
    const ending = this.#ending
    const { signal } = this.#options.settings
    const { closing } = this.#inside.api
    const unfollow = [
      signal && followSignal(signal, reason => ending.abort(new AbortError(reason))),
      followSignal(closing, reason => ending.abort(reason)),
    ]
    if (signal?.aborted) ending.abort(new AbortError(signal.reason))
    if (closing.aborted) ending.abort(closing.reason)
    try {
      ending.signal.throwIfAborted()
      return await this.#run()
    } catch (error) {
      ending.abort(error)
      // The first cause: what a callback threw, or the signal.
      throw await this.#leave(ending.signal.reason)
    } finally {
      this.#teller.stop()
      for (const stop of unfollow) stop?.()
      // Why it ended is what counts, whatever the disk says as it is closed.
      await this.#record?.close().catch(() => {})
    }
  }

  async #run(): Promise<UploadedFile> {
    const { target, openRecord } = this.#options
    this.#record = await openRecord?.()
    if (this.#record) this.#record.onFailure = error => this.#notNoted(error)
    const file = await WholeFile.open(target.path, this.#ending.signal)
    try {
      await this.#options.onOpen?.(file.facts)
      const done = await this.#send(file)
      await this.#options.onStored?.(done)
      // All is stored, whatever the disk says now: who goes on finds that out.
      await this.#record?.done().catch(error => this.#notNoted(error))
      return done
    } finally {
      await file.close()
    }
  }

  async #send(file: WholeFile): Promise<UploadedFile> {
    this.#teller.tally = new Tally(file.facts.size)
    let known = await this.#recall(file)
    for (let times = 1; ; times++) {
      known ??= { creation: await this.#create(file), stored: new Set(), isWhole: false }
      const { creation } = known
      try {
        await this.#put(file, known)
        return this.#over(file, creation)
      } catch (error) {
        if (!(error instanceof UrlsExpired)) throw error
        const end = expiredForGood(creation, error, times)
        if (end) throw end
        await this.#drop(creation, 'URLS_EXPIRED', 'its URLs have expired')
        known = undefined
      }
    }
  }

  async #create(file: WholeFile): Promise<Creation> {
    const at = Date.now()
    const k = (await this.#record?.creating(at)) ?? 0
    const creation = await this.#remote.create(file.facts.size, k, at)
    await this.#record?.created(creation)
    return creation
  }

  async #put(file: WholeFile, { creation, stored, isWhole }: Known): Promise<void> {
    const { settings } = this.#options
    const { api } = this.#inside
    const { dispatcher, options } = api
    const { fileId: assetId, slices, parts } = creation
    const { size } = file.facts
    const before = isWhole
      ? { bytes: size, parts }
      : { bytes: bytesOf(slices.filter(({ number }) => stored.has(number))), parts: stored.size }
    const counts = this.#teller.tally.begin(parts, before)
    if (before.parts > 0) {
      const left = { bytes: size - before.bytes, parts: parts - before.parts }
      tell('frameio-realtime-upload:resumed', () => ({ assetId, ...left }))
    }
    this.#teller.moved()
    if (isWhole) return
    const retrying = (stage: 'put' | 'read', number: number, retry: Retry) => {
      const info = { stage, partNumbers: [number], ...retry }
      tell('frameio-realtime-upload:retry', () => ({ assetId, ...info }))
      this.#teller.retrying(stage, [number], retry)
    }
    await sendSlices({
      ...{ creation, stored, file, counts, dispatcher },
      signal: this.#ending.signal,
      retry: options.retry,
      concurrency: settings.concurrency,
      stallTimeout: settings.stallTimeout,
      cap: sharesOf(api).cap,
      isMd5Wanted: settings.integrity === 'md5',
      isReused: options.dispatcher === undefined,
      isPatient: () => this.#isPatient,
      onRetry: ({ number }, retry) => retrying('put', number, retry),
      onStored: async ({ number, size }, { attempts }) => {
        await this.#record?.stored(creation.k, number)
        this.#teller.emit({ type: 'part', number, size, attempts })
        this.#teller.moved()
        // Holds 1, after the last part; and after any other it is better to learn of it than a terabyte later.
        await untilInReach(() => file.confirm(), {
          signal: this.#ending.signal,
          pulse: new Pulse(),
          retry: options.retry,
          isPatient: () => this.#isPatient,
          onRetry: retry => retrying('read', number, retry),
        })
      },
    })
  }

  #over(file: WholeFile, { fileId, name, parts, viewUrl }: Created): UploadedFile {
    const bytes = file.facts.size
    this.#teller.progress()
    this.#ending.signal.throwIfAborted() // By that callback, just now.
    tell('frameio-realtime-upload:done', () => ({
      assetId: fileId,
      bytes,
      parts,
      error: undefined,
    }))
    return { fileId, name, bytes, parts, viewUrl }
  }

  async #recall(file: WholeFile): Promise<Known | undefined> {
    const record = this.#record
    if (!record) return undefined
    const { api, accountId } = this.#inside
    const { target, settings, takesOther } = this.#options
    const { folderId, name } = target
    const { baseUrl } = api.options
    const opening: Opening = {
      ...{ origin: baseUrl.origin, accountId, folderId, name, integrity: settings.integrity },
      ...file.facts,
    }
    return recall({
      record,
      opening,
      remote: this.#remote,
      isSecure: baseUrl.protocol === 'https:',
      takesOther,
      drop: (created, code, why) => this.#drop(created, code, why),
    })
  }

  /** A file of ours at Frame.io is of no more use. */
  async #drop(created: Created, code: FileWarning['code'], why: string): Promise<void> {
    const { fileId } = created
    const message = `File ${fileId} cannot be finished (${why}): it is created anew, and all of it is sent again`
    this.#teller.warn({ code, message })
    await this.#remote.delete(created).catch(error => {
      this.#ending.signal.throwIfAborted()
      const message = `${unfinished(fileId)} (${error.message})`
      this.#teller.warn({ code: 'LEFT_BEHIND', message })
    })
    await this.#record?.dropped()
    this.#remote.created = undefined
  }

  #notNoted({ message }: Error): void {
    const text = `The disk of the spool failed (${message}): what is stored from now on is not noted, and would be sent again`
    this.#teller.warn({ code: 'SPOOL_FAILED', message: text })
  }

  /** It has failed: deletes what nobody would finish. @returns the error, which says what is left */
  async #leave(error: unknown): Promise<unknown> {
    const record = this.#record
    const remote = this.#remote
    const { created, mayExist } = remote
    if (created) {
      const { bytesUploaded: bytes, partsUploaded: parts } = this.#teller.tally.progress
      const done = { assetId: created.fileId, bytes, parts, error: error as Error }
      tell('frameio-realtime-upload:done', () => done)
    }
    const isLost = hasCode(error, 'ERR_SOURCE_CHANGED', 'ERR_SOURCE_TRUNCATED')
    if (created && record && !isLost) {
      // Of a damage, and of another file, is said already what to do.
      const isSaid = hasCode(error, 'ERR_SPOOL_DAMAGED', 'ERR_SOURCE_REPLACED')
      if (isSaid || this.#options.isToldByOthers) return error
      return explained(error, `What is stored is noted in ${record.folder}: the same call goes on`)
    }
    const failure = mayExist ? await remote.clean() : undefined
    if (failure !== undefined) {
      const { name } = this.#options.target
      const what = created ? unfinished(created.fileId) : `An unfinished file ${name} may be left`
      return explained(error, `${what} (${failure})`)
    }
    try {
      if (mayExist) await record?.dropped()
      if (record?.isEmpty) await record.remove()
    } catch {
      // Then it says more than there is: who finds it asks Frame.io.
    }
    return error
  }

  get #isPatient(): boolean {
    return this.#options.isPatient?.() ?? false
  }
}

const unfinished = (fileId: string): string =>
  `File ${fileId} stays unfinished at Frame.io: it could not be deleted`

const hasCode = (error: unknown, ...codes: readonly ErrorCode[]): boolean =>
  error instanceof RealtimeUploadError && codes.includes(error.code)

/** The same error, with one more sentence. */
export const explained = <E>(error: E, more: string): E | AbortError | RealtimeUploadError => {
  if (error instanceof AbortError) return new AbortError(error.cause, `${error.message}. ${more}`)
  if (!(error instanceof RealtimeUploadError)) return error
  const { code, message, name: _, ...details } = error
  return new RealtimeUploadError(code, `${message}. ${more}`, { ...details, cause: error.cause })
}
