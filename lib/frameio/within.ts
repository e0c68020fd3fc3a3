/**
 * A call with a signal of its caller's, and the end of its client.
 */
import { setMaxListeners } from 'node:events'
import { AbortError } from '../errors.ts'
import { followSignal } from '../net/signals.ts'

/**
 * @param closing aborts when the client is closed
 * @param call gets a signal that aborts with either
 */
export const within = async <T>(
  closing: AbortSignal,
  signal: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  const abort = (reason: unknown) => ending.abort(new AbortError(reason))
  const unfollow = signal ? followSignal(signal, abort) : () => {}
  if (signal?.aborted) abort(signal.reason)
  closing.addEventListener('abort', () => ending.abort(closing.reason), { signal: ending.signal })
  if (closing.aborted) ending.abort(closing.reason)
  try {
    return await call(ending.signal)
  } finally {
    unfollow()
    ending.abort()
  }
}
