/**
 * Ctrl-C is how people end a recording. The first asks for a good end, a second for an end.
 */
import { isatty } from 'node:tty'

/** Signals within so many ms are one: npx passes on what the terminal has sent us already. */
const SAME = 500

/** How long it may take the system to stop us, in ms. */
const STOPPING = 50

/**
 * Calls `end` at the first signal and `abort` at each further one, until the process is gone: without
 * a listener a late one would be the end of a command that has done its work. Ctrl-\ aborts at once;
 * the end of a terminal never does.
 */
export const onSignals = (end: (signal: NodeJS.Signals) => void, abort: () => void): void => {
  let isFirst = true
  let isDeaf = false
  let hasQuit = false
  const hearAgain = () => {
    isDeaf = false
  }
  const hear = (act: () => void) => {
    isDeaf = true
    // Not by the clock alone: what was sent to a process that was busy is heard late, after a timer,
    // but before what that sets immediately.
    setTimeout(() => setImmediate(hearAgain), SAME).unref()
    isFirst = false
    act()
  }
  const listen = (signal: NodeJS.Signals) => {
    if (!isDeaf) hear(isFirst ? () => end(signal) : abort)
  }
  const quit = () => {
    if (isDeaf && hasQuit) return
    hasQuit = true
    hear(abort)
  }
  process.on('SIGINT', listen)
  process.on('SIGTERM', listen)
  process.on('SIGQUIT', quit)
  // nohup has it ignored, which Node undoes when it starts; but it leaves us no terminal either.
  const hasTerminal = [0, 1, 2].some(isatty)
  // Who closes the window of a take that is being finalised wants no less of it.
  process.on('SIGHUP', signal => {
    if (hasTerminal && isFirst) listen(signal)
  })
}

/**
 * Ctrl-Z: calls `stop`, stops this process, and calls `go` once it goes on.
 */
export const onStop = (stop: () => void, go: () => void): void => {
  const listen = () => {
    stop()
    // By the same signal and not by SIGSTOP: the system does not heed it where no shell could make
    // us go on, as in a container.
    process.off('SIGTSTP', listen)
    process.kill(process.pid, 'SIGTSTP')
    setTimeout(() => {
      process.on('SIGTSTP', listen)
      go()
    }, STOPPING)
  }
  process.on('SIGTSTP', listen)
}
