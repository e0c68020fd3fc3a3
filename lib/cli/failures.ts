/**
 * What people are told when something failed: one sentence, and what to do about it.
 */
import { type ErrorCode, RealtimeUploadError } from '../errors.ts'
import { FOR_CALLERS } from '../frameio/dialect.ts'
import type { UploadWarning } from '../upload/events.ts'
import { flagOf } from './flags.ts'
import { whyNotStarted, whyNotThere } from './not-started.ts'
import { shellWord } from './shell-word.ts'
import { withSizes } from './units.ts'

/** What to do about it, by code. */
const ADVICE: Partial<Record<ErrorCode, string>> = {
  ERR_UNAUTHORIZED: 'Put a valid token into FRAMEIO_TOKEN, or into the file of --token-file.',
  ERR_ASSET_NOT_FOUND: 'Check the id; give --device exactly if a C2C device made the asset.',
  ERR_STORAGE_REJECTED: '--filetype must be the media type that the asset was created with.',
  ERR_NETWORK: '--give-up-after says how long to go on trying.',
  ERR_TIMEOUT: '--give-up-after says how long to go on trying.',
  ERR_SERVER: '--give-up-after says how long to go on trying.',
  ERR_SOURCE_TRUNCATED: 'Once its writer is done, upload the file anew, into another asset.',
  ERR_SOURCE_CHANGED:
    'Once it rests, upload it anew, into another asset; a longer --idle, or --until-pid, tells when that is.',
  ERR_SOURCE_REPLACED: 'Upload it into another asset; --resume goes on once the first one is back.',
  ERR_EMPTY_STREAM: 'Look at what the source itself had to say.',
  ERR_STREAM_TOO_LARGE: 'Raise --max-size.',
}

/** @param credentials the file of a paired device, where the tokens are in one */
export const adviceOn = (error: unknown, credentials?: string): string | undefined => {
  const advice = certificateAdvice(error)
  if (advice !== undefined || !(error instanceof RealtimeUploadError)) return advice
  if (credentials !== undefined) return adviceOnDevice(error, credentials)
  // A token that could not be had is no wrong one.
  const { cause } = error
  const isUnheard = error.code === 'ERR_UNAUTHORIZED' && cause instanceof RealtimeUploadError
  if (isUnheard) return adviceOn(cause)
  // Its message says then what was not found.
  const isElse = error.code === 'ERR_ASSET_NOT_FOUND' && error.assetId === undefined
  return isElse ? undefined : ADVICE[error.code]
}

const adviceOnDevice = (error: RealtimeUploadError, file: string): string | undefined => {
  const { code, cause, option, assetId, statusCode } = error
  const pair = pairLine(file)
  if (code === 'ERR_NOT_PAIRED') return `This pairs it: ${pair}`
  if (code === 'ERR_ASSET_NOT_FOUND') {
    return assetId === undefined
      ? `This pairs it: ${pair}`
      : 'Check the id: a C2C device must have made the asset.'
  }
  if (code === 'ERR_FORBIDDEN') {
    return `Look whether the device is in the project's C2C Connections. This pairs it again: ${pair}`
  }
  if (code !== 'ERR_UNAUTHORIZED') return ADVICE[code]
  // Where id and secret come from stands in the message.
  if (option === 'clientId') return undefined
  // A token that could not be had is no wrong one.
  if (cause !== undefined) return adviceOn(cause, file)
  return statusCode === 401 ? `This pairs it again: ${pair}` : ADVICE.ERR_TIMEOUT
}

/** What pairs a device. */
export const pairLine = (file: string): string =>
  `frameio-upload pair --credentials ${shellWord(file)}`

/** What Node and OpenSSL call the faults of a certificate, each with what to do about it. */
const CERTIFICATES: readonly (readonly [codes: RegExp, advice: string])[] = [
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT\w*|UNABLE_TO_VERIFY_LEAF_SIGNATURE|CERT_UNTRUSTED)$/,
    'Who signed its certificate is not known here. If that is your network, set NODE_EXTRA_CA_CERTS to the file of its certificate (PEM); if it is a captive portal, log in.',
  ],
  [
    /^(CERT_HAS_EXPIRED|CERT_NOT_YET_VALID)$/,
    'Check the date of this machine; where it is right, whoever runs the server or proxy must renew its certificate.',
  ],
  [
    /^(ERR_TLS_CERT_ALTNAME_INVALID|HOSTNAME_MISMATCH)$/,
    'Another server answers than the one that was asked: check --base-url, and whether a captive portal or a proxy is on the way.',
  ],
]

/** What to do where a certificate is what failed; undefined elsewhere. */
export const certificateAdvice = (error: unknown): string | undefined => {
  const codes = chainOf(error).map(({ code }) => String(code))
  return CERTIFICATES.find(([pattern]) => codes.some(code => pattern.test(code)))?.[1]
}

/** What is said where a function that gives tokens, of which people know nothing, has thrown. */
const NO_TOKEN = 'the token function failed'

/** Likewise where it gives none. */
const LATE_TOKEN = /the token function did not answer within apiTimeout \((.*)\)/

/** What the library advises, and what people are told in its place: '' where a line of its own says it. */
const IN_OUR_WORDS: readonly (readonly [theirs: string, ours: string])[] = [
  [FOR_CALLERS.token, ''],
  [FOR_CALLERS.legacy, ''],
  [FOR_CALLERS.asset, ''],
  [FOR_CALLERS.ids, ''],
  // Behind both that begin with it.
  [FOR_CALLERS.id, ''],
  [FOR_CALLERS.parent, `; ${FOR_CALLERS.parent.replace('parentId', '--parent')}`],
  [FOR_CALLERS.base, `; ${FOR_CALLERS.base.replace('baseUrl', '--base-url')}`],
]

const inOurWords = (message: string): string =>
  IN_OUR_WORDS.reduce((text, [theirs, ours]) => text.replace(`; ${theirs}`, ours), message)

/** What an error says, with the option that it names as people gave it: as a flag. */
export const messageOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  if (!(error instanceof RealtimeUploadError)) return error.message
  if (error.code === 'ERR_SOURCE_FAILED') {
    return whyNotStarted(error) ?? whyNotThere(error) ?? error.message
  }
  const { cause } = error
  if (cause instanceof Error && error.message.includes(NO_TOKEN)) {
    return error.message
      .replace(NO_TOKEN, () => `no token is to be had (${messageOf(cause)})`)
      .replaceAll(NO_TOKEN, 'no token is to be had')
  }
  const isTooLarge = error.code === 'ERR_STREAM_TOO_LARGE'
  const { message, option = isTooLarge ? 'maxSize' : '' } = error
  const said = inOurWords(message).replace(LATE_TOKEN, 'no token was to be had within $1')
  const text = said.replace(option, flagOf(option) ?? option)
  return isTooLarge ? withSizes(text) : text
}

/** What an upload warns of, likewise. */
export const warningOf = ({ code, message }: UploadWarning): string =>
  code === 'PARTS_OUTGROW_MEMORY'
    ? withSizes(message.replace('memoryLimit', flagOf('memoryLimit') ?? ''))
    : message

/** The errors underneath, one a line. */
export const causesOf = (error: unknown): string[] =>
  chainOf(error)
    .slice(1)
    .map(({ name, message, code }) => {
      const known = code === undefined ? '' : ` ${code}`
      return `caused by ${name}${known}: ${message}`
    })

/** An error, and what caused it, and so on. */
const chainOf = (error: unknown): (Error & { readonly code?: unknown })[] => {
  const chain: Error[] = []
  for (let at = error; at instanceof Error; at = at.cause) chain.push(at)
  return chain
}
