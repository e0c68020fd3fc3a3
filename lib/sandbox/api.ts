/**
 * The sandbox's Frame.io: who may call, what is asked for, and the answer.
 */
import type { IncomingMessage } from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { Asset } from './assets.ts'
import type { Credentials } from './credentials.ts'
import type { Device } from './device.ts'
import type { Devices } from './devices.ts'
import type { FaultList } from './faults.ts'
import type { Exchange, RequestLog } from './log.ts'
import type { Settings } from './options.ts'
import { deliver, type ErrorOf, interrupted } from './play.ts'
import { LeakyBucket } from './rate-limit.ts'
import { readBody } from './receive.ts'
import { type Route, routeOf } from './routes.ts'
import { type NewAsset, Refusal, readNewAsset, readObject, readRegistration } from './rules.ts'
import { V4, type V4Account, v4Error } from './v4.ts'
import { type Answer, serve } from './wire.ts'

/** What the API works on. */
export interface Account {
  readonly credentials: Credentials
  readonly devices: Devices
  readonly parentId: string
  readonly v4: V4Account
  readonly assets: Map<string, Asset>
  create(asset: NewAsset): Asset
}

export const startApi = async (
  { rateLimit, latency, limits, ...settings }: Settings,
  { log, faults }: { log: RequestLog; faults: FaultList },
  account: Account,
) => {
  const v2Bucket = new LeakyBucket(rateLimit)
  const v4 = new V4(settings.v4, account.v4)

  const handle = async (exchange: Exchange) => {
    const { req, res, entry } = exchange
    const route = routeOf(req)
    const text = await readBody(exchange, MAX_BODY)
    if (res.destroyed) return
    entry.partNumbers = partNumbersIn(text)
    if (isPoll(route, text)) entry.operation = 'poll'
    // What gets, or ends, a token bears none.
    const bearsNone = ['code', 'token', 'revoke'].includes(route.operation)
    const device = bearsNone ? undefined : account.devices.holderOf(req.headers.authorization)
    const known = bearsNone || device !== undefined || accepts(req, route)
    const bucket = route.isV4 ? v4.bucketOf(route) : v2Bucket
    const room = !known || bearsNone || bucket.take()
    for (const [name, value] of Object.entries(bucket.headers())) res.setHeader(name, value)

    const { errorOf, refuse } = route.isV4 ? V4_ERRORS : V2_ERRORS
    const fault = faults.due(entry)
    for (const stage of ['headers', 'during', 'body'] as const) {
      if (await interrupted(exchange, fault, stage, errorOf)) return
    }
    const reply = !known
      ? route.isV4
        ? errorOf(401, undefined, 'the token is not accepted')
        : json(401, { error: 'invalid_client' })
      : !room
        ? errorOf(429, undefined, 'Rate limit exceeded')
        : await carryOut(exchange, { route, text, device }).catch(refuse)
    await deliver(exchange, reply, fault, latency.api)
  }

  const accepts = (req: IncomingMessage, { isV4 }: Route): boolean =>
    isV4 ? v4.accepts(req) : account.credentials.accepts(req.headers.authorization)

  const carryOut = async (
    { req, entry }: Exchange,
    { route, text, device }: Call,
  ): Promise<Answer> => {
    if (route.isV4) {
      if (device) throw new Refusal(403, "a device's token has no right to do this")
      if (route.operation === 'other') throw NOT_FOUND('route')
      return v4.carryOut(req, route, () => read(req, text))
    }
    if (route.device || ['code', 'revoke'].includes(route.operation)) demandVersion(req)
    // Its scopes are asset_create and offline: "write, but don't read".
    if (device && !route.device) throw new Refusal(403, "a device's token has no right to do this")
    device?.seen()
    if (route.operation === 'create') {
      if (route.id !== undefined && route.id !== account.parentId) throw NOT_FOUND('folder')
      const wanted = readNewAsset(read(req, text), route.device)
      device?.admit(wanted)
      return json(200, describe(account.create(wanted)))
    }
    if (route.operation === 'token') {
      const form = readForm(req, text)
      const isServer = req.url?.startsWith('/ims/')
      return json(200, isServer ? account.credentials.serverToken(form) : tokensFor(req, form))
    }
    if (route.operation === 'code') {
      const wantsLink = req.headers['x-client-platypus-enabled'] === 'true'
      return json(200, account.devices.code(readForm(req, text), wantsLink))
    }
    if (route.operation === 'revoke') {
      account.devices.revoke(readForm(req, text))
      return json(200, {})
    }
    if (route.operation === 'device' || route.operation === 'heartbeat') {
      if (!device) throw new Refusal(403, "this token is no device's")
      if (route.operation === 'device') return json(200, device.describe())
      device.beat()
      return { status: 204 }
    }
    if (route.operation === 'other') throw NOT_FOUND('route')
    if (route.operation === 'get' && route.id === account.parentId) {
      return json(200, { _type: 'folder', id: route.id, name: 'Sandbox', type: 'folder' })
    }
    const asset = account.assets.get(route.id ?? '')
    if (!asset) throw NOT_FOUND('asset')
    if (route.operation === 'register') {
      const registration = readRegistration(read(req, text), limits)
      const { awaitsHead } = asset
      const urls = await asset.register(registration)
      entry.headLast = awaitsHead && entry.partNumbers.includes(1)
      return json(200, { upload_urls: urls })
    }
    if (route.operation === 'delete') {
      account.assets.delete(asset.id)
      await asset.remove()
    }
    return route.operation === 'download' ? download(asset) : json(200, describe(asset))
  }

  const tokensFor = (req: IncomingMessage, form: URLSearchParams): object => {
    const { devices, credentials } = account
    if (form.get('client_id') === credentials.clientId) return credentials.refresh(form)
    demandVersion(req)
    const grant = form.get('grant_type')
    if (grant === DEVICE_CODE) return devices.poll(form)
    if (grant === 'refresh_token') return devices.refresh(form)
    throw new Refusal(400, 'unsupported_grant_type', { isShort: true })
  }

  return serve({ side: 'api', subject: routeOf, handle, failure: refuse }, log)
}

