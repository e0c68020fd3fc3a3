/**
 * What users may set for a file that is followed, and what it becomes.
 */
import { isAbsolute, resolve } from 'node:path'
import {
  abortSignal,
  integer,
  invalid,
  number,
  object,
  oneOf,
  refuseUnknown,
  rule,
  take,
  takeIfGiven,
} from '../checks.ts'

/** What is read again when a file is over: its writer may have changed what was sent already. */
export type Verify = 'auto' | 'all' | 'none'

export interface FollowOptions {
  /**
   * It is over when nothing changed for so long, in ms, and nobody is seen to have it open for writing.
   * Default 60,000; on a network drive 120,000, for some show new bytes as late as every 90 s.
   */
  readonly idle?: number | undefined
  /**
   * Stays so many bytes behind the end while the file grows: what is there may still be changed. Default
   * 8,388,608 (8 MiB).
   */
  readonly headroom?: number | undefined
  /** How long the file may take to appear, in ms. Default 60,000. */
  readonly appear?: number | undefined
  /**
   * `'auto'`: of what changes its head alone, told by its first bytes (WAV, RF64, AIFF, CAF, FLAC, MP3,
   * MP4, MOV, FLV, ASF, Ogg, MPEG-TS), both ends of each part and the last two parts; of all others
   * everything. `'all'`: everything. `'none'`: nothing. Default `'auto'`.
   */
  readonly verify?: Verify | undefined
  /** Aborts when the recording is over now: the size of that moment is the file's. */
  readonly ended?: AbortSignal | undefined
}

export interface ResolvedFollowOptions {
  /** Undefined: by the file system that it lies on. */
  readonly idle: number | undefined
  readonly headroom: number
  readonly appear: number
  readonly verify: Verify
  readonly ended: AbortSignal | undefined
}

/** A file, finished, or one that still grows. */
export interface FileSource {
  /** Its path. It is opened for reading, and never locked. */
  readonly file: string
  /** Upload it while another program writes it. Default: it is finished. */
  readonly follow?: boolean | FollowOptions | undefined
}

const PATH = rule<string>(
  'the path of a file',
  v => typeof v === 'string' && v !== '' && !v.includes('\0'),
)
const IDLE = number('a number of ms from 1,000 to one day', 1_000, 86_400_000)

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const checkFile = (source: { readonly [K in keyof FileSource]?: unknown }): void => {
  refuseUnknown('source.', source, ['file', 'follow'])
  take('source.file', source.file, PATH)
  resolveFollow('source.follow', source.follow)
}

/** Complete options; undefined where the file is finished. */
export const resolveFollow = (
  option: string,
  follow: unknown,
): ResolvedFollowOptions | undefined => {
  if (follow === undefined || follow === false) return undefined
  if (typeof follow !== 'boolean' && (typeof follow !== 'object' || follow === null)) {
    throw invalid(option, follow, 'true, false or an object such as { idle: 60_000 }')
  }
  const given: { readonly [K in keyof FollowOptions]?: unknown } =
    follow === true ? {} : object(option, follow)
  const known = ['idle', 'headroom', 'appear', 'verify', 'ended']
  refuseUnknown(`${option}.`, given, known)
  const { idle, headroom = 8 * 2 ** 20, appear = 60_000, verify = 'auto', ended } = given
  const bytes = integer(0, Number.MAX_SAFE_INTEGER, 'bytes')
  const patience = number('a number of ms, 0 or more, or Infinity', 0, Number.POSITIVE_INFINITY)
  return {
    idle: takeIfGiven(`${option}.idle`, idle, IDLE),
    headroom: take(`${option}.headroom`, headroom, bytes),
    appear: take(`${option}.appear`, appear, patience),
    verify: take(`${option}.verify`, verify, oneOf<Verify>('auto', 'all', 'none')),
    ended: takeIfGiven(`${option}.ended`, ended, abortSignal),
  }
}

/** As a journal keeps it: whoever resumes may stand in another folder. */
export const absolute = (path: string): string => (isAbsolute(path) ? path : resolve(path))
