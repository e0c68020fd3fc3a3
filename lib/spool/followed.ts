/**
 * The upload of a file that was cut off, open again: its parts are ranges of that file, and its journal
 * goes on.
 */
import { removeFolder } from './folder.ts'
import type { FileLog } from './home.ts'
import type { Opening, SourceFile } from './journal.ts'
import type { FollowedFile, Recovery } from './recover.ts'
import type { Reopened } from './reopen.ts'

export class Followed implements FileLog {
  readonly #reopened: Reopened
  readonly #file: FollowedFile
  #syncing: Promise<void> | undefined
  #isDue = false
  /** The disk failed: nothing is written any more, for a sync that failed must not be repeated. */
  #failure: Error | undefined

  constructor(reopened: Reopened, file: FollowedFile) {
    this.#reopened = reopened
    this.#file = file
  }

  get folder(): string {
    return this.#reopened.folder
  }

  get opening(): Opening {
    return this.#reopened.recovery.opening
  }

  get source(): SourceFile {
    return this.#file.source
  }

  /** What S3 has. */
  get parts(): FollowedFile['stored'] {
    return this.#file.stored
  }

  get stored(): Recovery['stored'] {
    return this.#reopened.recovery.stored
  }

  /** Of all of it, where that was settled before it was cut off. */
  get final(): Recovery['final'] {
    return this.#reopened.recovery.final
  }

  get isDone(): boolean {
    return this.#reopened.recovery.isDone
  }

  /** Which file it is the journal says already. */
  async follow(): Promise<void> {}

  rangeStored(n: number, size: number, crc: number): void {
    if (this.#failure) return
    this.#reopened.journal.add({ t: 'stored', n, size, crc })
    this.#isDue = true
    this.#syncing ??= this.#sync()
      .catch(error => {
        this.#failure = error
      })
      .finally(() => {
        this.#syncing = undefined
      })
  }

  /** @throws what the disk threw: nothing final may be registered then */
  async end(parts: number, total: number): Promise<void> {
    if (this.final) return
    const { journal } = this.#reopened
    journal.add({ t: 'final', parts, total })
    await journal.sync()
  }

  /** Frame.io has all of it: removes everything. @throws what the disk threw; then what is left stays */
  async finish(): Promise<void> {
    const { journal, disk, folder, lock } = this.#reopened
    try {
      try {
        await this.#syncing
        if (this.#failure) throw this.#failure
        journal.add({ t: 'done' })
        await journal.sync()
      } finally {
        await journal.close()
      }
      await removeFolder(disk, folder, lock)
    } finally {
      await lock.release()
    }
  }

  /** Keeps the journal. */
  async close(): Promise<void> {
    const { journal, lock } = this.#reopened
    try {
      await this.#syncing
      await journal.close()
    } finally {
      await lock.release()
    }
  }

  async #sync(): Promise<void> {
    while (this.#isDue) {
      this.#isDue = false
      await this.#reopened.journal.sync()
    }
  }
}
