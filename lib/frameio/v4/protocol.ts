/**
 * What goes over the wire to Frame.io's V4, its limits, and the guards for what it answers. Field names are
 * the wire's own.
 */
import { integer, rule, take, text } from '../../checks.ts'
import { RealtimeUploadError } from '../../errors.ts'
import { checkFiletype, isObject, nonsense, readUploadUrl } from '../protocol.ts'

/** Largest file, in bytes: 5 TB, decimal (Frame.io's V4 API reference). Less than V2's 5 TiB. */
export const LARGEST_FILE = 5_000_000_000_000

/** Longest name, in characters (Frame.io's V4 API reference). */
const LONGEST_NAME = 255

/** A file as V4 describes it. Only the fields this library reads are named. */
export interface V4File {
  readonly id: string
  readonly name: string
  /** `'created'`, and once every byte is there `'uploaded'`, then `'transcoded'`. */
  readonly status: string
  /** Media type, which V4 tells from the name. Each PUT must bear it as its `content-type`. */
  readonly media_type: string
  /** Where a person sees it. */
  readonly view_url?: string
  /** Bytes. */
  readonly file_size?: number | null
  /** ISO 8601, by Frame.io's clock. */
  readonly created_at?: string
  readonly [field: string]: unknown
}

/** A slice of a new file, and the presigned URL it is PUT to. Good for 24 h (Frame.io's V4 guide). */
export interface V4UploadUrl {
  /** Bytes, exactly. */
  readonly size: number
  readonly url: string
}

/** A file that was just created. */
export interface V4NewFile extends V4File {
  /** The file's slices, in the order of its bytes. They may be sent in any order. */
  readonly upload_urls: readonly V4UploadUrl[]
}

/** How far an upload is. `uploaded_at` says nothing: it is set when an upload begins. */
export interface V4FileStatus {
  readonly upload_complete: boolean
  readonly upload_completed_at?: string | null
  readonly upload_failed: boolean
  readonly uploaded_at?: string | null
  readonly [field: string]: unknown
}

/** A file, a folder or a version stack in a folder. */
export interface V4Entry {
  readonly id: string
  readonly name: string
  /** `'file'`, `'folder'` or `'version_stack'`. */
  readonly type: string
  /** Of a file. */
  readonly status?: string
  /** Of a file: bytes. */
  readonly file_size?: number | null
  /** Of a file. */
  readonly media_type?: string
  readonly view_url?: string
  /** ISO 8601, by Frame.io's clock. */
  readonly created_at?: string
  readonly [field: string]: unknown
}

/** Whose token it is. */
export interface V4User {
  readonly id: string
  readonly name?: string
  readonly email?: string
  readonly [field: string]: unknown
}

/** An id of V4's: a UUID, or of what lies in Adobe's storage `adobe:…`. It stands in a path, so no dots. */
const ID = text("an id of Frame.io's: letters, digits and - _ : @ | only", /^[\w:@|-]{1,256}$/)

const NAME = rule<string>(
  `a name of 1 to ${LONGEST_NAME} characters`,
  // As people count, not as UTF-16 does.
  v => typeof v === 'string' && v !== '' && [...v].length <= LONGEST_NAME,
)

const FILE_SIZE = integer(1, LARGEST_FILE, 'bytes: V4 has no empty file, and none beyond 5 TB')

export const checkV4Id = (option: string, value: unknown): string => take(option, value, ID)
export const checkV4Name = (option: string, value: unknown): string => take(option, value, NAME)
export const checkFileSize = (option: string, value: unknown): number =>
  take(option, value, FILE_SIZE)

/** What an answer is about. */
const dataOf = (body: unknown): Record<string, unknown> => {
  const data = isObject(body) ? body.data : undefined
  if (!isObject(data)) throw nonsense('it must have data', data)
  return data
}

const isNamed = (data: unknown): data is Record<string, unknown> & { id: string; name: string } =>
  isObject(data) && typeof data.id === 'string' && typeof data.name === 'string'

/**
 * A file that was just created.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` without id, name and media type, or where its slices
 *   are not those of a file of this size, or their URLs none
 */
export const readNewFile = (body: unknown, fileSize: number, secure: boolean): V4NewFile => {
  const data = dataOf(body)
  if (!isNamed(data)) throw nonsense('a file must have an id and a name', data)
  if (!isFiletype(data.media_type)) {
    throw nonsense('media_type must be a media type', data.media_type)
  }
  const { upload_urls: slices } = data
  if (!Array.isArray(slices) || slices.length === 0) {
    throw nonsense('upload_urls must be a list of at least one', slices)
  }
  let sum = 0
  for (const slice of slices) {
    const { size, url }: Record<string, unknown> = isObject(slice) ? slice : {}
    if (!Number.isInteger(size) || Number(size) < 1) {
      throw nonsense('each of upload_urls must have a size', size)
    }
    readUploadUrl(url, secure)
    sum += Number(size)
  }
  if (sum !== fileSize) {
    throw nonsense(`the sizes of upload_urls must add up to ${fileSize}, not to ${sum}`, slices)
  }
  return data as unknown as V4NewFile
}

const isFiletype = (value: unknown): boolean => {
  try {
    checkFiletype('media_type', value)
    return true
  } catch (error) {
    if (error instanceof RealtimeUploadError) return false
    throw error
  }
}

export const readFileStatus = (body: unknown): V4FileStatus => {
  const data = dataOf(body)
  if (typeof data.upload_complete !== 'boolean' || typeof data.upload_failed !== 'boolean') {
    throw nonsense('a status must have upload_complete and upload_failed', data)
  }
  return data as unknown as V4FileStatus
}

export const readUser = (body: unknown): V4User => {
  const data = dataOf(body)
  if (typeof data.id !== 'string') throw nonsense('a user must have an id', data)
  return data as unknown as V4User
}

const isEntry = (data: unknown): data is V4Entry => isNamed(data) && typeof data.type === 'string'

/** A page of a folder. */
export interface Page {
  readonly entries: readonly V4Entry[]
  /** Where the next one begins; undefined behind the last. */
  readonly after: string | undefined
}

/** Of the link to the next page the cursor alone is taken: the token must go nowhere else. */
export const readPage = (body: unknown): Page => {
  const { data, links } = isObject(body) ? body : {}
  if (!Array.isArray(data) || !data.every(isEntry)) {
    throw nonsense('a folder must be a list of what has id, name and type', data)
  }
  const next = isObject(links) ? links.next : undefined
  if (next === undefined || next === null) return { entries: data, after: undefined }
  const base = 'https://api.frame.io'
  const isLink = typeof next === 'string' && URL.canParse(next, base)
  const after = isLink ? new URL(next, base).searchParams.get('after') : undefined
  if (!after) throw nonsense('links.next must be a link with a cursor `after`', next)
  return { entries: data, after }
}
