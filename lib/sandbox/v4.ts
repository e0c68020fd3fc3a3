/**
 * The sandbox's V4: files of a known size, cut into slices whose URLs come with the creation. A file is an
 * asset all of whose parts are registered at once.
 */
import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import { extname } from 'node:path'
import type { Asset } from './assets.ts'
import type { Credentials } from './credentials.ts'
import type { Settings } from './options.ts'
import { LeakyBucket } from './rate-limit.ts'
import type { Route } from './routes.ts'
import { type NewAsset, Refusal, readObject } from './rules.ts'
import type { Answer } from './wire.ts'

/** What V4 works on. */
export interface V4Account {
  readonly credentials: Credentials
  readonly accountId: string
  readonly folderId: string
  readonly userId: string
  /** The ids of its files, in order of creation. */
  readonly files: Set<string>
  readonly assets: Map<string, Asset>
  create(asset: NewAsset): Asset
}

/** Most bytes of a file, and most characters of its name (Frame.io's V4 API reference). */
const LARGEST = 5_000_000_000_000
const LONGEST_NAME = 255

/** Calls that are counted otherwise than the rest (Frame.io's V4 API reference). */
const CHILDREN = { limit: 100, window: 60_000 }

export class V4 {
  readonly #settings: Settings['v4']
  readonly #account: V4Account
  /** Each kind of calls is counted by itself. */
  readonly #buckets = new Map<string, LeakyBucket>()

  constructor(settings: Settings['v4'], account: V4Account) {
    this.#settings = settings
    this.#account = account
  }

  bucketOf({ operation }: Route): LeakyBucket {
    const { rateLimit } = this.#settings
    const usual = operation === 'children' ? CHILDREN : { limit: 5, window: 1_000 }
    const bucket = this.#buckets.get(operation) ?? new LeakyBucket(rateLimit ?? usual)
    this.#buckets.set(operation, bucket)
    return bucket
  }

  /** A legacy token needs its header, and no other token may have it. */
  accepts({ headers }: IncomingMessage): boolean {
    const { credentials } = this.#account
    const isLegacy = headers['x-frameio-legacy-token-auth'] === 'true'
    return isLegacy
      ? headers.authorization === `Bearer ${credentials.legacyToken}`
      : credentials.accepts(headers.authorization)
  }

