/**
 * Deletions: where the answer to a first try is lost, and the next finds no such thing, the first has
 * deleted it.
 */
import { RealtimeUploadError } from '../errors.ts'
import { neverSent } from '../net/rulings.ts'
import type { Api, ApiRequest, CallContext } from './api.ts'

export const deleteBy = async (
  api: Api,
  request: Pick<ApiRequest<void>, 'path' | 'what' | 'details' | 'kind'>,
  context: CallContext,
): Promise<void> => {
  let mayBeGone = false
  const onRetry: CallContext['onRetry'] = retry => {
    mayBeGone ||= mayBeDone(retry.error)
    context.onRetry(retry)
  }
  const call = { method: 'DELETE', read: undefined, idempotent: true, ...request } as const
  try {
    await api.call(call, { ...context, onRetry })
  } catch (error) {
    if (!isNotFound(error) || !mayBeGone) throw error
  }
}

export const isNotFound = (error: unknown): boolean =>
  error instanceof RealtimeUploadError && error.code === 'ERR_ASSET_NOT_FOUND'

/** May a try that failed so have been carried out? */
const mayBeDone = ({ code, cause }: RealtimeUploadError): boolean =>
  code === 'ERR_TIMEOUT' || code === 'ERR_SERVER' || (code === 'ERR_NETWORK' && !neverSent(cause))
