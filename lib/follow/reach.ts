/**
 * A file that is out of reach in the moment in which it is looked at, or compared: a network drive that is gone
 * for a while. It is asked again, on the same terms as a PUT that cannot read its part: within the budget of
 * retries, and told as another try.
 */
import { RealtimeUploadError } from '../errors.ts'
import { Failure, type RetryContext, withRetries } from '../net/retry.ts'
import { RULINGS } from '../net/rulings.ts'

/**
 * @param read nothing that it learned counts where it fails: it is called again
 * @throws {RealtimeUploadError} `ERR_SOURCE_FAILED` once the budget is spent; whatever else `read` throws, at once
 */
export const untilInReach = <T>(read: () => Promise<T>, context: RetryContext): Promise<T> =>
  withRetries(
    () =>
      read().catch(error => {
        throw isOutOfReach(error) ? lost(error) : error
      }),
    context,
  )

const isOutOfReach = (error: unknown): error is RealtimeUploadError =>
  error instanceof RealtimeUploadError && error.code === 'ERR_SOURCE_FAILED'

const lost = ({ message, path, cause }: RealtimeUploadError): Failure =>
  new Failure(RULINGS.sourceUnreadable, message, { path, cause })
