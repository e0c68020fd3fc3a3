/**
 * Ctrl-C is how people end a recording. The first asks for a good end, a second for an end.
 */

/** Signals within so many ms are one: npx passes on what the terminal has sent us already. */
const SAME = 500

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Calls back at the first signal, and at each further one, until the process is gone: without a
 * listener a late one would be the end of a command that has done its work.
 */
export const onSignals = (first: (signal: NodeJS.Signals) => void, further: () => void): void => {
  let last: number | undefined
  const listen = (signal: NodeJS.Signals) => {
    const now = performance.now()
    const before = last
    if (before !== undefined && now - before < SAME) return
    last = now
    if (before === undefined) first(signal)
    else further()
  }
  for (const signal of SIGNALS) process.on(signal, listen)
}
