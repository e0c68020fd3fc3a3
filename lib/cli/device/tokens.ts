/**
 * The tokens of a device that is paired, for a take or a question.
 */
import { type DeviceTokensOptions, deviceTokens } from '../../frameio/device-tokens.ts'
import type { RefreshingToken } from '../../frameio/token.ts'
import { finishing } from '../leave.ts'
import type { Secrets } from '../secrets.ts'
import { type Credentials, naming } from './credentials.ts'

/** No new one is ever shown, and no refresh is cut off by the end of the command. */
export const tokensOfDevice = (
  { from, ...options }: DeviceTokensOptions & Credentials,
  secrets: Secrets,
): RefreshingToken => {
  const tokens = deviceTokens(options)
  const token = async (refused?: string): Promise<string> => {
    const value = await finishing(tokens(refused)).catch(error => {
      throw naming(error, { from })
    })
    secrets.keep(value)
    return value
  }
  return Object.defineProperty(token, 'renewAt', { get: () => tokens.renewAt }) as RefreshingToken
}
