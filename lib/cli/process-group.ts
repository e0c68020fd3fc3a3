/**
 * A program and all that it has started: signals go to the whole group, which lives as long as any of
 * its processes.
 */
import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/** Windows has no groups of processes: there signals go to the program alone. */
const HAS_GROUPS = process.platform !== 'win32'

/** How long a group may take to end when it is told to, in ms. */
const LAST_CHANCE = 5_000

/** Between two looks at whether it has ended, in ms. */
const LOOK = 50

export class ProcessGroup {
  /** How to start a program that leads a group: else Ctrl-C would reach it from the terminal too. */
  static readonly spawnOptions = { detached: HAS_GROUPS } as const

  readonly #leader: ChildProcess
  readonly #onRefused: (error: Error) => void

  /** @param onRefused a signal could not be sent: the program runs as another user, say */
  constructor(leader: ChildProcess, onRefused: (error: Error) => void) {
    this.#leader = leader
    this.#onRefused = onRefused
  }

  /** Is the program itself still there? */
  get isLeaderRunning(): boolean {
    return this.#leader.exitCode === null && this.#leader.signalCode === null
  }

  /** The id of its group; undefined where there is none. */
  get id(): number | undefined {
    return HAS_GROUPS ? this.#leader.pid : undefined
  }

  /** Is the program, or anything that it has started in its group, still there? */
  get isAlive(): boolean {
    if (this.isLeaderRunning) return this.#address !== undefined
    if (this.#address === undefined || this.id === undefined) return false
    try {
      return process.kill(this.#address, 0) && hasLiving(this.id)
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  }

  send(signal: NodeJS.Signals): void {
    if (this.#address === undefined || !this.isAlive) return
    try {
      process.kill(this.#address, signal)
    } catch (error) {
      this.#onRefused(error as Error)
    }
  }

  /** Tells all of it to end, and ends by force what has not within 5 s. */
  async end(): Promise<void> {
    this.send('SIGTERM')
    const end = performance.now() + LAST_CHANCE
    while (this.isAlive && performance.now() < end) await wait(LOOK)
    this.send('SIGKILL')
  }

  /** Where signals go; undefined where the program could not be started. */
  get #address(): number | undefined {
    const { pid } = this.#leader
    return HAS_GROUPS && pid !== undefined ? -pid : pid
  }
}

/**
 * Is any member of the group more than a zombie? Orphans become children of the first process of a
 * container, which is this one where there is no other, and nobody waits for them: the system counts
 * them as there for ever.
 */
const hasLiving = (group: number): boolean => {
  if (process.platform !== 'linux') return true
  try {
    // An empty folder, or one that tells of other processes: it knows nothing of ours.
    if (readlinkSync('/proc/self') !== String(process.pid)) return true
    return readdirSync('/proc')
      .filter(name => /^\d+$/.test(name))
      .some(pid => isLivingIn(group, pid))
  } catch {
    return true // There is no /proc to look at.
  }
}

const isLivingIn = (group: number, pid: string): boolean => {
  try {
    // After a name that may hold anything: its state, its parent, its group.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state = '', , id] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return Number(id) === group && !'ZX'.includes(state)
  } catch {
    return false // It has ended meanwhile.
  }
}
