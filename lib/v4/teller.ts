/**
 * Who hears of an upload of a file: the callbacks it was given. One that throws, or whose promise rejects,
 * ends the upload with that.
 */
import type { Retry } from '../net/retry.ts'
import { PROGRESS_INTERVAL } from '../upload/progress.ts'
import type { FileRetry, FileUploadEvent, FileWarning } from './events.ts'
import type { ResolvedFileSettings } from './options.ts'
import { Tally } from './tally.ts'

export class Teller {
  readonly #settings: Pick<ResolvedFileSettings, 'onProgress' | 'onEvent'>
  readonly #ending: AbortController
  #timer: NodeJS.Timeout | undefined
  tally = new Tally(0)

  /** @param ending of the upload: aborted with what a callback throws */
  constructor(
    settings: Pick<ResolvedFileSettings, 'onProgress' | 'onEvent'>,
    ending: AbortController,
  ) {
    this.#settings = settings
    this.#ending = ending
  }

  emit(event: FileUploadEvent): void {
    this.#call(() => this.#settings.onEvent(event))
  }

  warn(warning: FileWarning): void {
    this.emit({ type: 'warning', ...warning })
  }

  retrying(stage: FileRetry['stage'], partNumbers: readonly number[], retry: Retry): void {
    this.tally.retries++
    this.emit({ type: 'retry', stage, partNumbers, ...retry })
  }

  /** Something moved: a word on that is due, unless one is already on its way. */
  moved(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.progress()
    }, PROGRESS_INTERVAL).unref()
  }

  progress(): void {
    this.#call(() => this.#settings.onProgress(this.tally.progress))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #call(callback: () => unknown): void {
    if (this.#ending.signal.aborted) return
    try {
      void Promise.resolve(callback()).catch(error => this.#ending.abort(thrown(error)))
    } catch (error) {
      this.#ending.abort(thrown(error))
    }
  }
}

/** What a callback threw. Of `undefined`, 0 and the like nobody could tell that anything failed: streams least. */
export const thrown = (error: unknown): unknown =>
  error || new Error(`A callback failed with ${error}`)
