/**
 * Waiting until Frame.io says that it has every byte: looks that grow rarer, until a deadline, a signal,
 * or the end of the client.
 */
import { RealtimeUploadError } from '../errors.ts'
import { DEADLINE, withDeadline } from '../net/deadline.ts'
import { sleep } from '../net/retry.ts'
import { within } from './within.ts'

/** Waits between two looks, in ms: Frame.io allows five reads a second per user. */
const FIRST_LOOK = 500
const SLOWEST_LOOK = 5_000

export interface Watched<T> {
  readonly id: string
  /** As messages call it. */
  readonly what: 'asset' | 'file'
  /** What Frame.io says of it now. */
  look(
    signal: AbortSignal,
  ): Promise<{ readonly found: T; readonly state: 'open' | 'uploaded' | 'failed' }>
}

/**
 * @param closing aborts when the client is closed
 * @throws {RealtimeUploadError} `ERR_TIMEOUT`, or `ERR_UPLOAD_FAILED`; an `AbortError` when the signal
 *   aborts
 */
export const untilUploaded = async <T>(
  closing: AbortSignal,
  { timeout, signal }: { readonly timeout: number; readonly signal: AbortSignal | undefined },
  awaited: Watched<T>,
): Promise<T> => {
  const { id, what } = awaited
  try {
    return await within(closing, signal, signal =>
      withDeadline(signal, { allowed: () => timeout }, signal => poll(awaited, signal)),
    )
  } catch (error) {
    if (error !== DEADLINE) throw error
    const message = `Frame.io has not completed ${what} ${id} within ${timeout} ms`
    throw new RealtimeUploadError('ERR_TIMEOUT', message, { assetId: id })
  }
}

const poll = async <T>({ id, what, look }: Watched<T>, signal: AbortSignal): Promise<T> => {
  for (let pause = FIRST_LOOK; ; pause = Math.min(pause * 1.5, SLOWEST_LOOK)) {
    const { found, state } = await look(signal)
    if (state === 'uploaded') return found
    if (state === 'failed') {
      const message = `Frame.io says that the upload of ${what} ${id} failed`
      throw new RealtimeUploadError('ERR_UPLOAD_FAILED', message, { assetId: id })
    }
    await sleep(pause, signal)
  }
}
