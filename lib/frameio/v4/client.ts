/**
 * The client of V4, for accounts without Camera to Cloud: V4 has no real-time upload, so a file's size must
 * be known before its first byte is sent.
 */
import { object, refuseUnknown } from '../../checks.ts'
import { Api, type CallContext } from '../api.ts'
import { checkWaitOptions, type WaitOptions } from '../arguments.ts'
import { untilUploaded } from '../until-uploaded.ts'
import { deleteFile, entriesOf, getFileStatus, getUser, type V4Account } from './calls.ts'
import { FileCreator } from './create-file.ts'
import { type FrameioV4ClientOptions, resolveV4Options, type V4CallRetry } from './options.ts'
import {
  checkFileSize,
  checkV4Id,
  checkV4Name,
  type V4Entry,
  type V4FileStatus,
  type V4NewFile,
  type V4User,
} from './protocol.ts'

export interface CreateFileOptions {
  /** 1 to 255 characters. V4 tells the media type from its extension. */
  readonly name: string
  /** Bytes: 1 to 5,000,000,000,000 (5 TB). V4 has no empty file. */
  readonly fileSize: number
}

/** The inside of a client of V4, for uploads of it. */
export interface V4Inside extends V4Account {
  readonly creator: FileCreator
}

/** How uploads reach the inside of a client. Not exported from the package. */
export let v4Of: (client: FrameioV4Client) => V4Inside

/**
 * Frame.io's V4, as far as uploads need it. One client may serve many uploads: they share its connections,
 * token, rate gates, and cap on PUTs in flight.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`. Its calls reject with the codes of the README's
 *   table; `assetId` of an error is the file's id.
 */
export class FrameioV4Client {
  readonly #inside: V4Inside
  readonly #onRetry: (retry: V4CallRetry) => void

  static {
    v4Of = client => client.#inside
  }

  constructor(options: FrameioV4ClientOptions) {
    const { accountId, api: resolved, onRetry } = resolveV4Options(options)
    const account = { api: new Api(resolved), accountId }
    this.#inside = { ...account, creator: new FileCreator(account) }
    this.#onRetry = onRetry
  }

  /**
   * Creates a file, with a presigned URL for each slice of it: good for 24 h, and V4 renews none. Where an
   * answer is lost, the folder is listed, what was left behind is deleted, and the file created again: in
   * the end there is one.
   */
  async createFile(folderId: string, options: CreateFileOptions): Promise<V4NewFile> {
    checkV4Id('folderId', folderId)
    object('options', options)
    refuseUnknown('', options, ['name', 'fileSize'])
    const wanted = {
      folderId,
      name: checkV4Name('name', options.name),
      fileSize: checkFileSize('fileSize', options.fileSize),
    }
    return this.#inside.creator.create(wanted, this.#context('createFile'))
  }

  /** How far the upload of a file is. */
  async fileStatus(fileId: string): Promise<V4FileStatus> {
    checkV4Id('fileId', fileId)
    return getFileStatus(this.#inside, fileId, this.#context('fileStatus', fileId))
  }

  /**
   * Waits until Frame.io says that it has every byte (`upload_complete`), and returns that status.
   *
   * @throws {RealtimeUploadError} `ERR_TIMEOUT`, or `ERR_UPLOAD_FAILED` where Frame.io says so; an
   *   `AbortError` when the signal aborts
   */
  async waitUntilUploaded(fileId: string, options: WaitOptions = {}): Promise<V4FileStatus> {
    checkV4Id('fileId', fileId)
    return untilUploaded(this.#inside.api.closing, checkWaitOptions(options), {
      id: fileId,
      what: 'file',
      look: async signal => {
        const context = { ...this.#context('waitUntilUploaded', fileId), signal }
        const found = await getFileStatus(this.#inside, fileId, context)
        const { upload_complete: complete, upload_failed: failed } = found
        return { found, state: complete ? 'uploaded' : failed ? 'failed' : 'open' }
      },
    })
  }

  /** Deletes a file, for example one whose upload was given up: it stays "created" and eats quota. */
  async deleteFile(fileId: string): Promise<void> {
    checkV4Id('fileId', fileId)
    await deleteFile(this.#inside, fileId, this.#context('deleteFile', fileId))
  }

  /** Whose token it is: the cheapest way to find out whether it is any good. */
  async whoAmI(): Promise<V4User> {
    return getUser(this.#inside, this.#context('whoAmI'))
  }

  /** What lies in a folder: a call for each hundred entries, made when they are asked for. */
  listFolder(folderId: string): AsyncIterableIterator<V4Entry> {
    checkV4Id('folderId', folderId)
    return entriesOf(this.#inside, folderId, this.#context('listFolder'))
  }

  /** Of a call that belongs to no upload. */
  #context(call: V4CallRetry['call'], fileId?: string): CallContext {
    return {
      ...this.#inside.api.alone,
      onRetry: retry => this.#onRetry({ call, fileId, ...retry }),
    }
  }

  /** Ends all connections, but for those of a dispatcher that was given. What still runs fails. */
  async close(): Promise<void> {
    await this.#inside.api.close()
  }
}
