/**
 * Who a Camera to Cloud device is, as Frame.io knows it.
 */
import type { Api, CallContext } from './api.ts'
import { readDevice } from './protocol.ts'

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
    },
    context,
  )
