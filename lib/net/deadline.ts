/**
 * An attempt with a deadline, on the monotonic clock.
 */

/** How often it is asked again what is allowed, in ms. */
const LOOK_AGAIN = 500

/** Why an attempt's signal aborted, when it was the deadline. */
export const DEADLINE: unique symbol = Symbol('deadline')

export interface Deadline {
  /** How long the attempt may take, in ms. */
  readonly allowed: () => number
  /** Told at once when it has taken longer, after how many ms. */
  readonly onDeadline?: (after: number) => void
}

/**
 * Runs `attempt` with a signal that aborts when `signal` does, or with the reason DEADLINE when the
 * attempt has taken longer than `allowed()` ms. That is asked again and again, since what is allowed
 * may grow or shrink meanwhile.
 */
export const withDeadline = async <T>(
  signal: AbortSignal,
  { allowed, onDeadline }: Deadline,
  attempt: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  const start = performance.now()
  const controller = new AbortController()
  const abort = () => controller.abort(signal.reason)
  let timer: NodeJS.Timeout | undefined
  const look = () => {
    const after = performance.now() - start
    const left = allowed() - after
    if (left > 0) {
      timer = setTimeout(look, Math.min(left, LOOK_AGAIN))
      return
    }
    onDeadline?.(after)
    controller.abort(DEADLINE)
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