/** What is asked for, and by which device. */
interface Call {
  readonly route: Route
  readonly text: string | undefined
  readonly device: Device | undefined
}

const MAX_BODY = 2 ** 20
const DEVICE_CODE = 'urn:ietf:params:oauth:grant-type:device_code'

const demandVersion = ({ headers }: IncomingMessage) => {
  if (SEMVER.test(String(headers['x-client-version']))) return
  throw new Refusal(400, 'x-client-version must be a semantic version such as 1.2.3')
}

const isPoll = ({ operation }: Route, text = '') =>
  operation === 'token' && new URLSearchParams(text).get('grant_type') === DEVICE_CODE

const SEMVER = /^\d+\.\d+\.\d+(?:[-+][\w.+-]+)?$/

const NOT_FOUND = (what: string) => new Refusal(404, `there is no such ${what}`)

const describe = (asset: Asset) => ({
  _type: 'file',
  id: asset.id,
  name: asset.name,
  type: 'file',
  filetype: asset.filetype,
  filesize: asset.filesize ?? null,
  status: asset.status,
  is_realtime_upload: true,
  inserted_at: asset.createdAt,
  // as Frame.io does: set at creation, it says nothing
  uploaded_at: asset.createdAt,
  upload_completed_at: asset.uploadCompletedAt ?? null,
  upload_failed_at: asset.uploadFailedAt ?? null,
})

const download = ({ status, path, filetype }: Asset): Answer => {
  if (status !== 'uploaded') throw new Refusal(409, 'the asset is not uploaded yet')
  if (path === undefined) throw new Refusal(409, "this sandbox discards what it stores: 'discard'")
  return { status: 200, headers: { 'content-type': filetype }, file: path }
}

const readForm = ({ headers }: IncomingMessage, text = '') => {
  if (!/^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '')) {
    throw new Refusal(400, 'content-type must be application/x-www-form-urlencoded')
  }
  return new URLSearchParams(text)
}

const read = ({ headers }: IncomingMessage, text: string | undefined) => {
  if (text === undefined) throw new Refusal(413, `a body must not be larger than ${MAX_BODY} bytes`)
  if (!/^application\/json\b/i.test(headers['content-type'] ?? '')) {
    throw new Refusal(400, 'content-type must be application/json')
  }
  const body = parse(text)
  if (body === undefined) throw new Refusal(400, 'the body must be JSON')
  return readObject(body, 'the body')
}

const parse = (text = ''): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The parts that a body names, as far as it makes sense: for the log and for faults. */
const partNumbersIn = (text: string | undefined): number[] => {
  const body = parse(text) as { parts?: unknown } | null | undefined
  const parts = Array.isArray(body?.parts) ? body.parts : []
  return parts.map(part => part?.number).filter(number => Number.isInteger(number))
}

const refuse = (error: unknown): Answer => {
  if (!(error instanceof Refusal)) return errorOf(500, undefined, String(error))
  const { status, message, title, isShort } = error
  return isShort ? json(status, { error: message }) : longError(status, message, title)
}

const errorOf: ErrorOf = (status, _code, detail = 'a fault of the sandbox') =>
  longError(status, detail)

const longError = (
  status: number,
  detail: string,
  title = STATUS_CODES[status] ?? 'Error',
): Answer =>
  json(status, {
    code: status,
    errors: [{ code: status, detail, status, title }],
    message: title,
  })

const V2_ERRORS = { errorOf, refuse }

const V4_ERRORS: typeof V2_ERRORS = {
  errorOf: (status, _code, detail = 'a fault of the sandbox') => v4Error(status, detail),
  refuse: error =>
    error instanceof Refusal
      ? v4Error(error.status, error.message, error.title, error.pointer)
      : v4Error(500, String(error)),
}

const json = (status: number, body: object): Answer => ({
  status,
  headers: { 'content-type': 'application/json; charset=utf-8' },
  body: JSON.stringify(body),
})
