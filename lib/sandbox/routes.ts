/**
 * The routes of the API.
 */
import type { IncomingMessage } from 'node:http'
import type { Operation } from './types.ts'

export interface Route {
  readonly operation: Operation | 'other'
  /** One of V4's calls. */
  readonly isV4: boolean
  /** The account in a path of V4's. */
  readonly accountId: string | undefined
  /** On the paths for Camera to Cloud devices. */
  readonly device: boolean
  /** The id in the path: an asset's, or for a creation its folder's. */
  readonly id: string | undefined
  readonly assetId: string | undefined
}

const routes: readonly (readonly [Operation, method: string, path: RegExp])[] = [
  ['code', 'POST', /^\/v2\/auth\/device\/code$/],
  ['token', 'POST', /^\/v2\/auth\/token$/],
  ['revoke', 'POST', /^\/v2\/auth\/revoke$/],
  ['device', 'GET', /^\/v2\/(devices\/)me$/],
  ['heartbeat', 'POST', /^\/v2\/(devices\/)heartbeat$/],
  ['register', 'POST', /^\/v2\/(devices\/)?assets\/([^/]+)\/realtime_upload\/parts$/],
  ['create', 'POST', /^\/v2\/()assets\/([^/]+)\/children$/],
  ['create', 'POST', /^\/v2\/(devices\/)assets$/],
  ['get', 'GET', /^\/v2\/()assets\/([^/]+)$/],
  ['delete', 'DELETE', /^\/v2\/()assets\/([^/]+)$/],
  ['download', 'GET', /^\/v2\/()assets\/([^/]+)\/download$/],
  // Adobe's, not Frame.io's.
  ['token', 'POST', /^\/ims\/token\/v3$/],
]

/** With the account, and the id of a file or folder. */
const v4Routes: typeof routes = [
  ['me', 'GET', /^\/v4\/me$/],
  ['accounts', 'GET', /^\/v4\/accounts$/],
  ['create', 'POST', /^\/v4\/accounts\/([^/]+)\/folders\/([^/]+)\/files\/local_upload$/],
  ['children', 'GET', /^\/v4\/accounts\/([^/]+)\/folders\/([^/]+)\/children$/],
  ['status', 'GET', /^\/v4\/accounts\/([^/]+)\/files\/([^/]+)\/status$/],
  ['delete', 'DELETE', /^\/v4\/accounts\/([^/]+)\/files\/([^/]+)$/],
]

export const routeOf = ({ method, url = '' }: IncomingMessage): Route => {
  const path = url.replace(/\?.*/, '')
  const isV4 = path.startsWith('/v4/')
  for (const [operation, verb, pattern] of isV4 ? v4Routes : routes) {
    const match = verb === method && pattern.exec(path)
    if (match) {
      const [, first, id] = match
      return {
        operation,
        isV4,
        accountId: isV4 ? first : undefined,
        device: !isV4 && Boolean(first),
        id,
        assetId: operation === 'create' || operation === 'children' ? undefined : id,
      }
    }
  }
  const none = { accountId: undefined, id: undefined, assetId: undefined }
  return { operation: 'other', isV4, device: false, ...none }
}
