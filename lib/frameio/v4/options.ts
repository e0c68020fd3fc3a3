/**
 * What users may set for a client of V4, and what it becomes.
 */
import { aFunction, flag, object, refuseUnknown, take } from '../../checks.ts'
import type { Retry } from '../../net/retry.ts'
import {
  type FrameioClientOptions,
  type ResolvedClientOptions,
  resolveClientOptions,
} from '../options.ts'
import { dialectOfV4, v4WaitsOf } from './dialect.ts'
import { checkV4Id } from './protocol.ts'

/** A call of a `FrameioV4Client` failed, and will be tried again. */
export interface V4CallRetry extends Retry {
  /** The method that was called. */
  readonly call:
    | 'createFile'
    | 'fileStatus'
    | 'waitUntilUploaded'
    | 'deleteFile'
    | 'whoAmI'
    | 'listFolder'
  /** The file concerned, where there is one already. */
  readonly fileId: string | undefined
}

export interface FrameioV4ClientOptions
  extends Pick<
    FrameioClientOptions,
    'token' | 'baseUrl' | 'dispatcher' | 'retry' | 'apiTimeout' | 'concurrency'
  > {
  /** Id of the account that folders and files belong to. */
  readonly accountId: string
  /**
   * Whether `token` is a legacy developer token, for accounts that the Adobe Admin Console does not
   * manage. Default false.
   */
  readonly legacyToken?: boolean | undefined
  /** Told before each wait for another try of a call. What it throws is what the call fails with. */
  readonly onRetry?: ((retry: V4CallRetry) => void) | undefined
}

export interface ResolvedV4Options {
  readonly accountId: string
  readonly onRetry: (retry: V4CallRetry) => void
  readonly api: ResolvedClientOptions
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const resolveV4Options = (options: FrameioV4ClientOptions): ResolvedV4Options => {
  object('options', options)
  refuseUnknown('', options, KNOWN)
  const { accountId, legacyToken = false, onRetry = () => {}, ...connection } = options
  const isLegacy = take('legacyToken', legacyToken, flag)
  return {
    accountId: checkV4Id('accountId', accountId),
    onRetry: take('onRetry', onRetry, aFunction) as typeof onRetry,
    api: {
      ...resolveClientOptions(connection),
      dialect: dialectOfV4(isLegacy, v4WaitsOf(options)),
    },
  }
}

const KNOWN = [
  'accountId',
  'token',
  'legacyToken',
  'baseUrl',
  'dispatcher',
  'retry',
  'apiTimeout',
  'concurrency',
  'onRetry',
] as const satisfies (keyof FrameioV4ClientOptions)[]
