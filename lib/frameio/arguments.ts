/**
 * What users pass to the calls of a client, and the rules for it: nothing is sent before all of it
 * makes sense.
 */
import {
  abortSignal,
  flag,
  integer,
  invalid,
  number,
  object,
  positive,
  refuseUnknown,
  take,
  takeIfGiven,
} from '../checks.ts'
import { type CreateAssetBody, checkFiletype, checkId, checkName, type Limits } from './protocol.ts'

/** What a registration says of a part. */
export interface PartInfo {
  /** Counted from 1. */
  readonly number: number
  /** Bytes. */
  readonly size: number
  /** The file's last part? */
  readonly final: boolean
}

export interface CreateAssetOptions {
  /** Id of the folder or project root to create it in. Required on the platform, absent for C2C. */
  readonly parentId?: string | undefined
  /** Name with an extension; or give `extension` alone, and the name at finalisation. */
  readonly name?: string | undefined
  /** Such as `.mp4`. If a name is given too, they must agree. */
  readonly extension?: string | undefined
  /** Media type, such as `video/mp4`. */
  readonly filetype: string
  /**
   * C2C only: seconds since the first byte of the media was made; decides the dated folder, and whether
   * it falls into a pause. A function is asked at each try: it is older then. Default 0: it is being
   * recorded now.
   */
  readonly offset?: number | (() => number) | undefined
  /** C2C only: the device's channel. */
  readonly channel?: number | undefined
  /** Ends the call. Where it was under way there may be an asset all the same. */
  readonly signal?: AbortSignal | undefined
}

export interface RegisterOptions {
  /** Bytes of the whole file; required in the call that has the final part. */
  readonly assetFilesize?: number | undefined
  /** New name, for assets created with an `extension` alone; otherwise Frame.io ignores it. */
  readonly assetName?: string | undefined
}

export interface WaitOptions {
  /** Give up after so many ms. Default 600,000 (ten minutes). */
  readonly timeout?: number | undefined
  readonly signal?: AbortSignal | undefined
}

const CREATE = [
  'parentId',
  'name',
  'extension',
  'filetype',
  'offset',
  'channel',
  'signal',
] as const satisfies (keyof CreateAssetOptions)[]
const REGISTER = ['assetFilesize', 'assetName'] as const satisfies (keyof RegisterOptions)[]
const WAIT = ['timeout', 'signal'] as const satisfies (keyof WaitOptions)[]

const OFFSET = number('a number of seconds, 0 or more', 0, Number.MAX_VALUE)

/** Where an asset is created, and what is sent for it. @throws {RealtimeUploadError} */
export const creationOf = (
  options: CreateAssetOptions,
  device: boolean,
): { path: string; body: CreateAssetBody } => {
  object('options', options)
  refuseUnknown('', options, CREATE)
  const { name, extension, filetype, channel, parentId, signal } = options
  takeIfGiven('signal', signal, abortSignal)
  // Asked of every integration, though 0 is what Frame.io takes where there is none (its C2C guide).
  const given = typeof options.offset === 'function' ? options.offset() : options.offset
  const offset = given ?? (device ? 0 : undefined)
  const path = device
    ? '/v2/devices/assets'
    : `/v2/assets/${checkId('parentId', parentId)}/children`
  if (name === undefined && extension === undefined) {
    throw invalid('name or extension', undefined, 'given')
  }
  if (device && parentId !== undefined) {
    throw invalid('parentId', parentId, 'absent with `device`: the device decides where assets go')
  }
  if (!device && (offset ?? channel) !== undefined) {
    throw invalid('offset and channel', offset ?? channel, 'absent without `device`')
  }
  const body = {
    ...(!device && { type: 'file' as const }),
    ...(name !== undefined && { name: checkName('name', name) }),
    ...(extension !== undefined && { extension: checkName('extension', extension) }),
    filetype: checkFiletype('filetype', filetype),
    is_realtime_upload: true as const,
    ...(offset !== undefined && { offset: take('offset', offset, OFFSET) }),
    ...(channel !== undefined && {
      channel: take('channel', channel, integer(0, Number.MAX_SAFE_INTEGER)),
    }),
  }
  return { path, body }
}

/** @throws {RealtimeUploadError} */
export const checkRegistration = (
  assetId: string,
  parts: readonly PartInfo[],
  options: RegisterOptions,
  limits: Limits,
): void => {
  checkId('assetId', assetId)
  if (!Array.isArray(parts) || parts.length === 0) {
    throw invalid('parts', parts, 'a list of at least one part')
  }
  // Not forEach: that would pass over holes.
  for (const [index, part] of parts.entries()) checkPart(`parts[${index}]`, part, limits)
  if (new Set(parts.map(({ number }) => number)).size < parts.length) {
    throw invalid('parts', parts, 'a list that names each number once')
  }
  const finals = parts.filter(({ final }) => final).length
  if (finals > 1) throw invalid('parts', parts, 'a list with one final part at most')
  object('options', options)
  refuseUnknown('', options, REGISTER)
  const { assetFilesize, assetName } = options
  if (finals > 0 && assetFilesize === undefined) {
    throw invalid('assetFilesize', undefined, 'given with the final part')
  }
  takeIfGiven('assetFilesize', assetFilesize, integer(1, limits.maxFilesize, 'bytes'))
  if (assetName !== undefined) checkName('assetName', assetName)
}

/** All three fields are required, so none can be misspelt unseen: a part may know more than these. */
const checkPart = (at: string, part: PartInfo, { maxParts, maxPartSize }: Limits): void => {
  object(at, part)
  const { number, size, final } = part
  take(`${at}.number`, number, integer(1, maxParts))
  take(`${at}.size`, size, integer(1, maxPartSize, 'bytes'))
  take(`${at}.final`, final, flag)
}

/** @throws {RealtimeUploadError} */
export const checkWait = (assetId: string, options: WaitOptions) => {
  checkId('assetId', assetId)
  return checkWaitOptions(options)
}

/** @throws {RealtimeUploadError} */
export const checkWaitOptions = (options: WaitOptions) => {
  object('options', options)
  refuseUnknown('', options, WAIT)
  const { timeout = 600_000, signal } = options
  return {
    timeout: take('timeout', timeout, positive('ms')),
    signal: takeIfGiven('signal', signal, abortSignal),
  }
}
