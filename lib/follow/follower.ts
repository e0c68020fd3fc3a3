/**
 * A file that goes up while another program writes it. The growing file is the spool: a part is a range
 * of it, nothing is held in memory, and an outage is waited for however long it lasts.
 *
 * What holds always:
 *   1. Part 1 goes last: most writers change the head once they know how much came.
 *   2. A part is sent only when something behind it is not zero: what S3 has cannot be withdrawn, and
 *      files that were made large beforehand, or have holes, are larger than what came.
 *   3. Part 1 is registered in one call with the final part, behind all others, and after those that were
 *      sent once more are stored: until it is there nothing can be put together from what they were.
 *   4. After the final part no new number and no other size is registered.
 *   5. The sum of a part is that of the attempt that was answered.
 *   6. The file is opened for reading alone, and no lock is taken: no writer is disturbed.
 *
 * Read over.ts for when a recording ends, written.ts for what counts of it, parts.ts for what is sent
 * once more, and this for the order of things.
 *
 *     look, cut, look, cut, …  over  ──►  check, send again what changed  ──►  the rest, then head and
 *     parts 2, 3, … go up                 until nothing changes meanwhile      final part together
 */
import { RealtimeUploadError } from '../errors.ts'
import { unlessAborted } from '../net/signals.ts'
import type { Bringer, Inside } from '../upload/inside.ts'
import { partPlan } from '../upload/part-plan.ts'
import { containerOf, MAGIC } from './container.ts'
import { type FileState, type GrownFile, isSame } from './grown-file.ts'
import type { ResolvedFollowOptions, Verify } from './options.ts'
import type { Reason } from './over.ts'
import { Parts, type StoredParts } from './parts.ts'
import { truncated } from './range-part.ts'
import { untilInReach } from './reach.ts'
import { type SeenBefore, Watch } from './watch.ts'

/** Looks between two at its name. */
const NAME_EVERY = 4
/** How often it is begun anew where the file changes while it is checked. */
const ROUNDS = 3

/** How a file that was followed ended. */
export interface FollowEnd {
  /** Undefined for a file that was finished beforehand. */
  readonly reason: Reason | undefined
  /** Its head says that it is not finished. */
  readonly isUnfinished: boolean
}

/** Of a file whose size was settled beforehand. */
const NO_END: FollowEnd = { reason: undefined, isUnfinished: false }

/** What of an upload that was cut off is known already. */
export interface Known {
  /** Parts that S3 has. */
  readonly stored: StoredParts
  /** Bytes of the file, where the final part may have been registered. */
  readonly total: number | undefined
  /** How it stood when whoever calls looked at it. */
  readonly seen?: SeenBefore | undefined
  /** Has another file its name now, as far as its numbers tell? */
  readonly isOther?: boolean
}

export class Follower implements Bringer {
  readonly #file: GrownFile
  readonly #inside: Inside
  readonly #follow: ResolvedFollowOptions | undefined
  readonly #parts: Parts
  readonly #closing = new AbortController()
  readonly #seen: Known['seen']
  readonly #isOther: boolean
  /** Bytes of the file, where they are settled. */
  #total: number | undefined
  /** When it was last seen to be what was sent. */
  #last: FileState | undefined
  #bytes = 0
  #isOver = false
  #isReplaced = false
  /** Where a part ends that is tried as the final one and was registered as another. */
  #cutShortAt: number | undefined
  #closed: Promise<void> | undefined

