/**
 * The routes of the API.
 */
import type { IncomingMessage } from 'node:http'
import type { Operation } from './types.ts'

export interface Route {
  readonly operation: Operation | 'other'
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
]

export const routeOf = ({ method, url = '' }: IncomingMessage): Route => {
  const path = url.replace(/\?.*/, '')
  for (const [operation, verb, pattern] of routes) {
    const match = verb === method && pattern.exec(path)
    if (match) {
      const [, device, id] = match
      return {
        operation,
        device: Boolean(device),
        id,
        assetId: operation === 'create' ? undefined : id,
      }
    }
  }
  return { operation: 'other', device: false, id: undefined, assetId: undefined }
}
