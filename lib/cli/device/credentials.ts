/**
 * The file of `--credentials`: who the device is to Frame.io, and the tokens of its pairing.
 *
 *     { "clientId": "…", "clientSecret": "…", "accessToken": "…", "refreshToken": "…", … }
 *
 * Id and secret may come from the environment instead, which is never written down here.
 */
import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { RealtimeUploadError } from '../../errors.ts'
import { FOR_CALLERS } from '../../frameio/dialect.ts'
import { onFile, tokenFile } from '../../frameio/token-file.ts'
import { messageOf, pairLine } from '../failures.ts'
import type { Secrets } from '../secrets.ts'
import { UsageError } from '../usage.ts'

export interface Credentials {
  readonly file: string
  readonly clientId: string
  readonly clientSecret: string
  /** Where people find these two, as messages call it. */
  readonly from: { readonly clientId: string; readonly clientSecret: string }
}

/**
 * Those of a device that is paired, or was.
 *
 * @throws {UsageError} where there is no such file, or what it must hold is missing
 */
export const readCredentials = (file: string, secrets: Secrets): Promise<Credentials> =>
  refusing(async () => {
    await onFile(file, () => stat(file)).catch(error => {
      const isMissing = error.cause?.code === 'ENOENT'
      throw isMissing
        ? new UsageError(`There is no file ${file}: ${pairLine(file)} makes it`)
        : error
    })
    const { clientId, clientSecret, from } = await read(file, secrets)
    if (clientId !== undefined) return { file, clientId, clientSecret, from }
    const hint = 'frameio-upload pair makes one, or set FRAMEIO_CLIENT_ID'
    throw new UsageError(`${file} has no clientId: ${hint}`)
  })

/**
 * Those of a device that is to be paired. The file is made, or written as it is: before a person enters a
 * code it must be sure that the tokens can be kept there.
 *
 * @throws {UsageError}
 */
export const makeCredentials = (
  path: string,
  secrets: Secrets,
  signal: AbortSignal,
): Promise<Credentials> =>
  refusing(async () => {
    const { clientSecret, from } = await read(path, secrets)
    const file = tokenFile(path)
    return onFile(path, async () => {
      const lock = await file.lock(signal)
      try {
        // Another may have made one meanwhile.
        const known = (await read(path, secrets)).clientId
        // It must last, and be nobody else's (Frame.io's C2C guide).
        const clientId = known ?? randomUUID()
        await file.put(known === undefined ? { clientId } : {})
        return { file: path, clientId, clientSecret, from }
      } finally {
        await lock.release()
      }
    })
  })

const read = async (file: string, secrets: Secrets) => {
  const { FRAMEIO_CLIENT_ID, FRAMEIO_CLIENT_SECRET } = process.env
  const kept = await onFile(file, () => tokenFile(file).all())
  for (const name of ['clientSecret', 'accessToken', 'refreshToken']) {
    if (typeof kept[name] === 'string') secrets.keep(kept[name])
  }
  if (FRAMEIO_CLIENT_SECRET) secrets.keep(FRAMEIO_CLIENT_SECRET)
  const idInFile = fieldOf(file, kept, 'clientId')
  const secretInFile = fieldOf(file, kept, 'clientSecret')
  const clientId = idInFile ?? (FRAMEIO_CLIENT_ID || undefined)
  const clientSecret = secretInFile ?? (FRAMEIO_CLIENT_SECRET || undefined)
  // Where there is none yet, one is made in the file.
  const isIdInFile = idInFile !== undefined || clientId === undefined
  const from = {
    clientId: isIdInFile ? `clientId in ${file}` : 'FRAMEIO_CLIENT_ID',
    clientSecret: secretInFile === undefined ? 'FRAMEIO_CLIENT_SECRET' : `clientSecret in ${file}`,
  }
  if (clientSecret !== undefined) return { clientId, clientSecret, from }
  const where = `put clientSecret into ${file}, or set FRAMEIO_CLIENT_SECRET`
  throw new UsageError(
    `There is no client secret: ${where}. Frame.io gives it to the maker of a device`,
  )
}

/** What Frame.io says against a client, with where people find its id and secret. */
export const naming = (error: unknown, { from }: Pick<Credentials, 'from'>): unknown => {
  if (!(error instanceof RealtimeUploadError)) return error
  const { code, cause } = error
  const text = error.message
    // By functions: the name of a file may have what a replacement would be read for.
    .replace(FOR_CALLERS.client, () => `check ${from.clientId} and ${from.clientSecret}`)
    .replace('; clientId must', () => `; ${from.clientId} must`)
  return text === error.message ? error : new RealtimeUploadError(code, text, { ...error, cause })
}

/** What was received is never shown. @throws {UsageError} */
const fieldOf = (
  file: string,
  kept: Readonly<Record<string, unknown>>,
  name: 'clientId' | 'clientSecret',
): string | undefined => {
  const value = kept[name]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  const received = value === '' ? 'an empty one' : value === null ? 'null' : typeof value
  throw new UsageError(`${name} in ${file} must be a non-empty string; received ${received}`)
}

const refusing = async <T>(work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    const isOption = error instanceof RealtimeUploadError && error.code === 'ERR_INVALID_OPTION'
    throw isOption ? new UsageError(messageOf(error)) : error
  }
}
