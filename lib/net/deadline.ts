/**
 * An attempt with a deadline, on the monotonic clock.
 */

/** How often it is asked again what is allowed, in ms. */
const LOOK_AGAIN = 500

/** Why an attempt's signal aborted, when it was the deadline. */
export const DEADLINE: unique symbol = Symbol('deadline')

/**
 * Runs `attempt` with a signal that aborts when `signal` does, or with the reason DEADLINE when the
 * attempt has taken longer than `allowed()` ms. That is asked again and again, since what is allowed
 * may grow or shrink meanwhile.
 */
export const withDeadline = async <T>(
  signal: AbortSignal,
  allowed: () => number,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const start = performance.now()
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    const left = start + allowed() - performance.now()
    if (left > 0) timer = setTimeout(look, Math.min(left, LOOK_AGAIN))
    else controller.abort(DEADLINE)
  }
  signal.throwIfAborted()
  signal.addEventListener('abort', abort)
  look()
  try {
    return await attempt(controller.signal)
  } catch (error) {
    throw controller.signal.reason === DEADLINE ? DEADLINE : error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}
