/**
 * The end of a pairing: Frame.io ends the tokens, and then they leave the file.
 *
 * In this order, for a token that was forgotten first could not be ended any more, and would live for 14
 * days. The file's lock is held meanwhile: else a refresh of another process might put new ones there.
 */
import { abortSignal, takeIfGiven } from '../checks.ts'
import { checkRetry, type RetryOptions } from '../net/retry.ts'
import { openLine } from './auth-line.ts'
import { type DeviceTokensOptions, resolveTokenOptions } from './device-tokens.ts'
import { DEFAULTS } from './options.ts'
import { revoke } from './revoking.ts'
import { onFile, tokenFile } from './token-file.ts'

export interface UnpairDeviceOptions extends DeviceTokensOptions {
  /** Another try after transient faults, as of a client. */
  readonly retry?: Partial<RetryOptions> | undefined
  /** Ends it with an `AbortError`: the tokens stay in the file, be they revoked or not. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Revokes the tokens of a device, and takes them out of their file, durably; what else stands there stays.
 * Tokens that are dead already are forgotten as well. Uploads that use them fail with `ERR_NOT_PAIRED`.
 *
 * @returns whether there were any
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`; `ERR_UNAUTHORIZED` where Frame.io does not know the
 *   client; `ERR_NETWORK`, `ERR_TIMEOUT`, `ERR_SERVER` and `ERR_BAD_RESPONSE` where it could not be told
 *   within `retry.giveUpAfter`; an `AbortError`. The tokens stay in the file then.
 */
export const unpairDevice = async (options: UnpairDeviceOptions): Promise<boolean> => {
  const { path, ...settings } = resolve(options)
  const file = tokenFile(path)
  const { line, close } = openLine(settings, 'The unpairing was aborted')
  try {
    return await onFile(path, async () => {
      line.signal.throwIfAborted()
      // Without tokens there is no need of a lock, which would be left beside the file.
      if (!(await file.read())) return false
      const lock = await file.lock(line.signal)
      try {
        const kept = await file.read()
        if (kept) {
          await revoke(line, kept.refreshToken, WHAT)
          await file.forget()
        }
        return kept !== undefined
      } finally {
        await lock.release()
      }
    })
  } finally {
    await close()
  }
}

const WHAT = 'Unpairing failed, and the tokens stay where they are'

const resolve = (options: UnpairDeviceOptions) => {
  const settings = resolveTokenOptions(options, ['retry', 'signal'])
  const { retry, signal } = options
  return {
    ...settings,
    retry: checkRetry(retry, DEFAULTS.retry),
    signal: takeIfGiven('signal', signal, abortSignal),
  }
}
