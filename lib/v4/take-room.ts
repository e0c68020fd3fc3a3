/**
 * The room that a take has on its disk. Where there is none the source is held, until pieces that were uploaded are
 * removed, or somebody else makes room.
 */
import { RealtimeUploadError } from '../errors.ts'
import { unlessAborted } from '../net/signals.ts'
import type { Disk } from '../spool/disk.ts'
import { LOOK_AGAIN } from '../spool/fullness.ts'
import { asSpoolError } from './record.ts'

export interface RoomOptions {
  readonly disk: Disk
  readonly folder: string
  /** Bytes of the take that may lie there. */
  readonly maxBytes: number
  /** Bytes that are left free on the volume. */
  readonly keepFree: number
  /** Are pieces on their way to Frame.io, which make room once they are there? */
  readonly isEmptying: () => boolean
  /** Why no piece will be uploaded any more. */
  readonly failure: () => Error | undefined
  readonly onFull: (cause: string) => void
  readonly onHold: (isHeld: boolean) => void
  /** Ends every wait. */
  readonly signal: AbortSignal
}

/** Left free in any case: the records of uploads are written there, and without them nothing is uploaded. */
const LEAST_FREE = 2 ** 20
/** How near to the end of the room the volume is asked each time, in bytes, and how old an answer may be, in ms. */
const NEAR = 64 * 2 ** 20
const STALE = 1_000

export class Room {
  readonly #options: RoomOptions
  /** Bytes of the take on the disk, but for those that stay for good. */
  #taken = 0
  /** What the volume had when it was last asked, less what was written since. */
  #free = 0
  #askedAt = Number.NEGATIVE_INFINITY
  /** Since the disk took nothing: said once. */
  #isHeld = false
  #wake = () => {}

  constructor(options: RoomOptions) {
    this.#options = options
  }

  /** Waits until there is room for so many bytes more, and counts them. */
  async take(bytes: number): Promise<void> {
    for (;;) {
      const cause = await this.#lack(bytes)
      if (cause === undefined) break
      await this.#hold(cause)
    }
    this.#taken += bytes
    this.#free -= bytes
  }

  /** The disk took them. */
  took(): void {
    if (!this.#isHeld) return
    this.#isHeld = false
    this.#options.onHold(false)
  }

  /** The disk took nothing of so many bytes: waits until another try is worth making. */
  async full(bytes: number, { message }: Error): Promise<void> {
    this.#taken -= bytes
    this.#askedAt = Number.NEGATIVE_INFINITY
    await this.#hold(message)
  }

  /** A piece of so many bytes went, or stays for good. */
  freed(bytes: number): void {
    this.#taken -= bytes
    this.#askedAt = Number.NEGATIVE_INFINITY
    this.#wake()
  }

  /** Whoever waits looks again: why it is futile may be known now. */
  lookAgain(): void {
    this.#wake()
  }

  async #lack(bytes: number): Promise<string | undefined> {
    const { disk, folder, maxBytes } = this.#options
    if (this.#taken + bytes > maxBytes) {
      this.#refuseForever(maxBytes)
      return `spool.maxBytes: ${maxBytes}`
    }
    const keepFree = Math.max(this.#options.keepFree, LEAST_FREE)
    const now = performance.now()
    if (now - this.#askedAt > STALE || this.#free - bytes < keepFree + NEAR) {
      this.#free = await disk.free(folder).catch(error => {
        throw asSpoolError(folder, error)
      })
      this.#askedAt = now
    }
    return this.#free - bytes < keepFree ? `spool.keepFree: ${keepFree}` : undefined
  }

  /** A limit of our own that no piece on its way will ever make room below. */
  #refuseForever(maxBytes: number): void {
    const { isEmptying, folder, failure } = this.#options
    if (isEmptying() || failure()) return
    const message = `The recording takes more than spool.maxBytes (${maxBytes}), and no piece of it is on its way to make room: raise it, or cut with a shorter segment. What came is kept in ${folder}: resumeV4 uploads it`
    throw new RealtimeUploadError('ERR_STREAM_TOO_LARGE', message, { path: folder })
  }

  async #hold(cause: string): Promise<void> {
    const { onFull, onHold, failure, signal } = this.#options
    const hopeless = failure()
    if (hopeless) throw hopeless
    if (!this.#isHeld) {
      this.#isHeld = true
      onFull(cause)
      onHold(true)
    }
    let timer: NodeJS.Timeout | undefined
    const woken = new Promise<void>(resolve => {
      timer = setTimeout(resolve, LOOK_AGAIN)
      this.#wake = resolve
    })
    try {
      await unlessAborted(signal, woken)
    } finally {
      clearTimeout(timer)
      this.#wake = () => {}
    }
  }
}
