/**
 * Is a process of somebody else's still there? Nothing tells when it is gone: it is looked for.
 */
import { readFileSync } from 'node:fs'

/** Between two looks, in ms. */
const LOOK = 250

/** Calls `onGone` once the process is gone. The timer that it returns keeps no process alive. */
export const watchProcess = (pid: number, onGone: () => void): NodeJS.Timeout => {
  const timer = setInterval(() => {
    if (isThere(pid)) return
    clearInterval(timer)
    onGone()
  }, LOOK).unref()
  return timer
}

export const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !isZombie(pid)
  } catch (error) {
    // Of another user's that is all there is to learn.
    return (error as NodeJS.ErrnoException).code === 'EPERM' && !isZombie(pid)
  }
}

/**
 * One that has ended, and that its parent has not asked about: for the system it is there, for ever
 * where this command took its parent's place (`exec`).
 */
const isZombie = (pid: number): boolean => {
  if (process.platform !== 'linux') return false
  try {
    // After a name that may hold anything: its state.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return 'ZX'.includes(stat.charAt(stat.lastIndexOf(')') + 2))
  } catch {
    return false // Gone by now, which the next look finds; or there is no /proc.
  }
}
