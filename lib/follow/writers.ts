/**
 * Who has a file open for writing: on Linux, what `/proc` says of all processes that may be looked at.
 * Elsewhere, and of another user's process, nobody is ever seen.
 *
 * To look takes a file that is opened. Where too many are open nothing is known, which is not the same as that
 * nobody is there: a recorder that pauses would count as gone.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { isTooMany } from '../shortage.ts'
import type { WriterFacts } from './over.ts'

/** A file, whatever its name is. */
export interface FileId {
  readonly dev: bigint
  readonly ino: bigint
}

export interface Holder {
  readonly pid: string
  readonly fd: string
}

/** Names of what is no file. /dev/shm holds files: in memory. */
const NO_FILE = /^(?:socket|pipe|anon_inode|net|mnt):|^\/(?:dev(?!\/shm\/)|proc|sys)\//
/** Bits of `open` that are about reading and writing. */
const ACCESS_MODE = 0o3

/** How long a look at one process after the other may keep the event loop, in ms. */
const TURN = 5

/** Somebody who has the file open for writing; undefined where nobody is seen. @throws with too many files open */
export const findWriter = async (file: FileId): Promise<Holder | undefined> => {
  let turn = performance.now()
  for (const pid of namesIn('/proc').filter(name => /^\d+$/.test(name))) {
    const fd = namesIn(`/proc/${pid}/fd`).find(fd => isWriter({ pid, fd }, file))
    if (fd !== undefined) return { pid, fd }
    if (performance.now() - turn < TURN) continue
    await setImmediate()
    turn = performance.now()
  }
  return undefined
}

/** Does a process have the file open for writing there? @throws with too many files open */
export const isWriter = ({ pid, fd }: Holder, { dev, ino }: FileId): boolean => {
  try {
    if (NO_FILE.test(readlinkSync(`/proc/${pid}/fd/${fd}`))) return false
    const stat = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true })
    if (stat.dev !== dev || stat.ino !== ino) return false
    const [, flags = '0'] =
      /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8')) ?? []
    return (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0
  } catch (error) {
    if (isTooMany(error)) throw error
    return false // It is gone, or another user's.
  }
}

const namesIn = (path: string): string[] => {
  try {
    return readdirSync(path)
  } catch (error) {
    if (isTooMany(error)) throw error
    return [] // Gone meanwhile, another user's, or no Linux.
  }
}

/** A look at all processes is to take no more than one part in so many of the time. */
const SHARE = 20
/** The same for the little while in which it decides that the recording is over. */
const SHARE_AT_END = 4
/** Least time between two of them, in ms. */
const LEAST = 200

/** Keeps an eye on who writes a file. */
export class WriterWatch {
  readonly #file: FileId
  #holder: Holder | undefined
  #since: number | undefined
  #gone: WriterFacts['gone']
  #returns = 0
  #nextSearch = 0

  constructor(file: FileId) {
    this.#file = file
  }

  /** @param now in ms */
  async look(now: number): Promise<WriterFacts> {
    await this.#learn(now).catch(error => {
      if (!isTooMany(error)) throw error // What was known stands.
    })
    return {
      isThere: this.#holder !== undefined,
      since: this.#since,
      gone: this.#gone,
      returns: this.#returns,
    }
  }

  async #learn(now: number): Promise<void> {
    if (this.#holder) {
      if (isWriter(this.#holder, this.#file)) return
      this.#nextSearch = 0 // Another may have it as well: until that is known it counts as there.
    }
    if (now >= this.#nextSearch) await this.#search(now)
  }

  async #search(now: number): Promise<void> {
    const start = performance.now()
    this.#holder = await findWriter(this.#file)
    const share = this.#since === undefined ? SHARE : SHARE_AT_END
    this.#nextSearch = now + Math.max(LEAST, share * (performance.now() - start))
    if (this.#holder) {
      this.#since ??= now
      if (this.#gone) this.#returns++
      this.#gone = undefined
    } else if (this.#since !== undefined) {
      this.#gone = { first: this.#gone?.first ?? now, last: now }
    }
  }
}
