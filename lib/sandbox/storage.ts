/**
 * The sandbox's S3: takes PUTs to presigned URLs and knows nothing of assets but what their paths
 * say.
 */
import { createHash, randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { FaultList } from './faults.ts'
import type { Assembled, PartFiles } from './files.ts'
import type { Exchange, RequestLog, Subject } from './log.ts'
import type { Settings } from './options.ts'
import { deliver, type ErrorOf, interrupted, stageOf } from './play.ts'
import { type Denial, Signer } from './presign.ts'
import { receive } from './receive.ts'
import { answer, serve } from './wire.ts'

/** What the API needs of a storage, and all it knows of it. */
export interface Storage {
  /** A URL by which this part can be PUT. */
  presign(assetId: string, number: number, filetype: string): string | Promise<string>
  /** Makes one file at `path` of the parts, in this order; undefined if no bytes are kept. */
  assemble(
    assetId: string,
    numbers: readonly number[],
    path: string,
  ): Promise<Assembled | undefined>
  /** Paths of the files that hold parts of this asset, in order; none where they are no files. */
  filesOf(assetId: string): readonly string[]
  /** Removes parts. */
  remove(assetId: string, numbers: readonly number[]): Promise<void>
  close(): Promise<void>
}

/** What a storage tells, and asks. One that cannot see a PUT arrive leaves that out. */
export interface StorageEvents {
  /** A PUT for this part arrived. */
  arrived(assetId: string, number: number): void
  /** Is anything still stored for this asset, or is its file made of what was there before? */
  isOpen(assetId: string): boolean
  /** This part is stored, with so many bytes, in place of what may have been there. */
  stored(assetId: string, number: number, size: number): void
}

/** How a storage is started. */
export type StartStorage = (
  settings: Settings,
  shared: { readonly log: RequestLog; readonly faults: FaultList; readonly files: PartFiles },
  events: StorageEvents,
) => Promise<Storage>

/**
 * The one door by which tests put another storage behind the API, such as a real S3: an option under
 * this key. It is not exported from the package, so no public type shows it.
 */
export const STORAGE_DOOR: unique symbol = Symbol('storage')

/** An options object that came through the door. */
export interface StorageDoor {
  readonly [STORAGE_DOOR]?: StartStorage
}

/** How these options want the storage started: the sandbox's own, unless a test brought another. */
export const storageOf = (options: object): StartStorage =>
  (options as StorageDoor)[STORAGE_DOOR] ?? startStorage

const startStorage: StartStorage = async (
  { urlLifetime, bodyTimeout, latency, limits },
  { log, faults, files },
  events,
) => {
  const signer = new Signer(urlLifetime)

  const handle = async (exchange: Exchange) => {
    const { req, entry } = exchange
    const { assetId = '', partNumbers } = entry
    const [number = 0] = partNumbers
    events.arrived(assetId, number)
    const fault = faults.due(entry)
    if (await interrupted(exchange, fault, 'headers', errorOf)) return

    const denial = wrongMethod(entry.operation) ?? signer.denial(req) ?? badLength(req)
    if (denial) return answer(exchange, xml(denial))

    const draft = files.draft()
    const digest = req.headers['content-md5']
    const md5 = draft.sink || digest !== undefined ? createHash('md5') : undefined
    const half =
      fault && stageOf(fault) === 'during' ? Number(req.headers['content-length']) / 2 : undefined
    try {
      const { sink } = draft
      const outcome = await receive(exchange, { sink, hash: md5, enough: half, idle: bodyTimeout })
      if (outcome === 'gone') return
      if (outcome === 'idle') return await answer(exchange, xml(TIMEOUT))
      if (await interrupted(exchange, fault, 'during', errorOf)) return
      if (await interrupted(exchange, fault, 'body', errorOf)) return

      const sum = md5?.digest()
      if (digest !== undefined && sum?.toString('base64') !== digest) {
        return await answer(exchange, xml(BAD_DIGEST))
      }
      await draft.finish()
      // S3 takes a late PUT all the same, but what is being put together must not change.
      if (events.isOpen(assetId)) {
        draft.keep(keyOf(assetId, number))
        events.stored(assetId, number, entry.bytes)
      }
      const etag = `"${sum?.toString('hex') ?? randomUUID()}"`
      await deliver(exchange, { status: 200, headers: { etag } }, fault, latency.storage)
    } finally {
      await draft.drop()
    }
  }

  const badLength = ({ headers }: IncomingMessage): Denial | undefined => {
    const length = headers['content-length']
    if (length === undefined) return NO_LENGTH
    if (Number(length) > limits.maxPartSize) return TOO_LARGE
    const digest = headers['content-md5']
    const isMd5 = digest === undefined || Buffer.from(String(digest), 'base64').length === 16
    return isMd5 ? undefined : INVALID_DIGEST
  }

  const server = await serve(
    {
      side: 'storage',
      subject,
      handle,
      failure: error => xml({ status: 500, code: 'InternalError', message: String(error) }),
    },
    log,
  )
  const { host } = new URL(server.url)
  const keysOf = (assetId: string, numbers: readonly number[]) =>
    numbers.map(number => keyOf(assetId, number))

  return {
    presign: (assetId, number, filetype) =>
      `http://${host}${signer.presign(`/parts/${assetId}/${number}`, host, filetype)}`,
    assemble: (assetId, numbers, path) => files.assemble(keysOf(assetId, numbers), path),
    filesOf: assetId => files.find(`${assetId}.`),
    remove: (assetId, numbers) => files.remove(keysOf(assetId, numbers)),
    close: server.close,
  }
}

/** Of one length, so that their order is that of the parts. */
const keyOf = (assetId: string, number: number) => `${assetId}.${String(number).padStart(5, '0')}`

const subject = ({ method, url = '' }: IncomingMessage): Subject => {
  const [, assetId, number] = /^\/parts\/([\w-]+)\/(\d+)(?:\?|$)/.exec(url) ?? []
  const partNumbers = number === undefined ? [] : [Number(number)]
  return { operation: method === 'PUT' ? 'put' : 'other', assetId, partNumbers }
}

const wrongMethod = (operation: string): Denial | undefined =>
  operation === 'put' ? undefined : NOT_ALLOWED

const xml = ({ status, code, message }: Denial) => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error>`,
})

const escapeXml = (text: string) =>
  text.replace(/[<>&]/g, character => `&#${character.charCodeAt(0)};`)

const errorOf: ErrorOf = (status, code, message) =>
  xml({
    status,
    code: code ?? codes[status] ?? `Status${status}`,
    message: message ?? STATUS_CODES[status] ?? 'A fault of the sandbox',
  })

const codes: Record<number, string> = {
  400: 'InvalidRequest',
  403: 'AccessDenied',
  404: 'NoSuchKey',
  500: 'InternalError',
  503: 'SlowDown',
}

const NOT_ALLOWED: Denial = {
  status: 405,
  code: 'MethodNotAllowed',
  message: 'The specified method is not allowed against this resource.',
}
const NO_LENGTH: Denial = {
  status: 411,
  code: 'MissingContentLength',
  message: 'You must provide the Content-Length HTTP header.',
}
const TOO_LARGE: Denial = {
  status: 400,
  code: 'EntityTooLarge',
  message: 'Your proposed upload exceeds the maximum allowed size',
}
const INVALID_DIGEST: Denial = {
  status: 400,
  code: 'InvalidDigest',
  message: 'The Content-MD5 you specified was invalid.',
}
const BAD_DIGEST: Denial = {
  status: 400,
  code: 'BadDigest',
  message: 'The Content-MD5 you specified did not match what we received.',
}
const TIMEOUT: Denial = {
  status: 400,
  code: 'RequestTimeout',
  message:
    'Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed.',
}
