/**
 * Following signals. One listener on a caller's signal, however many uploads follow it: Node warns of a leak from the
 * eleventh listener on.
 */
type Listener = (reason: unknown) => void

const followed = new WeakMap<AbortSignal, { listeners: Set<Listener>; forward: () => void }>()

/** Calls `listener` with the signal's reason when it aborts. Returns how to stop following. */
export const followSignal = (signal: AbortSignal, listener: Listener): (() => void) => {
  const known = followed.get(signal)
  const listeners = known?.listeners ?? new Set()
  const forward =
    known?.forward ??
    (() => {
      for (const call of [...listeners]) call(signal.reason)
    })
  if (!known) {
    followed.set(signal, { listeners, forward })
    signal.addEventListener('abort', forward, { once: true })
  }
  listeners.add(listener)
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0 || followed.get(signal)?.listeners !== listeners) return
    signal.removeEventListener('abort', forward)
    followed.delete(signal)
  }
}

/** What the promise gives, unless the signal aborts first: then its reason, at once. */
export const unlessAborted = <T>(signal: AbortSignal, promise: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    // Not a listener each: a signal goes through all it has for one more, and 10,000 parts may wait.
    const unfollow = followSignal(signal, reject)
    // Not Promise.race: that would keep every result for as long as the signal lives.
    promise.then(resolve, reject).finally(unfollow)
  })

/** What the call gives. Its signal aborts only so many ms after `signal` has. */
export const outliving = async <T>(
  signal: AbortSignal,
  ms: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> => {
  signal.throwIfAborted()
  const late = new AbortController()
  let timer: NodeJS.Timeout | undefined
  const unfollow = followSignal(signal, reason => {
    timer = setTimeout(() => late.abort(reason), ms)
  })
  try {
    return await call(late.signal)
  } finally {
    unfollow()
    clearTimeout(timer)
  }
}
