/**
 * The file at Frame.io that an upload makes, and what becomes of one that is of no more use.
 */
import type { CallContext } from '../frameio/api.ts'
import { isNotFound } from '../frameio/deletion.ts'
import { deleteFile, getFileStatus } from '../frameio/v4/calls.ts'
import type { V4Inside } from '../frameio/v4/client.ts'
import type { V4FileStatus } from '../frameio/v4/protocol.ts'
import { DEADLINE, withDeadline } from '../net/deadline.ts'
import { Pulse } from '../net/retry.ts'
import { type Creation, creationOf } from './creation.ts'
import type { FileRetry } from './events.ts'
import type { FileTarget } from './options.ts'
import type { Created } from './record-state.ts'

/** Longest that an upload which has failed takes to delete what it leaves, in ms. */
const BRIEFLY = 5_000

export interface RemoteFileOptions {
  readonly inside: V4Inside
  readonly target: FileTarget
  readonly contextOf: (stage: FileRetry['stage']) => CallContext
}

export class RemoteFile {
  readonly #options: RemoteFileOptions
  /** What there is, as far as it is known. */
  created: Created | undefined
  /** A creation is under way since then: what it makes may be there unknown to us. */
  #creating: { readonly since: number; readonly fileSize: number } | undefined

  constructor(options: RemoteFileOptions) {
    this.#options = options
  }

  /** May it be there, known to us or not? */
  get mayExist(): boolean {
    return this.created !== undefined || this.#creating !== undefined
  }

  /**
   * @param k the number of this creation
   * @param at when that is, by the clock on the wall
   */
  async create(fileSize: number, k: number, at: number): Promise<Creation> {
    const { inside, target, contextOf } = this.#options
    const { folderId, name } = target
    this.#creating = { since: performance.now(), fileSize }
    const made = await inside.creator.create({ folderId, name, fileSize }, contextOf('create'))
    this.#creating = undefined
    const creation = creationOf(k, at, made)
    this.created = creation
    return creation
  }

  /** Undefined where it is gone. */
  async status({ fileId }: Created): Promise<V4FileStatus | undefined> {
    const { inside, contextOf } = this.#options
    return getFileStatus(inside, fileId, contextOf('status')).catch(unlessNotFound)
  }

  /** Harmless where it is gone. */
  async delete({ fileId }: Created): Promise<void> {
    const { inside, contextOf } = this.#options
    await deleteFile(inside, fileId, contextOf('delete')).catch(unlessNotFound)
  }

  /** A creation of another process's that was cut off may have left a file. @param at as `create` was told */
  async removeLost(fileSize: number, at: number): Promise<void> {
    const { inside, target, contextOf } = this.#options
    const { folderId, name } = target
    const since = performance.now() - (Date.now() - at)
    const wanted = { folderId, name, fileSize }
    await inside.creator.removeLost(wanted, { since, lost: 1 }, contextOf('delete'))
  }

  /** The upload has failed: deletes what there may be. Why that failed; undefined where nothing is left. */
  async clean(): Promise<string | undefined> {
    const { inside, target } = this.#options
    const [created, creating] = [this.created, this.#creating]
    try {
      await withDeadline(inside.api.closing, { allowed: () => BRIEFLY }, async signal => {
        const context = { signal, pulse: new Pulse(), onRetry: () => {} }
        if (created) await deleteFile(inside, created.fileId, context).catch(unlessNotFound)
        if (!creating) return
        const wanted = { folderId: target.folderId, name: target.name, fileSize: creating.fileSize }
        await inside.creator.removeLost(wanted, { since: creating.since, lost: 1 }, context)
      })
      return undefined
    } catch (error) {
      return error === DEADLINE ? `not within ${BRIEFLY} ms` : (error as Error).message
    }
  }
}

const unlessNotFound = (error: unknown): undefined => {
  if (!isNotFound(error)) throw error
}
