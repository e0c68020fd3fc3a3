/**
 * Uploads of finished files that were cut off, finished by their records alone.
 */
import type { FrameioV4Client } from '../frameio/v4/client.ts'
import { holderOf } from '../lock.ts'
import type { UploadedFile } from './events.ts'
import { FileUpload } from './file-upload.ts'
import { type FileSettings, resolveFileSettings } from './options.ts'
import { lookAtRecord, Record, recordsIn } from './record.ts'

/** An upload that waits in a folder. */
export interface WaitingFile {
  readonly folder: string
  /** The file on the disk, its bytes, and what it is called at Frame.io; undefined where nothing has begun. */
  readonly path: string | undefined
  readonly bytes: number
  readonly name: string | undefined
  /** Undefined where Frame.io has not answered. */
  readonly fileId: string | undefined
  /** Parts that S3 has, and how many there are; 0 where that is not known. */
  readonly partsStored: number
  readonly parts: number
  /** The process that works on it. */
  readonly lockedBy: number | undefined
  /** Why it cannot be resumed as it lies there. */
  readonly error: Error | undefined
}

/** Every upload of a file that a spool holds. No lock is taken. */
export const waitingFiles = async (dir: string): Promise<WaitingFile[]> =>
  Promise.all((await recordsIn(dir)).map(see))

const see = async (folder: string): Promise<WaitingFile> => {
  const lockedBy = await holderOf(`${folder}/lock`)
  let error: Error | undefined
  const state = await lookAtRecord(folder).catch(reason => {
    error = reason
    return undefined
  })
  const { opening, created, stored } = state ?? {}
  return {
    folder,
    path: opening?.path,
    bytes: opening?.size ?? 0,
    name: opening?.name,
    fileId: created?.fileId,
    partsStored: stored?.size ?? 0,
    parts: created?.parts ?? 0,
    lockedBy,
    error,
  }
}

/**
 * Finishes one upload of a file, by what its record says.
 *
 * @param folder of the record
 * @returns what Frame.io has; undefined where nothing had begun, and the folder is gone
 * @throws {RealtimeUploadError} as `uploadFile` does; `ERR_INVALID_OPTION` where the client is one for another
 *   account or origin, `ERR_SOURCE_REPLACED` where the file is another now
 */
export const resumeV4Folder = async (
  folder: string,
  { client, ...settings }: FileSettings & { readonly client: FrameioV4Client },
): Promise<UploadedFile | undefined> => {
  const record = await Record.open(folder)
  const opening = record.state?.opening
  if (!opening) {
    await record.remove()
    return undefined
  }
  const { folderId, path, name, integrity } = opening
  try {
    return await new FileUpload({
      client,
      target: { folderId, path, name },
      settings: resolveFileSettings({ integrity, ...settings }),
      openRecord: async () => record,
      takesOther: false,
    }).run()
  } finally {
    await record.close()
  }
}
