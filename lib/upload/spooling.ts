/**
 * An upload's spool: which folder it is, and what its journal says at its head.
 */
import { join } from 'node:path'
import mime from 'mime'
import { invalid } from '../checks.ts'
import { type ErrorCode, RealtimeUploadError } from '../errors.ts'
import { apiOf } from '../frameio/client.ts'
import type { ResolvedClientOptions } from '../frameio/options.ts'
import { lock } from '../lock.ts'
import { shortageIn } from '../shortage.ts'
import { realDisk } from '../spool/disk.ts'
import type { UploadSpool } from '../spool/home.ts'
import type { Opening } from '../spool/journal.ts'
import { keptNameOf } from '../spool/kept.ts'
import { Overflow } from '../spool/overflow.ts'
import { Spool, type SpoolOptions } from '../spool/spool.ts'
import { tell } from './diagnostics.ts'
import type { ResolvedUploadOptions } from './options.ts'
import type { Transfer } from './transfer.ts'
import { finishWav } from './wav.ts'

/** Is there a spool for this upload, given with it or with its client? */
export const hasSpool = ({ client, connection }: ResolvedUploadOptions): boolean =>
  connection.spool !== undefined ||
  (client !== undefined && apiOf(client).options.spool !== undefined)

/** @throws {RealtimeUploadError} where whoever resumes would lack the function that mends the head */
export const refuseOwnHead = ({ lateHead, client, connection }: ResolvedUploadOptions): void => {
  if (lateHead === undefined || lateHead === true || lateHead === finishWav) return
  const spool = connection.spool ?? (client && apiOf(client).options.spool)
  if (!spool || spool.durable === false) return
  const text =
    'true or finishWav beside a spool, unless spool.durable is false: whoever resumes the upload has no function of yours'
  throw invalid('lateHead', lateHead, text)
}

/** A spool for a new upload, not yet open. */
export const spoolFor = (
  { assetId }: ResolvedUploadOptions,
  { client, memory, memoryLimit }: Transfer,
  onWarning: SpoolOptions['onWarning'],
): UploadSpool | undefined => {
  if (!client.spool) return undefined
  const { dir, durable, keep: _, ...settings } = client.spool
  const Kind = durable ? Spool : Overflow
  return new Kind({
    ...settings,
    folder: join(dir, assetId),
    disk: realDisk,
    lock,
    memory,
    memoryLimit,
    onWarning,
    onWhole: (partNumber, size) =>
      tell('frameio-realtime-upload:spooled', () => ({ assetId, partNumber, size })),
  })
}

export const openingOf = (
  options: ResolvedUploadOptions,
  { baseUrl, device, spool }: Pick<ResolvedClientOptions, 'baseUrl' | 'device' | 'spool'>,
): Opening => {
  const { assetId, filetype, assetName, partSize, maxSize, expectedSize, integrity, lateHead } =
    options
  return {
    assetId,
    filetype,
    origin: baseUrl.origin,
    device: device?.clientVersion,
    assetName,
    partSize,
    maxSize,
    expectedSize,
    integrity,
    lateHead: lateHead === finishWav ? 'wav' : lateHead && true,
    keep: spool?.keep ? keptNameOf(nameFor(options, spool.keep)) : undefined,
  }
}

/** What a take is to be called that stays. */
const nameFor = (
  { assetId, assetName, filetype }: ResolvedUploadOptions,
  keep: string | true,
): string => {
  if (keep !== true) return keep
  if (assetName !== undefined) return assetName
  const extension = mime.getExtension(filetype)
  if (extension === null) return assetId
  // Of two that are known for QuickTime nobody uses the first.
  return `${assetId}.${extension === 'qt' ? 'mov' : extension}`
}

/** Why a spool could not be opened, in the words of its option where the system says it. */
export const notOpened = (folder: string, error: Error): Error => {
  if (error instanceof RealtimeUploadError) return error
  const text = `spool.dir must be a folder on a disk that takes it; ${folder} could not be made ready: ${error.message}`
  const details = { option: 'spool.dir', path: folder, cause: error }
  return new RealtimeUploadError('ERR_INVALID_OPTION', text, details)
}

/** As an upload fails whose recording lies in a spool: what to do next is said as well. */
export const keptIn = (folder: string, error: Error): Error =>
  withNext(error, folder, `The recording is kept in ${folder}: resumeUploads goes on with it`)

/** The same of a file, of which a spool has only what is stored. */
export const notedIn = (folder: string, error: Error): Error =>
  withNext(error, folder, `What is stored is noted in ${folder}: resumeUploads goes on with it`)

/** Of a damage it is said already which file has it, and of a file that was cut that it is. */
const HOPELESS: readonly ErrorCode[] = ['ERR_SPOOL_DAMAGED', 'ERR_SOURCE_TRUNCATED']

const withNext = (error: Error, folder: string, next: string): Error => {
  if (!(error instanceof RealtimeUploadError)) return error
  if (HOPELESS.includes(error.code) && shortageIn(error) === undefined) return error
  const { code, message, cause, option, assetId, partNumber, statusCode, storageCode, attempts } =
    error
  const text = `${message}. ${next}`
  return new RealtimeUploadError(code, text, {
    option,
    assetId,
    partNumber,
    statusCode,
    storageCode,
    attempts,
    cause,
    path: folder,
  })
}
