/**
 * A file that Frame.io has made for an upload, with a presigned URL for each slice of it: they live 24 hours,
 * and nothing renews them.
 */
import { RealtimeUploadError } from '../errors.ts'
import { isObject, readUploadUrl } from '../frameio/protocol.ts'
import type { V4NewFile, V4UploadUrl } from '../frameio/v4/protocol.ts'
import type { Ruling } from '../net/rulings.ts'
import { damaged } from '../spool/recover.ts'
import type { Created } from './record-state.ts'
import type { Slice } from './slice-part.ts'

/** Life of a URL, in ms (Frame.io's V4 guide). */
const LIFE = 86_400_000
/** Of URLs that lay on the disk the last minutes are not worth a try, in ms. */
const MARGIN = 300_000

/** A slice, and where it goes. */
export interface PutSlice extends Slice {
  readonly url: string
}

export interface Creation extends Created {
  readonly slices: readonly PutSlice[]
}

export const creationOf = (k: number, at: number, file: V4NewFile): Creation => {
  const slices = slicesOf(file.upload_urls)
  return {
    k,
    at,
    fileId: file.id,
    name: file.name,
    viewUrl: typeof file.view_url === 'string' ? file.view_url : undefined,
    mediaType: file.media_type,
    parts: slices.length,
    slices,
  }
}

const slicesOf = (urls: readonly V4UploadUrl[]): PutSlice[] => {
  let start = 0
  return urls.map(({ size, url }, index) => {
    const slice = { number: index + 1, start, size, url }
    start += size
    return slice
  })
}

export const bytesOf = (slices: readonly Slice[]): number =>
  slices.reduce((sum, { size }) => sum + size, 0)

/** How old its URLs are, in ms. A clock that was set back since tells nothing: S3's own decides then. */
const ageOf = ({ at }: Created): number => Math.max(0, Date.now() - at)

export const isPastLife = (created: Created): boolean => ageOf(created) >= LIFE - MARGIN

/** Since when its URLs count as living, on the monotonic clock. */
export const sinceOf = (creation: Created): number => performance.now() - ageOf(creation)

/** A creation as it lies on the disk. */
export const textOfUrls = ({ slices, ...created }: Creation): string =>
  `${JSON.stringify({ ...created, slices: slices.map(({ size, url }) => ({ size, url })) })}\n`

/** @throws {RealtimeUploadError} `ERR_SPOOL_DAMAGED`, without a word of what stands there */
export const readUrls = (path: string, text: string, secure: boolean): Creation => {
  try {
    const { slices, ...created } = JSON.parse(text) as Created & { slices: V4UploadUrl[] }
    if (!isObject(created) || !Number.isInteger(created.k)) throw new Error('no creation')
    for (const { url } of slices) readUploadUrl(url, secure)
    return { ...created, slices: slicesOf(slices) }
  } catch {
    throw damaged(path, 0, 'it holds no list of presigned URLs')
  }
}

/** The URLs of a creation are of no more use: nothing but another creation helps. */
export class UrlsExpired extends Error {
  readonly isDenied: boolean

  /** @param why what S3 refused one for; undefined where it is past its life by our own clock */
  constructor(why: Ruling | undefined) {
    super('The URLs of a file have expired')
    this.isDenied = why?.code === 'ERR_STORAGE_REJECTED'
  }
}

/** How often a file is created: what takes longer than three days will not be faster on the fourth … */
const MOST_CREATIONS = 3
/** … and what S3 denies twice it denies. */
const MOST_DENIALS = 2

/** What an upload fails with that created a file so often; undefined where another try is due. */
export const expiredForGood = (
  { fileId }: Created,
  { isDenied }: UrlsExpired,
  times: number,
): RealtimeUploadError | undefined => {
  if (times < (isDenied ? MOST_DENIALS : MOST_CREATIONS)) return undefined
  const details = { assetId: fileId }
  if (isDenied) {
    const message = `S3 denies access by the URLs of file ${fileId}, and did so by those of the one before`
    return new RealtimeUploadError('ERR_STORAGE_REJECTED', message, details)
  }
  const message = `The URLs of file ${fileId} expired before all of it was sent, ${times} times over: V4's live 24 hours. Send smaller files, over a faster link, and check the clock`
  return new RealtimeUploadError('ERR_URL_EXPIRED', message, details)
}
