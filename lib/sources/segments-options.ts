/**
 * What users may set for a recording that is cut, and what it becomes: checked at the door, whole.
 */
import { invalid, object, refuseUnknown } from '../checks.ts'
import { creationOf } from '../frameio/arguments.ts'
import { apiOf, type CreateAssetOptions, FrameioClient } from '../frameio/client.ts'
import { CONNECTION } from '../frameio/options.ts'
import { checkName } from '../frameio/protocol.ts'
import { segmentName } from '../segments/segment-name.ts'
import { checkSegmentTime, type SegmentTime } from '../segments/segment-time.ts'
import {
  type RealtimeUploadOptions,
  type ResolvedUploadOptions,
  resolveUploadOptions,
  UPLOAD,
} from '../upload/options.ts'

/** What is of one asset, or the client's: it creates the assets. */
const NOT_PASSED = [
  'assetId',
  'client',
  'assetName',
  'token',
  'baseUrl',
  'device',
  'dispatcher',
] as const satisfies (keyof RealtimeUploadOptions)[]

/** An upload's options; `maxSize` and `expectedSize` are of each segment. */
type Passed = Omit<RealtimeUploadOptions, (typeof NOT_PASSED)[number]>

export interface SegmentsOptions extends Passed {
  /**
   * Media time of a segment: ms, or a time such as `'10s'`, `'5m'` or `'1h'`, from a second to a day.
   * It is cut at the next place where a picture stands for itself. Default: it is cut only where it
   * might grow beyond `maxSize`.
   */
  readonly segment?: SegmentTime | undefined
  /** Name with an extension: of `A001.mp4` the segments are `A001_001.mp4`, `A001_002.mp4`, … */
  readonly name: string
  /** Id of the folder or project root to create them in. Required on the platform, absent for C2C. */
  readonly parentId?: string | undefined
  /** C2C only: the device's channel. */
  readonly channel?: number | undefined
}

export interface ResolvedSegments {
  readonly client: FrameioClient
  /** In ms. */
  readonly segment: number
  readonly name: string
  /** What each asset is created with, beside its name. */
  readonly creation: Omit<CreateAssetOptions, 'name'>
  /** What each upload is made with, beside its asset. */
  readonly upload: Omit<RealtimeUploadOptions, 'assetId'>
  readonly resolved: ResolvedUploadOptions
  /** Does each recording stay on the disk, under the name of its segment? */
  readonly keepsByName: boolean
  /** Does what is recorded outlive a failure of its upload? */
  readonly isDurable: boolean
}

const PASSED = [...UPLOAD, ...CONNECTION].filter(key => !NOT_PASSED.some(name => name === key))
const KNOWN = ['segment', 'name', 'parentId', 'channel', ...PASSED]

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolveSegments = (
  client: FrameioClient,
  options: SegmentsOptions,
): ResolvedSegments => {
  if (!(client instanceof FrameioClient)) throw invalid('client', client, 'a FrameioClient')
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { segment, name, parentId, channel, signal, ...passed } = options
  const upload = { ...passed, client }
  // With an id that stands for those to come.
  const resolved = resolveUploadOptions({ ...upload, signal, assetId: 'id' })
  const { device, spool } = apiOf(client, resolved.connection).options
  const creation = { filetype: options.filetype, parentId, channel }
  creationOf({ ...creation, name: segmentName(checkName('name', name), 1) }, device !== undefined)
  return {
    client,
    segment:
      segment === undefined ? Number.POSITIVE_INFINITY : checkSegmentTime('segment', segment),
    name,
    creation,
    upload,
    keepsByName: spool?.keep === true,
    resolved,
    isDurable: spool?.durable ?? false,
  }
}
