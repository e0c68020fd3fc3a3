/**
 * What users may set for the upload of a finished file, and what it becomes. Below this file nothing is
 * optional.
 */
import { basename } from 'node:path'
import {
  abortSignal,
  aFunction,
  object,
  positive,
  refuseUnknown,
  rule,
  take,
  takeIfGiven,
  text,
} from '../checks.ts'
import { absolute } from '../follow/options.ts'
import { CONCURRENCY } from '../frameio/options.ts'
import { FrameioV4Client } from '../frameio/v4/client.ts'
import { checkV4Id, checkV4Name } from '../frameio/v4/protocol.ts'
import type { Progress } from '../upload/events.ts'
import { checkIntegrity } from '../upload/options.ts'
import type { FileUploadEvent } from './events.ts'

/** How a file is sent, and who is told. */
export interface FileSettings {
  /** PUTs in flight at once: 1..1000. Default 4. The client's `concurrency` caps those of all uploads. */
  readonly concurrency?: number | undefined
  /** Base of the time a PUT may take before it counts as stalled, in ms. Default 30,000. */
  readonly stallTimeout?: number | undefined
  /**
   * `'md5'` sends a `Content-MD5` with every part, for which it is read twice: S3 refuses a part that arrives
   * otherwise, and it is sent again. Default: none.
   */
  readonly integrity?: 'md5' | undefined
  /** Told where the upload stands: at most ten times a second, and once before the end. */
  readonly onProgress?: ((progress: Progress) => void) | undefined
  /** Told of each part that is stored, of each other try, and of what should be known. */
  readonly onEvent?: ((event: FileUploadEvent) => void) | undefined
  /** Aborts the upload. */
  readonly signal?: AbortSignal | undefined
}

export interface UploadFileOptions extends FileSettings {
  readonly client: FrameioV4Client
  /** Id of the folder that the file is created in. */
  readonly folderId: string
  /** Path of a finished file. It is read in ranges, never held in memory, and no lock is taken on it. */
  readonly file: string
  /** What it is called at Frame.io: 1 to 255 characters. Default: as on the disk. */
  readonly name?: string | undefined
  /**
   * `{ dir }`: notes in that folder what is stored, so that the same call goes on where another was cut off.
   * Until all is stored it holds the presigned URLs as well, readable by its owner alone, for V4 gives
   * them once: see SECURITY.md. Default: nothing is noted, and a file that is not finished is deleted.
   */
  readonly spool?: { readonly dir: string } | undefined
}

export interface ResolvedFileSettings {
  readonly concurrency: number
  readonly stallTimeout: number
  readonly integrity: 'md5' | undefined
  readonly onProgress: (progress: Progress) => void
  readonly onEvent: (event: FileUploadEvent) => void
  readonly signal: AbortSignal | undefined
}

/** What is uploaded, and where to. */
export interface FileTarget {
  readonly folderId: string
  /** Absolute. */
  readonly path: string
  readonly name: string
}

export interface ResolvedFileOptions {
  readonly client: FrameioV4Client
  readonly target: FileTarget
  /** Where the folders of uploads are. */
  readonly dir: string | undefined
  readonly settings: ResolvedFileSettings
}

export const SETTINGS = [
  'concurrency',
  'stallTimeout',
  'integrity',
  'onProgress',
  'onEvent',
  'signal',
] as const satisfies (keyof FileSettings)[]

const CLIENT = rule<FrameioV4Client>('a FrameioV4Client', v => v instanceof FrameioV4Client)
const PATH = text('the path of a file', /./)
const FOLDER = text('the path of a folder', /./)

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolveFileOptions = (options: UploadFileOptions): ResolvedFileOptions => {
  object('options', options)
  refuseUnknown('', options, ['client', 'folderId', 'file', 'name', 'spool', ...SETTINGS])
  const { client, folderId, file, name, spool } = options
  const path = absolute(take('file', file, PATH))
  const target = {
    folderId: checkV4Id('folderId', folderId),
    path,
    name: checkV4Name('name', name ?? basename(path)),
  }
  return {
    client: take('client', client, CLIENT),
    target,
    dir: spool === undefined ? undefined : checkSpool(spool),
    settings: resolveFileSettings(options),
  }
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolveFileSettings = (options: FileSettings): ResolvedFileSettings => {
  const { concurrency = 4, stallTimeout = 30_000, integrity, signal } = options
  const { onProgress = () => {}, onEvent = () => {} } = options
  take('onProgress', onProgress, aFunction)
  take('onEvent', onEvent, aFunction)
  return {
    concurrency: take('concurrency', concurrency, CONCURRENCY),
    stallTimeout: take('stallTimeout', stallTimeout, positive('ms')),
    integrity: checkIntegrity(integrity),
    onProgress,
    onEvent,
    signal: takeIfGiven('signal', signal, abortSignal),
  }
}

const checkSpool = (value: unknown): string => {
  const what = 'an object such as { dir: "/media/spool" }'
  const spool: { readonly dir?: unknown } = object('spool', value, what)
  refuseUnknown('spool.', spool, ['dir'])
  return absolute(take('spool.dir', spool.dir, FOLDER))
}