  async carryOut(
    { url = '' }: IncomingMessage,
    { operation, accountId, id = '' }: Route,
    read: () => Fields,
  ): Promise<Answer> {
    const { files, assets } = this.#account
    if (operation === 'me') return json(200, { data: this.#user })
    if (operation === 'accounts') {
      return json(200, { data: [{ id: this.#account.accountId, display_name: 'Sandbox' }] })
    }
    if (accountId !== this.#account.accountId) throw notFound('account')
    if (operation === 'create' || operation === 'children') {
      if (id !== this.#account.folderId) throw notFound('folder')
      return operation === 'create'
        ? json(201, { data: await this.#create(read()) })
        : json(200, this.#children(new URL(url, 'http://sandbox').searchParams))
    }
    const asset = files.has(id) ? assets.get(id) : undefined
    if (!asset) throw notFound('file')
    if (operation === 'status') return json(200, { data: statusOf(asset) })
    files.delete(id)
    assets.delete(id)
    await asset.remove()
    return { status: 204 }
  }

  async #create(body: Fields) {
    const { name, file_size: size } = readNewFile(body)
    const filetype = TYPES[extname(name).toLowerCase()] ?? 'application/octet-stream'
    const wanted = { name, unnamed: false, filetype, offset: undefined, channel: undefined }
    const asset = this.#account.create(wanted)
    this.#account.files.add(asset.id)
    const parts = slicesOf(size, this.#settings.sliceSize)
    const urls = await asset.register({ parts, filesize: size, name: undefined })
    const slices = parts.map(({ size }, at) => ({ size, url: urls[at] }))
    return { ...this.#describe(asset), upload_urls: slices }
  }

  #children(query: URLSearchParams) {
    const known = ['include', 'type', 'after', 'page_size', 'include_total_count']
    for (const name of query.keys()) demand(known.includes(name), `there is no query ${name}`, name)
    const size = Number(query.get('page_size') ?? 50)
    demand(Number.isInteger(size) && size >= 1 && size <= 100, 'must be from 1 to 100', 'page_size')
    const after = query.get('after')
    const start = after === null ? 0 : Number(Buffer.from(after, 'base64url').toString())
    demand(Number.isInteger(start) && start >= 0, 'is no cursor of ours', 'after')
    const { files, assets, accountId, folderId } = this.#account
    const type = query.get('type')
    const ids = type === null || type === 'file' ? [...files] : []
    const page = ids.slice(start, start + size).flatMap(id => assets.get(id) ?? [])
    const end = start + size
    const cursor = Buffer.from(String(end)).toString('base64url')
    const next = `/v4/accounts/${accountId}/folders/${folderId}/children?after=${cursor}&page_size=${size}`
    return {
      data: page.map(asset => this.#describe(asset)),
      links: { next: end < ids.length ? next : null },
    }
  }

  #describe(asset: Asset) {
    const { id, name, status, filetype, filesize, createdAt, uploadCompletedAt } = asset
    const { folderId, accountId } = this.#account
    return {
      id,
      name,
      type: 'file',
      status,
      media_type: filetype,
      file_size: filesize ?? null,
      parent_id: folderId,
      project_id: accountId,
      created_at: createdAt,
      updated_at: uploadCompletedAt ?? createdAt,
      view_url: `https://next.frame.io/project/${accountId}/view/${id}`,
    }
  }

  get #user() {
    const { userId } = this.#account
    return { id: userId, name: 'Sandbox', email: 'sandbox@example.com' }
  }
}

type Fields = Readonly<Record<string, unknown>>

const statusOf = ({ createdAt, uploadCompletedAt, uploadFailedAt }: Asset) => ({
  upload_complete: uploadCompletedAt !== undefined,
  upload_completed_at: uploadCompletedAt ?? null,
  upload_failed: uploadFailedAt !== undefined,
  // As Frame.io does: it means begun, and no more.
  uploaded_at: createdAt,
})

/** The slices of a file: all of one size, but the last. */
const slicesOf = (size: number, sliceSize: number) => {
  const count = Math.ceil(size / sliceSize)
  return Array.from({ length: count }, (_, at) => {
    const is_final = at === count - 1
    return { number: at + 1, size: is_final ? size - at * sliceSize : sliceSize, is_final }
  })
}

const readNewFile = (body: Fields) => {
  onlyFields(body, ['data'], '')
  const data = readObject(body.data, 'data', 422)
  onlyFields(data, ['name', 'file_size'], '/data')
  const { name, file_size } = data
  if (typeof name !== 'string' || name === '' || [...name].length > LONGEST_NAME) {
    throw invalid(`must be a string of 1 to ${LONGEST_NAME} characters`, '/data/name')
  }
  if (!Number.isInteger(file_size) || Number(file_size) < 1 || Number(file_size) > LARGEST) {
    throw invalid(`must be an integer from 1 to ${LARGEST}`, '/data/file_size')
  }
  return { name, file_size: Number(file_size) }
}

const onlyFields = (fields: Fields, known: readonly string[], at: string) => {
  for (const name of Object.keys(fields)) {
    if (!known.includes(name)) throw invalid(`Unexpected field: ${name}`, `${at}/${name}`)
  }
}

const invalid = (detail: string, pointer: string) =>
  new Refusal(422, detail, { title: 'Invalid value', pointer })

const demand = (holds: boolean, detail: string, name: string) => {
  if (!holds) throw invalid(detail, `/${name}`)
}

const notFound = (what: string) => new Refusal(404, `there is no such ${what}`)

/** What V4 tells of a name; more than this the sandbox need not know. */
const TYPES: Readonly<Record<string, string>> = {
  '.mp4': 'video/mp4',
  '.mov': 'video/quicktime',
  '.mxf': 'application/mxf',
  '.ts': 'video/mp2t',
  '.mkv': 'video/x-matroska',
  '.wav': 'audio/vnd.wave',
  '.mp3': 'audio/mpeg',
  '.jpg': 'image/jpeg',
}

/** V4's shape of an error. */
export const v4Error = (status: number, detail: string, title?: string, pointer?: string): Answer =>
  json(status, {
    errors: [
      {
        title: title ?? STATUS_CODES[status] ?? 'Error',
        detail,
        ...(pointer !== undefined && { source: { pointer } }),
      },
    ],
  })

const json = (status: number, body: object): Answer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(body),
})
