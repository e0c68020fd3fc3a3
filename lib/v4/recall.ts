/**
 * What an upload of a file that was cut off has come to, and whether it can go on.
 *
 * | the record knows | and | |
 * |---|---|---|
 * | of no creation | | it is created |
 * | that it was asked for, not what came of it | | what it may have left is removed, and it is created |
 * | of a file | all is stored | it is over |
 * | of a file | Frame.io has it no more, or says that it failed | it is created anew |
 * | of a file | its URLs are past their life, or gone | it is deleted, and created anew |
 * | of a file | that on the disk is another now | it is deleted unless it is whole, and created anew; or that is an error |
 * | of a file | none of that | it goes on, with the parts that are not stored |
 */
import { RealtimeUploadError } from '../errors.ts'
import { isSame } from '../spool/ledger.ts'
import { damaged } from '../spool/recover.ts'
import { bytesOf, type Creation, isPastLife } from './creation.ts'
import type { Record } from './record.ts'
import type { Created, Opening, State } from './record-state.ts'
import type { RemoteFile } from './remote-file.ts'

/** A creation, and what S3 has of it. */
export interface Known {
  readonly creation: Creation
  /** Numbers of its parts. */
  readonly stored: ReadonlySet<number>
  /** All of it, whatever `stored` says. */
  readonly isWhole: boolean
}

export interface RecallOptions {
  readonly record: Record
  /** What is to be uploaded. */
  readonly opening: Opening
  readonly remote: RemoteFile
  /** Whether URLs must be https. */
  readonly isSecure: boolean
  /** Whether a file that is another now is begun anew. Else that is an error. */
  readonly takesOther: boolean
  /** Deletes the file at Frame.io, which is of no more use, and says why. */
  readonly drop: (
    created: Created,
    code: 'URLS_EXPIRED' | 'BEGUN_ANEW',
    why: string,
  ) => Promise<void>
}

/** @returns undefined where it must be created */
export const recall = async (options: RecallOptions): Promise<Known | undefined> => {
  const { record, opening, remote, takesOther, drop } = options
  const { state } = record
  if (!state) {
    await record.begin(opening)
    return undefined
  }
  refuseForeign(record.folder, state.opening, opening)
  const created = state.created ?? (await adopted(options))
  remote.created = created
  if (!created && state.creating) {
    await remote.removeLost(state.opening.size, state.creating.at)
    await record.dropped()
  }
  const isOther = !isSame(state.opening, opening)
  if (isOther && !takesOther) throw replaced(record.folder, opening.path)
  if (created) {
    const known = await goesOn(options, state, created)
    if (!isOther) return known
    // One that is whole is what somebody uploaded, and no business of the next.
    if (known && !known.isWhole)
      await drop(created, 'BEGUN_ANEW', 'the file on the disk is another now')
    remote.created = undefined
  }
  if (isOther) await record.begin(opening)
  return undefined
}

const goesOn = async (
  { record, remote, isSecure, drop }: RecallOptions,
  { opening, stored, isDone }: State,
  created: Created,
): Promise<Known | undefined> => {
  const whole = { creation: { ...created, slices: [] }, stored, isWhole: true }
  if (isDone || stored.size === created.parts) return whole
  const status = await remote.status(created)
  if (!status || status.upload_failed) {
    const how = status ? 'Frame.io says that its upload failed' : 'it is gone'
    await drop(created, 'BEGUN_ANEW', how)
    return undefined
  }
  // The last receipt had come, and was not noted any more.
  if (status.upload_complete) return whole
  const urls = await record.urls(isSecure)
  if (urls?.k !== created.k || isPastLife(created)) {
    await drop(created, 'URLS_EXPIRED', 'its URLs have expired')
    return undefined
  }
  if (bytesOf(urls.slices) !== opening.size || urls.slices.length !== created.parts) {
    throw damaged(`${record.folder}/urls`, 0, 'it holds the URLs of another file')
  }
  return { creation: urls, stored, isWhole: false }
}

/** A creation of which the URLs were noted, and no more. */
const adopted = async ({ record, isSecure }: RecallOptions): Promise<Created | undefined> => {
  const k = record.state?.creating?.k
  if (k === undefined) return undefined
  const urls = await record.urls(isSecure)
  if (urls?.k !== k) return undefined
  await record.created(urls)
  return urls
}

/** A record in another's place: who can write there must not choose where files go. */
const refuseForeign = (folder: string, noted: Opening, wanted: Opening): void => {
  for (const key of ['origin', 'accountId', 'folderId', 'name'] as const) {
    if (noted[key] === wanted[key]) continue
    const text = `client must be one for ${key} ${noted[key]}, where the upload in ${folder} began; received one for ${wanted[key]}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', text, { option: 'client', path: folder })
  }
}

const replaced = (folder: string, path: string): RealtimeUploadError => {
  const message = `${path} is another file now than the one whose upload is noted in ${folder}: upload it anew`
  return new RealtimeUploadError('ERR_SOURCE_REPLACED', message, { path })
}
