/**
 * Creating a file, exactly once. V4 has no idempotency key, so a lost answer is ambiguous, and what it may
 * have left behind is removed before another try:
 *
 *   create ──► answer lost ──► list the folder ──► delete ours ──► create again ──► (list once more) ──► file
 *
 * Once more, since a call whose answer was lost may be carried out after the folder was listed.
 *
 * What is deleted is ours, as surely as can be told, for another recorder may write into the same folder:
 * 1. It has the name and size that were asked for, and is still `created`: not a byte of it is wanted.
 * 2. It was created since this call began, by Frame.io's own clock: `created_at` is compared with the
 *    `Date` of the list, and no clock of ours with theirs.
 * 3. This client did not get it for another creation: those of one name, size and folder go one by one.
 * 4. There are no more of them than answers that were lost. Else one is somebody else's, nobody can tell
 *    which, and all stay: a file that stays `created` harms less than one that is taken from its owner.
 */
import { RealtimeUploadError } from '../../errors.ts'
import { unlessAborted } from '../../net/signals.ts'
import type { CallContext } from '../api.ts'
import { isNotFound } from '../deletion.ts'
import { deleteFile, pagesOf, pathOf, type V4Account } from './calls.ts'
import { readNewFile, type V4Entry, type V4NewFile } from './protocol.ts'

export interface NewFile {
  readonly folderId: string
  readonly name: string
  /** Bytes. */
  readonly fileSize: number
}

/** How far apart two clocks of Frame.io's may be, in ms. */
const SLACK = 1_000

/** Creates files for an account. */
export class FileCreator {
  readonly #account: V4Account
  /** The last creation of each name, size and folder, to its end. None rejects. */
  readonly #turns = new Map<string, Promise<void>>()
  /** Ids that Frame.io gave for creations. */
  readonly #given = new Set<string>()

  constructor(account: V4Account) {
    this.#account = account
  }

  /** @throws {RealtimeUploadError}; the signal's reason when it aborts */
  async create(wanted: NewFile, context: CallContext): Promise<V4NewFile> {
    const key = JSON.stringify([wanted.folderId, wanted.name, wanted.fileSize])
    const before = this.#turns.get(key)
    const creation = (async () => {
      if (before) await unlessAborted(context.signal, before)
      return this.#create(wanted, context)
    })()
    const turn = Promise.allSettled([before, creation]).then(() => {
      if (this.#turns.get(key) === turn) this.#turns.delete(key)
    })
    this.#turns.set(key, turn)
    return creation
  }

  async #create({ folderId, name, fileSize }: NewFile, context: CallContext): Promise<V4NewFile> {
    const { api } = this.#account
    const since = performance.now()
    let lost = 0
    const removeLost = async () => {
      lost -= await this.removeLost({ folderId, name, fileSize }, { since, lost }, context)
    }
    const file = await api.call(
      {
        method: 'POST',
        path: `${pathOf(this.#account, 'folders', folderId)}/files/local_upload`,
        body: { data: { name, file_size: fileSize } },
        read: body => readNewFile(body, fileSize, api.options.baseUrl.protocol === 'https:'),
        idempotent: false,
        undo: async () => {
          lost++
          await removeLost()
        },
        kind: 'create',
        what: `Creating file '${name}' failed`,
        details: {},
      },
      context,
    )
    this.#given.add(file.id)
    // The file is there, and its caller must hear of it: that another may be there too is no failure.
    if (lost > 0) await removeLost().catch(unless(context.signal))
    return file
  }

  /** Removes what creations left behind whose answers were lost, as many as were since then; how many. */
  async removeLost(
    { folderId, name, fileSize }: NewFile,
    { since, lost }: { readonly since: number; readonly lost: number },
    context: CallContext,
  ): Promise<number> {
    const isOurs = (entry: V4Entry, date: number) =>
      entry.type === 'file' &&
      entry.status === 'created' &&
      // Unicode has two forms of an é, and Frame.io may keep the other one.
      entry.name.normalize() === name.normalize() &&
      entry.file_size === fileSize &&
      !this.#given.has(entry.id) &&
      Date.parse(String(entry.created_at)) >= date - (performance.now() - since) - SLACK
    const ours: string[] = []
    for await (const { entries, date } of pagesOf(this.#account, folderId, context)) {
      for (const entry of entries) if (isOurs(entry, date)) ours.push(entry.id)
    }
    if (ours.length > lost) return 0
    for (const id of ours) {
      await deleteFile(this.#account, id, context).catch(error => {
        if (!isNotFound(error)) throw error
      })
    }
    return ours.length
  }
}

/** Drops a failure of Frame.io's or of the network, unless the signal has aborted. */
const unless = (signal: AbortSignal) => (error: unknown) => {
  if (signal.aborted) throw signal.reason
  if (!(error instanceof RealtimeUploadError)) throw error
}
