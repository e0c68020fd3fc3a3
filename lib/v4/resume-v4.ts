/**
 * Recordings for V4 that were cut off, and uploads of files, finished by what a spool has of them.
 */

import { join } from 'node:path'
import { object, refuseUnknown, rule, take, text } from '../checks.ts'
import { AbortError, RealtimeUploadError } from '../errors.ts'
import { FrameioV4Client, v4Of } from '../frameio/v4/client.ts'
import { lock } from '../lock.ts'
import { realDisk } from '../spool/disk.ts'
import { namesIn } from '../spool/names-in.ts'
import type { UploadedFile } from './events.ts'
import { explained } from './file-upload.ts'
import {
  type FileSettings,
  type ResolvedFileSettings,
  resolveFileSettings,
  SETTINGS,
} from './options.ts'
import { uploadPiece } from './piece-uploads.ts'
import { lookAtRecord, recordsIn } from './record.ts'
import { resumeV4Folder } from './resume.ts'
import type { TakeEvent } from './take-events.ts'
import { isTakeFolder } from './take-folder.ts'
import type { TakeOpening } from './take-journal.ts'
import { type Recovered, ReopenedTake } from './take-recover.ts'

export interface ResumeV4Options extends Omit<FileSettings, 'onEvent' | 'integrity'> {
  /** The folder that `spool.dir` was. */
  readonly dir: string
  /** Whose token and connections to use: of the account that the uploads went to. */
  readonly client: FrameioV4Client
  /** Told of each file, each part that is stored, each other try, and of what should be known. */
  readonly onEvent?: ((event: TakeEvent) => void) | undefined
}

/** A file that Frame.io has now; or what became of one that it has not. */
export type ResumedV4 =
  | (UploadedFile & { readonly folder: string })
  /** `name`: what it was to be called, where that is known. */
  | { readonly folder: string; readonly name: string | undefined; readonly error: Error }

/**
 * Finishes what {@link recordToV4} and {@link uploadFile} left in a spool, one after the other: pieces that are whole
 * are uploaded, or gone on with, and what was recorded last becomes a file as far as it came. A recording that fails
 * does not keep the next from being tried; nothing of it is deleted. A piece is read once before it is uploaded: one
 * that was edited or has rotted is no file of the recording, but an error. What belongs to `resumeUploads` is left alone.
 *
 * @example
 * for await (const one of resumeV4({ dir: '/media/spool', client })) {
 *   console.log(one.name, 'error' in one ? one.error.message : one.viewUrl)
 * }
 *
 * @returns an item a file, once it is uploaded: of a recording all, those that were before it was cut off as well
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`, at once. Items carry all others, among them
 *   `ERR_SPOOL_IN_USE`, `ERR_SPOOL_DAMAGED` and `ERR_SPOOL_INCOMPLETE`
 */
export const resumeV4 = (options: ResumeV4Options): AsyncGenerator<ResumedV4> => {
  object('options', options)
  refuseUnknown('', options, ['dir', 'client', ...SETTINGS.filter(key => key !== 'integrity')])
  const { dir, client, onEvent, ...given } = options
  take('dir', dir, text('the path of a folder', /./))
  take(
    'client',
    client,
    rule<FrameioV4Client>('a FrameioV4Client', v => v instanceof FrameioV4Client),
  )
  const settings = resolveFileSettings({ ...given, onEvent } as FileSettings)
  return resumeAll(dir, { client, settings, onEvent: onEvent ?? (() => {}) })
}

interface Settings {
  readonly client: FrameioV4Client
  readonly settings: Omit<ResolvedFileSettings, 'onEvent'>
  readonly onEvent: (event: TakeEvent) => void
}

async function* resumeAll(dir: string, settings: Settings): AsyncGenerator<ResumedV4> {
  const { signal } = settings.settings
  const records = new Set(await recordsIn(dir))
  for (const name of (await namesIn(dir)).sort()) {
    if (signal?.aborted) return
    const folder = join(dir, name)
    if (records.has(folder)) {
      const one = await resumeFile(folder, settings)
      if (one) yield one
    } else if (await isTakeFolder(realDisk, folder)) yield* resumeTake(folder, settings)
  }
}

const resumeFile = async (
  folder: string,
  { client, settings, onEvent }: Settings,
): Promise<ResumedV4 | undefined> => {
  try {
    const told = { ...settings, onEvent: (event: object) => onEvent(event as TakeEvent) }
    const { integrity: _, ...rest } = told
    const file = await resumeV4Folder(folder, { client, ...rest })
    return file && { ...file, folder }
  } catch (error) {
    const state = await lookAtRecord(folder).catch(() => undefined)
    return { folder, name: state?.opening.name, error: error as Error }
  }
}

async function* resumeTake(folder: string, settings: Settings): AsyncGenerator<ResumedV4> {
  let reopened: ReopenedTake | undefined
  let name: string | undefined
  try {
    reopened = await ReopenedTake.open({ folder, disk: realDisk, lock })
    if (!reopened) return
    name = reopened.opening.name
    checkClient(folder, reopened.opening, settings.client)
    let isWhole = true
    for (const one of await reopened.recover()) {
      if (one.t === 'empty') continue
      name = one.state.name
      const error = await damageOf(one, settings.settings.signal)
      if (error) isWhole = false
      yield error
        ? { folder, name, error }
        : { folder, ...(await finish(one as Sound, reopened, settings)) }
    }
    if (isWhole) await reopened.finish()
  } catch (error) {
    // Whoever else resumes has finished it in this very moment.
    if (!(await isTakeFolder(realDisk, folder))) return
    yield { folder, name, error: stays(error, folder) }
  } finally {
    await reopened?.close()
  }
}

/** Why a piece cannot be uploaded, as which there is nothing wrong with the next. */
const damageOf = async (one: Recovered, signal: AbortSignal | undefined) => {
  if (one.t === 'lost') return one.error
  if (one.t !== 'whole') return undefined
  return one.confirm(signal).catch((error: Error) => {
    if (error instanceof AbortError) throw error
    return error
  })
}

type Sound = Extract<Recovered, { t: 'stored' | 'whole' }>

const finish = async (
  one: Sound,
  { journal, opening }: ReopenedTake,
  { client, settings, onEvent }: Settings,
): Promise<UploadedFile> => {
  if (one.t === 'stored') return one.file
  const file = await uploadPiece(one.piece, {
    client,
    disk: realDisk,
    journal,
    opening,
    settings: { ...settings, integrity: opening.integrity },
    onEvent,
    isPatient: () => false,
  })
  await onEvent({ type: 'file', number: one.piece.n, ...file }) // It may be asynchronous, and fail.
  return file
}

/** The origin in a journal is compared, and never used: else who can write there gets the token. */
const checkClient = (folder: string, opening: TakeOpening, client: FrameioV4Client): void => {
  const { api, accountId } = v4Of(client)
  const { origin } = api.options.baseUrl
  for (const [what, wanted, is] of [
    ['origin', opening.origin, origin],
    ['accountId', opening.accountId, accountId],
  ]) {
    if (wanted === is) continue
    const message = `client must be one for ${what} ${wanted}, where the recording in ${folder} goes; received one for ${is}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', message, { option: 'client', path: folder })
  }
}

const stays = (error: unknown, folder: string): Error => {
  // A callback may throw whatever it likes.
  const isSaid = !(error instanceof Error) || error.message.includes(folder)
  return isSaid ? (error as Error) : explained(error as Error, `All of it is kept in ${folder}`)
}
