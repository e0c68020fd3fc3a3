/**
 * What to do about a failure of `pair`, `unpair` and `devices`. There is no take: so it is another thing for
 * some codes, and no flag of a take is named.
 */
import { type ErrorCode, RealtimeUploadError } from '../../errors.ts'
import { adviceOn, certificateAdvice } from '../failures.ts'
import type { DeviceCommand } from './arguments.ts'

const SAME = {
  ERR_NETWORK: 'Check the network, and a proxy or --base-url if there is one; then run it again.',
  ERR_TIMEOUT: 'Check the network, or wait a while; then run it again.',
  ERR_SERVER: 'Frame.io has trouble of its own: run it again in a while.',
  ERR_RATE_LIMITED: 'Run it again in a minute.',
  ERR_BAD_RESPONSE:
    'Another may have answered than Frame.io: log in where the network wants that, check a proxy or --base-url; then run it again.',
} as const satisfies Partial<Record<ErrorCode, string>>

const OWN: Readonly<Record<DeviceCommand, Partial<Record<ErrorCode, string>>>> = {
  pair: {
    ...SAME,
    ERR_FORBIDDEN: 'Run it again for another code.',
  },
  unpair: {
    ...SAME,
    ERR_FORBIDDEN: "Remove the device in the project's C2C Connections.",
  },
  devices: {
    ...SAME,
    ERR_FORBIDDEN: 'It may film all the same: a device need not be allowed to ask who it is.',
  },
}

/** @param file that of --credentials */
export const adviceFor = (
  command: DeviceCommand,
  error: unknown,
  file: string,
): string | undefined => {
  const advice = certificateAdvice(error)
  if (advice !== undefined || !(error instanceof RealtimeUploadError)) return advice
  const { code, cause, option, path, statusCode } = error
  // A token that could not be had is no wrong one.
  const isLate = code === 'ERR_UNAUTHORIZED' && cause instanceof RealtimeUploadError
  if (isLate) return adviceFor(command, cause, file)
  const isUnheard = code === 'ERR_UNAUTHORIZED' && (option ?? cause ?? statusCode) === undefined
  if (isUnheard) return OWN[command].ERR_TIMEOUT
  if (code === 'ERR_TIMEOUT' && path !== undefined)
    return `End what uses ${path}, and run it again.`
  return OWN[command][code] ?? adviceOn(error, file)
}
