/**
 * An upload that was cut off and is open again: gives out its parts, and tidies as they are stored.
 */
import { createHash } from 'node:crypto'
import type { Lock } from '../lock.ts'
import type { Disk } from './disk.ts'
import { partFile, removeFolder } from './folder.ts'
import type { KeptFile, MendKept, Part } from './home.ts'
import type { Journal, Opening } from './journal.ts'
import type { KeptBefore } from './kept.ts'
import { checked, readFrom } from './read-back.ts'
import { incomplete, type Recovery, type WholePart } from './recover.ts'
import type { Reopened } from './reopen.ts'

export class Unfinished {
  readonly folder: string
  readonly #disk: Disk
  readonly #lock: Lock
  readonly #journal: Journal
  readonly #recovery: Recovery
  /** Where the take stays. */
  readonly #kept: KeptBefore | undefined
  #final: Recovery['final']
  /** Stored parts whose files are still there. */
  #stored: WholePart[] = []
  #tidying: Promise<void> | undefined
  /** The last part is read, to see that it is what was written. Never rejects. */
  #checking: Promise<void> | undefined
  #isClosing = false
  /** The disk failed: nothing is written any more, for a sync that failed must not be repeated. */
  #failure: Error | undefined

  constructor({ folder, disk, lock, journal, recovery, kept }: Reopened) {
    this.#kept = kept
    this.folder = folder
    this.#disk = disk
    this.#lock = lock
    this.#journal = journal
    this.#recovery = recovery
    this.#final = recovery.final
  }

  get opening(): Opening {
    return this.#recovery.opening
  }

  /** Parts and bytes of the recording. */
  get whole(): { readonly parts: number; readonly bytes: number } {
    return this.#final ? { parts: this.#final.parts, bytes: this.#final.total } : this.#recovery.cut
  }

  /** What S3 has of it. */
  get stored(): { readonly parts: number; readonly bytes: number } {
    return this.#recovery.stored
  }

  get isDone(): boolean {
    return this.#recovery.isDone
  }

  /** Is what is here all of the recording? */
  get hasEnded(): boolean {
    return this.isDone || this.#final !== undefined
  }

  /** Had the recording ended when it was cut off? */
  get hadEnded(): boolean {
    return this.#recovery.final !== undefined
  }

  /** May Frame.io have the last part as one that others follow? */
  get isLastUncertain(): boolean {
    return this.#final?.isGuess ?? false
  }

  /**
   * What is here is the recording.
   *
   * @throws {RealtimeUploadError} `ERR_SPOOL_INCOMPLETE` where there was more, in memory alone
   */
  async end(): Promise<void> {
    if (this.#final || this.#recovery.cut.parts === 0) return
    const { parts, bytes: total } = this.#recovery.cut
    // S3 has it as a part that is not the final one, and nothing is left to be that: all would seem
    // to be done, and the asset would stay open for ever.
    const isLastStored = this.#recovery.send.at(-1)?.n !== parts
    if (isLastStored) throw incomplete(this.opening.assetId, parts + 1, total, undefined)
    // One that is known by its marks alone was never registered.
    const isGuess = this.#recovery.marked.every(({ n }) => n !== parts) || undefined
    const final = { t: 'final', parts, total, isGuess } as const
    this.#journal.add(final)
    await this.#journal.sync()
    this.#final = final
  }

  /**
   * What is to be sent, in order. While the recording may go on its last part is held back, for it
   * cannot be known to be the final one or not.
   *
   * @param onDamage the last part is not what was written
   */
  async *parts(onDamage: (error: Error) => void): AsyncGenerator<Part> {
    const { integrity } = this.opening
    for (const part of this.#recovery.send) {
      const isLast = part.n === this.#recovery.cut.parts
      if (isLast && !this.#final) return
      yield {
        number: part.n,
        size: part.size,
        final: isLast,
        fileSize: isLast ? this.#final?.total : undefined,
        md5: integrity && (await this.#md5(part)),
        // The total never changes after the final registration: first see that it can be sent.
        ...(isLast && { ready: this.#checkLast(part, onDamage) }),
        body: () => this.#body(part),
        release: stored => {
          if (stored) this.#isStored(part)
        },
      }
    }
  }

  /**
   * Frame.io has all of it: removes everything but a take that stays, and says where that is.
   *
   * @param mend as for `UploadSpool.keep`
   * @throws what the disk threw; then what is left stays
   */
  async finish(mend?: MendKept): Promise<KeptFile | undefined> {
    let kept: KeptFile | undefined
    try {
      await this.#tidying
      if (this.#failure) throw this.#failure
      this.#journal.add({ t: 'done' })
      await this.#journal.sync()
      kept = await this.#kept?.conclude(this.whole.bytes)
      if (kept) await mend?.(kept)
    } catch (error) {
      await this.close()
      throw error
    }
    try {
      await this.#journal.close()
      await removeFolder(this.#disk, this.folder, this.#lock)
    } finally {
      await this.#lock.release()
    }
    return kept
  }

  /** Keeps what is not stored. */
  async close(): Promise<void> {
    this.#isClosing = true
    try {
      await this.#checking
      await this.#tidying
      await this.#kept?.take.close()
      await this.#journal.close()
    } finally {
      await this.#lock.release()
    }
  }

  #body(part: WholePart): AsyncGenerator<Uint8Array> {
    const path = partFile(this.folder, part.n)
    return checked(readFrom(this.#disk, path, 0, part.size), { path, ...part })
  }

  #checkLast(part: WholePart, onDamage: (error: Error) => void): Promise<void> {
    // Once more before a damage is believed.
    this.#checking = this.#check(part)
      .catch(() => this.#check(part))
      .catch(onDamage)
    return this.#checking
  }

  /** @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED` */
  async #check(part: WholePart): Promise<void> {
    for await (const _ of this.#body(part)) if (this.#isClosing) return
  }

  async #md5({ n, size }: WholePart): Promise<string> {
    const hash = createHash('md5')
    for await (const chunk of readFrom(this.#disk, partFile(this.folder, n), 0, size))
      hash.update(chunk)
    return hash.digest('base64')
  }

  #isStored(part: WholePart): void {
    if (this.#failure) return
    this.#journal.add({ t: 'stored', n: part.n, size: part.size })
    this.#stored.push(part)
    this.#tidying ??= this.#tidy()
      .catch(error => {
        this.#failure = error
      })
      .finally(() => {
        this.#tidying = undefined
      })
  }

  /** Files go once it is durable that they are needed no more. */
  async #tidy(): Promise<void> {
    while (this.#stored.length > 0) {
      const parts = this.#stored.splice(0)
      await this.#journal.sync()
      for (const { n } of parts) await this.#disk.remove(partFile(this.folder, n))
    }
  }
}
