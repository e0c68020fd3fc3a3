/**
 * Who a Camera to Cloud device is, as Frame.io knows it.
 */
import type { Api, CallContext } from './api.ts'
import { DEVICE_GONE } from './dialect.ts'
import { isObject, nonsense } from './protocol.ts'

/** A Camera to Cloud device as Frame.io describes it. Only the fields that are known are named. */
export interface DeviceInfo {
  readonly name: string
  readonly status?: 'online' | 'offline' | 'paused'
  readonly project?: { readonly id?: string; readonly name?: string }
  readonly authorization?: { readonly expires_at?: string }
  readonly channels?: readonly unknown[]
  readonly [field: string]: unknown
}

/**
 * The device in an answer.
 *
 * @throws {RealtimeUploadError} `ERR_BAD_RESPONSE` without a string `name`
 */
export const readDevice = (body: unknown): DeviceInfo => {
  if (!isObject(body) || typeof body.name !== 'string') {
    throw nonsense('a device must have a name', body)
  }
  return body as DeviceInfo
}

/** `GET /v2/devices/me`: to be asked after a pairing, and before a take (Frame.io's C2C guide). */
export const askDevice = (api: Api, context: CallContext) =>
  api.call(
    {
      method: 'GET',
      path: '/v2/devices/me',
      read: readDevice,
      idempotent: true,
      what: 'Reading the device failed',
      details: {},
      advice: { ERR_ASSET_NOT_FOUND: DEVICE_GONE },
    },
    context,
  )
