/**
 * What the command was given, once it makes sense.
 */
import type { RealtimeUploadOptions } from '../upload/options.ts'
import type { FollowSettings } from './follow-settings.ts'

/** What a take is fed by. */
export interface SourceSettings {
  /** A program and its arguments. */
  readonly producer: readonly [command: string, ...args: string[]] | undefined
  /** A file that another program writes. Without this and a program it is stdin that is uploaded. */
  readonly follow: FollowSettings | undefined
  readonly onProducerFailure: 'finalise' | 'abort'
  /** The file that keeps what the producer writes to its stderr. */
  readonly producerLog: string | undefined
  readonly quiet: boolean
  readonly verbose: boolean
}

export interface Settings extends SourceSettings {
  readonly asset: string | undefined
  readonly parent: string | undefined
  readonly name: string | undefined
  readonly extension: string | undefined
  readonly filetype: string
  readonly tokenFile: string | undefined
  /** The file of a device that was paired. */
  readonly credentials: string | undefined
  /** A folder, or '' for a new one in the system's folder for temporary files. */
  readonly sandbox: string | undefined
  /** Options of the library, as far as they were given. */
  readonly upload: Pick<
    RealtimeUploadOptions,
    | 'partSize'
    | 'memoryLimit'
    | 'maxSize'
    | 'expectedSize'
    | 'concurrency'
    | 'baseUrl'
    | 'integrity'
    | 'lateHead'
    | 'device'
    | 'retry'
    | 'spool'
  >
  readonly json: boolean
  readonly check: boolean
  readonly wait: boolean
}

/** Of `--resume`. */
export interface ResumeSettings
  extends Pick<Settings, 'tokenFile' | 'credentials' | 'upload' | 'json' | 'quiet' | 'verbose'> {
  /** The folder. */
  readonly resume: string
  /** Only show what is there. */
  readonly list: boolean
  /** How long nothing changes in a file that was followed, and is over, in ms. */
  readonly idle: number | undefined
  readonly producer: undefined
  readonly follow: undefined
}

/** Of `--follow` with a folder. */
export interface FolderSettings
  extends Pick<
    Settings,
    | 'parent'
    | 'tokenFile'
    | 'credentials'
    | 'sandbox'
    | 'upload'
    | 'json'
    | 'quiet'
    | 'verbose'
    | 'check'
  > {
  readonly follow: FollowSettings
  /** Patterns of names; none: whatever has a media type. */
  readonly match: readonly string[]
  /** End when all that is there is done. */
  readonly once: boolean
  readonly producer: undefined
}

/** Of `--v4`. */
export interface V4Settings
  extends SourceSettings,
    Pick<Settings, 'sandbox' | 'tokenFile' | 'json' | 'check' | 'wait'> {
  /** Undefined with a sandbox, which has an account of its own. */
  readonly v4: { readonly accountId: string; readonly folderId: string } | undefined
  readonly legacyToken: boolean
  readonly name: string
  /** Media time of a piece, in ms. */
  readonly segment: number | undefined
  readonly spool: {
    /** Undefined: a folder of the user's. */
    readonly dir: string | undefined
    readonly maxBytes: number | undefined
    readonly keepFree: number | undefined
    readonly keep: boolean
  }
  /** Options of the library, as far as they were given. */
  readonly upload: V4UploadSettings
}

export type V4UploadSettings = Pick<
  Settings['upload'],
  'maxSize' | 'concurrency' | 'baseUrl' | 'integrity' | 'retry'
>

/** Of `--resume` with `--v4`. */
export interface V4ResumeSettings extends Pick<V4Settings, 'tokenFile' | 'legacyToken' | 'upload'> {
  /** The folder. */
  readonly resume: string
  readonly accountId: string
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly producer: undefined
  readonly follow: undefined
}
