/**
 * A look at a growing file, again and again: how far it is written, and whether it is over.
 */
import type { RealtimeUploadError } from '../errors.ts'
import { type Completeness, containerOf, MAGIC } from './container.ts'
import { type FileState, type GrownFile, isSame } from './grown-file.ts'
import type { ResolvedFollowOptions } from './options.ts'
import { isOver, type Reason } from './over.ts'
import { WriterWatch } from './writers.ts'
import { Written } from './written.ts'

/** How long the size of a file stands still that was made large beforehand, in ms at least. */
export const STILL_FOR = 250
/** Bytes for which room is made, at least: one recording in 256 ends with a zero of its own. */
const PAGE = 4_096
/** How long nothing may change by default, in ms: on a disk of this machine, and on a network drive. */
export const IDLE = { local: 60_000, network: 120_000 }
/** How long a file is watched at least before its age alone ends it, in ms. */
const WATCHED_FOR = 5_000
/** How long a file may be out of reach, in ms: a network drive may be gone for a while. */
const OUT_OF_REACH = 600_000

/** How a file stood, and since when, on the monotonic clock, in ms. */
export interface SeenBefore {
  readonly state: FileState
  readonly since: number
}

export interface Seen {
  readonly state: FileState
  /** Bytes that count of it: see written.ts. */
  readonly written: number
  /** Why it is over; undefined where it is not. */
  readonly reason: Reason | undefined
  readonly isUnfinished: boolean
  /**
   * It was made large beforehand, or has holes: its size stands still while it is written. One that
   * ends in silence grows.
   */
  readonly isMadeLarge: boolean
}

export class Watch {
  readonly #file: GrownFile
  readonly #written: Written
  readonly #writers: WriterWatch
  readonly #ended: AbortSignal | undefined
  readonly #isLocal: boolean
  readonly #idle: number
  #last: FileState | undefined
  /** When its bytes or size, its size, and how far it is written were last seen to change, in ms. */
  #changedAt: number
  #sizeAt = Number.NEGATIVE_INFINITY
  #writtenAt = Number.NEGATIVE_INFINITY
  /** Its head has said something else than that it is finished. */
  #wasOpen = false
  /** Its size when its head last said that it is finished. */
  #finishedSize = Number.POSITIVE_INFINITY
  /** It grew behind that: a recorder that keeps its head right as it goes says nothing of the end. */
  #isKeptRight = false
  #lostSince: number | undefined

  /** @param seen how it stood before, where somebody looked */
  static async of(
    file: GrownFile,
    { idle, ended }: ResolvedFollowOptions,
    seen: SeenBefore | undefined,
  ): Promise<Watch> {
    const isLocal = await file.isLocal()
    const { changedAt } = await file.state()
    const most = idle ?? (isLocal ? IDLE.local : IDLE.network)
    // How long it was left alone before this began. The clock of a network drive is another, and that of
    // a small machine jumps when it first has a network: so it is watched for a while all the same.
    const told = isLocal ? Math.max(0, Date.now() - Number(changedAt / 1_000_000n)) : 0
    const age = Math.min(told, Math.max(0, most - WATCHED_FOR))
    return new Watch(file, {
      isLocal,
      idle: most,
      ended,
      last: seen?.state,
      changedAt: seen?.since ?? performance.now() - age,
    })
  }

  private constructor(file: GrownFile, { isLocal, idle, ended, last, changedAt }: WatchOptions) {
    this.#file = file
    this.#written = new Written(file.read)
    this.#writers = new WriterWatch(file.id)
    this.#isLocal = isLocal
    this.#idle = idle
    this.#ended = ended
    this.#last = last
    this.#changedAt = changedAt
  }

  /** Undefined where it is out of reach just now. @throws what it could not be read for, at length */
  async look(): Promise<Seen | undefined> {
    try {
      const seen = await this.#look()
      this.#lostSince = undefined
      return seen
    } catch (error) {
      this.#lostSince ??= performance.now()
      const isLong = performance.now() - this.#lostSince >= OUT_OF_REACH
      const isLost = (error as RealtimeUploadError).code === 'ERR_SOURCE_FAILED'
      if (!isLost || isLong || this.#ended?.aborted) throw error
      return undefined
    }
  }

  async #look(): Promise<Seen> {
    const wasToldToEnd = this.#ended?.aborted ?? false
    const state = await this.#file.state()
    const { size } = state
    const now = performance.now()
    const writer = await this.#writers.look(now)
    if (this.#last && !isSame(state, this.#last)) this.#changedAt = now
    if (this.#last && size !== this.#last.size) this.#sizeAt = now
    this.#last = state
    const before = this.#written.bytes
    await (wasToldToEnd ? this.#written.lookBack(size) : this.#written.look(size))
    const written = this.#written.bytes
    if (written !== before && before > 0) this.#writtenAt = now
    const completeness = await this.#completeness(size)
    if (size > this.#finishedSize) this.#isKeptRight = true
    if (completeness === 'finished') this.#finishedSize = size
    const reason = isOver({
      now,
      unchangedSince: this.#changedAt,
      writer,
      wasToldToEnd,
      completeness,
      wasOpen: this.#wasOpen && !this.#isKeptRight,
      isLocal: this.#isLocal,
      idle: this.#idle,
    })
    this.#wasOpen ||= completeness !== 'finished'
    const isSparse = state.allocated < size
    const isAhead = writer.isThere && this.#writtenAt > this.#sizeAt
    const isStill = now - this.#sizeAt >= STILL_FOR && size - written >= PAGE
    const isMadeLarge = isStill && (isSparse || isAhead)
    return { state, written, reason, isUnfinished: completeness === 'unfinished', isMadeLarge }
  }

  async #completeness(size: number): Promise<Completeness> {
    const container = containerOf(await this.#file.read(0, MAGIC))
    return container ? container.completeness(this.#file.read, size) : 'unknown'
  }
}

interface WatchOptions {
  readonly isLocal: boolean
  readonly idle: number
  readonly ended: AbortSignal | undefined
  readonly last: FileState | undefined
  readonly changedAt: number
}