  /** @param follow undefined: the file is finished */
  constructor(
    file: GrownFile,
    inside: Inside,
    follow: ResolvedFollowOptions | undefined,
    known: Known = { stored: new Map(), total: undefined },
  ) {
    this.#file = file
    this.#inside = inside
    this.#follow = follow
    this.#total = known.total
    this.#seen = known.seen
    this.#isOther = known.isOther ?? false
    const { options } = inside
    this.#parts = new Parts({
      file,
      inside,
      plan: partPlan(options, options.limits),
      stored: known.stored,
      signal: this.#closing.signal,
    })
    inside.bring(this)
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The file as it stood when it was over; undefined before, and where what is sent is not all of it. */
  get settled(): FileState | undefined {
    return this.#last
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /** While it grows nothing is lost by waiting. */
  get isPatient(): boolean {
    return !this.#isOver
  }

  /** Sends what comes, until the recording is over. */
  async run(): Promise<FollowEnd> {
    const { opened, spool } = this.#inside
    const { path, id } = this.#file
    await this.#unlessClosed(opened)
    if (this.#isOther && !(await this.#parts.holdsSome())) throw another(path)
    const isFinished = this.#follow === undefined
    await spool?.follow({ path, dev: String(id.dev), ino: String(id.ino), isFinished })
    const end = await this.#untilOver()
    this.#isOver = true
    if (end.isUnfinished) this.#inside.emit('warning', unfinished(path))
    return end
  }

  /** Sends the rest, and what was changed meanwhile. */
  async end(): Promise<{ bytes: number; parts: number }> {
    const { spool } = this.#inside
    const total = await this.#settle()
    if (total === 0) return { bytes: 0, parts: 0 }
    const parts = this.#parts.end(total)
    if (parts.isCutShort) this.#cutShortAt = total
    await spool?.end(parts.count, total) // Durable, before the total cannot change any more.
    await parts.send()
    return { bytes: total, parts: parts.count }
  }

  explain(error: Error): Error {
    const isRefused = (error as RealtimeUploadError).code === 'ERR_REQUEST_REJECTED'
    if (this.#cutShortAt === undefined || !isRefused) return error
    return truncated(this.#file.path, this.#cutShortAt, { cause: error })
  }

  /** What S3 has is what stands in the file, unless somebody said when it was over, and writes on. */
  async confirm(): Promise<void> {
    if (this.#total !== undefined || !this.#last) return
    const now = await this.#state()
    if (isSame(this.#last, now)) return
    if (this.#last.size !== now.size || !(await this.#parts.areTrue()))
      throw changed(this.#file.path)
    this.#last = now
  }

  close(): Promise<void> {
    this.#closing.abort()
    this.#closed ??= this.#file.close()
    return this.#closed
  }

  async #untilOver(): Promise<FollowEnd> {
    if (!this.#follow || this.#total !== undefined) return NO_END
    const { headroom, ended } = this.#follow
    const watch = await Watch.of(this.#file, this.#follow, this.#seen)
    for (let count = 0; ; count++) {
      const seen = await watch.look().catch(error => {
        if (!ended?.aborted) throw error
        return this.#inReach(() => watch.look())
      })
      if (seen) {
        const { state, written, reason, isUnfinished, isMadeLarge } = seen
        const { size } = state
        this.#bytes = Math.max(this.#bytes, written)
        this.#refuseTooLarge(this.#bytes)
        // Of what was made large beforehand the zeros do not count, but never less than was sent.
        const known = isMadeLarge ? Math.max(written, this.#parts.sent) : size
        if (reason === 'told') {
          this.#total = known
          this.#last = state
        }
        if (reason) return { reason, isUnfinished }
        if (size < this.#parts.sent) throw truncated(this.#file.path, size)
        this.#parts.cut(written - headroom)
      }
      if (count % NAME_EVERY === 0) await this.#lookAtName()
      await this.#pause(ended)
    }
  }

  async #lookAtName(): Promise<void> {
    if (this.#isReplaced || !(await this.#file.isReplaced())) return
    this.#isReplaced = true
    this.#inside.emit('warning', replaced(this.#file.path))
  }

  /** Until the next look, or somebody says that it is over. */
  async #pause(ended: AbortSignal | undefined): Promise<void> {
    let wake = () => {}
    const time = new Promise<void>(resolve => {
      wake = resolve
    })
    const timer = setTimeout(wake, this.#inside.options.limits.lookEvery)
    ended?.addEventListener('abort', wake, { once: true })
    try {
      await this.#unlessClosed(time)
    } finally {
      clearTimeout(timer)
      ended?.removeEventListener('abort', wake)
    }
  }

  /** Sends what is whole, until all that was sent is what stands in the file. Its size then. */
  async #settle(): Promise<number> {
    const verify = await this.#verify()
    for (let round = 1; ; round++) {
      const before = await this.#state()
      const total = this.#total ?? before.size
      this.#refuseTooLarge(total)
      if (total < this.#parts.sent || before.size < total) {
        throw truncated(this.#file.path, Math.min(total, before.size))
      }
      this.#bytes = Math.max(this.#bytes, total)
      await this.#parts.settle(total, verify)
      const after = await this.#state()
      if (this.#total === undefined) this.#last = after
      else if (after.size === total) this.#last ??= after
      if (this.#total !== undefined || isSame(before, after)) return total
      if (round === ROUNDS) throw changed(this.#file.path)
    }
  }

  async #verify(): Promise<Verify> {
    const verify = this.#follow?.verify ?? 'auto'
    if (verify !== 'auto') return verify
    const head = await this.#inReach(() => this.#file.read(0, MAGIC))
    return containerOf(head)?.isHeadOnly ? 'auto' : 'all'
  }

  #refuseTooLarge(size: number): void {
    const { maxSize, assetId } = this.#inside.options
    if (size <= maxSize) return
    const message = `The file must have at most maxSize (${maxSize}) bytes; received ${size} so far`
    throw new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { option: 'maxSize', assetId })
  }

  /** At its end, where the growing file is looked at for the last times. */
  #state(): Promise<FileState> {
    return this.#inReach(() => this.#file.state())
  }

  #inReach<T>(read: () => Promise<T>): Promise<T> {
    return untilInReach(read, this.#inside.transfer.reading([], this.#closing.signal))
  }

  #unlessClosed<T>(promise: Promise<T>): Promise<T> {
    return unlessAborted(this.#closing.signal, promise)
  }
}

const changed = (path: string): RealtimeUploadError => {
  const message = `${path} is still being changed, though it seemed to be over: what S3 has of it cannot be made certain`
  return new RealtimeUploadError('ERR_SOURCE_CHANGED', message, { path })
}

const another = (path: string): RealtimeUploadError => {
  const message = `${path} is another file than the one whose upload was begun, and holds nothing of what is stored: it needs an asset of its own`
  return new RealtimeUploadError('ERR_SOURCE_REPLACED', message, { path })
}

const replaced = (path: string) => ({
  code: 'SOURCE_REPLACED' as const,
  message: `${path} is another file now: the one that it was is followed to its end`,
})

const unfinished = (path: string) => ({
  code: 'SOURCE_UNFINISHED' as const,
  message: `${path} is over, and its head says that it is not finished: what is there is uploaded`,
})
