/**
 * Where the token for V4 comes from: as elsewhere; and where none is given, from Adobe, for a client that was
 * given rights in the Developer Console.
 */
import type { Dispatcher } from 'undici'
import type { RefreshingToken } from '../../frameio/token.ts'
import { serverToServerToken } from '../../frameio/v4/server-token.ts'
import { messageOf } from '../failures.ts'
import type { Secrets } from '../secrets.ts'
import type { V4Settings } from '../settings.ts'
import { type Tokens, tokensOf } from '../tokens.ts'
import { UsageError } from '../usage.ts'

/** @throws {UsageError} */
export const tokensForV4 = async (
  settings: Pick<V4Settings, 'tokenFile' | 'producer' | 'follow' | 'legacyToken'>,
  secrets: Secrets,
  dispatcher: Dispatcher | undefined,
): Promise<Tokens> => {
  const { FRAMEIO_TOKEN, FRAMEIO_CLIENT_ID: clientId } = process.env
  const { FRAMEIO_CLIENT_SECRET: clientSecret, FRAMEIO_IMS_URL: baseUrl } = process.env
  const isGiven = settings.tokenFile !== undefined || FRAMEIO_TOKEN
  if (isGiven || !clientId || !clientSecret) return tokensOf(settings, secrets)
  if (settings.legacyToken) {
    throw new UsageError(
      '--legacy-token is for a token of FRAMEIO_TOKEN or --token-file; received FRAMEIO_CLIENT_ID',
    )
  }
  secrets.keep(clientSecret)
  const token = hidden(serverToServer({ clientId, clientSecret, baseUrl, dispatcher }), secrets)
  return { first: token, renewing: token }
}

const serverToServer = (options: Parameters<typeof serverToServerToken>[0]): RefreshingToken => {
  try {
    return serverToServerToken(options)
  } catch (error) {
    const text = messageOf(error)
      .replace('clientId', 'FRAMEIO_CLIENT_ID')
      .replace('clientSecret', 'FRAMEIO_CLIENT_SECRET')
      .replace(/(--base-url|baseUrl)/, 'FRAMEIO_IMS_URL')
    throw new UsageError(text)
  }
}

/** None is ever shown. */
const hidden = (tokens: RefreshingToken, secrets: Secrets): RefreshingToken => {
  const token = async (refused?: string): Promise<string> => {
    const value = await tokens(refused)
    secrets.keep(value)
    return value
  }
  return Object.defineProperty(token, 'renewAt', { get: () => tokens.renewAt }) as RefreshingToken
}
