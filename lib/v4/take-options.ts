/**
 * What users may set for a recording to V4, and what it becomes. Below this file nothing is optional.
 */
import { flag, integer, object, refuseUnknown, rule, take, takeIfGiven } from '../checks.ts'
import { absolute } from '../follow/options.ts'
import { checkSpool, type SpoolOptions } from '../frameio/options.ts'
import { FrameioV4Client, v4Of } from '../frameio/v4/client.ts'
import { checkV4Id, checkV4Name, LARGEST_FILE } from '../frameio/v4/protocol.ts'
import { segmentName } from '../segments/segment-name.ts'
import { checkSegmentTime, type SegmentTime } from '../segments/segment-time.ts'
import {
  type FileSettings,
  type ResolvedFileSettings,
  resolveFileSettings,
  SETTINGS,
} from './options.ts'
import type { TakeEvent } from './take-events.ts'
import type { TakeOpening } from './take-journal.ts'

/** Where a recording lies until Frame.io has it. */
export interface TakeSpoolOptions extends Omit<SpoolOptions, 'durable' | 'keep' | 'maxBytes'> {
  /**
   * Bytes on the disk at most, of each recording. Default `Infinity`. Beyond that the source is held until a
   * piece is uploaded and removed.
   */
  readonly maxBytes?: number | undefined
  /** `true`: pieces stay in the recording's folder once they are uploaded. Default false. */
  readonly keep?: boolean | undefined
}

export interface TakeOptions extends Omit<FileSettings, 'onEvent'> {
  readonly client: FrameioV4Client
  /** Id of the folder that the files are created in. */
  readonly folderId: string
  /**
   * What the file is called: 1 to 255 characters; V4 tells its media type from the extension. With `segment` the
   * files are called `A001_001.mp4`, `A001_002.mp4`, …
   */
  readonly name: string
  /** Where it is recorded. Each recording gets a folder of its own in `dir`. */
  readonly spool: TakeSpoolOptions
  /**
   * Media time of a piece: ms, or a time such as `'10s'`, `'5m'` or `'1h'`, from a second to a day. The stream is
   * cut at the next place where its container allows, and each piece is uploaded while the next is recorded.
   * Default: one file, uploaded at the end.
   */
  readonly segment?: SegmentTime | undefined
  /** Bytes of a file at most, 1..5,000,000,000,000: with `segment` it is cut before. Default that of V4. */
  readonly maxSize?: number | undefined
  /** Told of each piece, each file, each part that is stored, each other try, and of what should be known. */
  readonly onEvent?: ((event: TakeEvent) => void) | undefined
}

export interface ResolvedTakeOptions {
  readonly client: FrameioV4Client
  readonly opening: TakeOpening
  readonly dir: string
  readonly maxBytes: number
  readonly keepFree: number
  readonly syncEvery: number
  readonly maxSize: number
  readonly settings: Omit<ResolvedFileSettings, 'onEvent'>
  readonly onEvent: (event: TakeEvent) => void
}

export const TAKE = [
  'client',
  'folderId',
  'name',
  'spool',
  'segment',
  'maxSize',
  ...SETTINGS,
] as const satisfies (keyof TakeOptions)[]

const CLIENT = rule<FrameioV4Client>('a FrameioV4Client', v => v instanceof FrameioV4Client)

/** A name whose last piece can still be numbered. */
const MOST_PIECES = 99_999

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolveTakeOptions = (options: TakeOptions): ResolvedTakeOptions => {
  object('options', options)
  refuseUnknown('', options, TAKE)
  const { client, folderId, name, segment, maxSize = LARGEST_FILE, spool, ...rest } = options
  const { api, accountId } = v4Of(take('client', client, CLIENT))
  const { onEvent, ...settings } = resolveFileSettings(rest as FileSettings)
  const time = segment === undefined ? undefined : checkSegmentTime('segment', segment)
  checkV4Name('name', name)
  if (time !== undefined) checkV4Name('name', segmentName(name, MOST_PIECES))
  const { keep, ...space } = checkTakeSpool(spool)
  return {
    ...space,
    client,
    opening: {
      origin: api.options.baseUrl.origin,
      accountId,
      folderId: checkV4Id('folderId', folderId),
      name,
      segment: time,
      integrity: settings.integrity,
      keep: keep || undefined,
    },
    maxSize: take('maxSize', maxSize, integer(1, LARGEST_FILE, 'bytes')),
    settings,
    onEvent: onEvent as (event: TakeEvent) => void,
  }
}

const checkTakeSpool = (value: unknown) => {
  const spool: { readonly [K in keyof TakeSpoolOptions]?: unknown } = object(
    'spool',
    value,
    'an object such as { dir: "/media/spool" }',
  )
  refuseUnknown('spool.', spool, ['dir', 'maxBytes', 'keepFree', 'keep', 'syncEvery'])
  const keep = takeIfGiven('spool.keep', spool.keep, flag) ?? false
  const { dir, maxBytes, keepFree, syncEvery } = checkSpool(spool)
  return { dir: absolute(dir), maxBytes, keepFree, syncEvery, keep }
}
