/**
 * The slices of one creation on their way to S3.
 */
import { setMaxListeners } from 'node:events'
import { RULINGS } from '../net/rulings.ts'
import { followSignal } from '../net/signals.ts'
import type { Part } from '../spool/home.ts'
import type { Receipt } from '../upload/put-part.ts'
import { Sender, type SenderOptions } from '../upload/sender.ts'
import { type Creation, sinceOf, UrlsExpired } from './creation.ts'
import { type SliceOptions, slicePart } from './slice-part.ts'

/** On their way at once, for each lane: one that waits for another try must leave no lane empty. */
const PER_LANE = 2

/** Nothing of it is the caller's choice. */
const MISMATCH =
  'the URL signs content-type and x-amz-acl, which were sent as Frame.io asks: does a proxy on the way change headers?'

export interface SendSlices
  extends Omit<SenderOptions, 'assetId' | 'filetype' | 'onMismatch'>,
    Pick<SliceOptions, 'file' | 'isReused' | 'isMd5Wanted'> {
  readonly creation: Creation
  /** Numbers of those that S3 has already. */
  readonly stored: ReadonlySet<number>
  readonly onStored: (part: Part, receipt: Receipt) => Promise<void>
}

/**
 * Resolves when S3 has every slice. When this is over, nothing is in flight.
 *
 * @throws {UrlsExpired}; {RealtimeUploadError}; the signal's reason when it aborts
 */
export const sendSlices = async (options: SendSlices): Promise<void> => {
  const { creation, stored, onStored, concurrency, isMd5Wanted, isReused, file } = options
  const ending = new AbortController()
  const { signal } = ending
  setMaxListeners(0, signal)
  const unfollow = followSignal(options.signal, reason => ending.abort(reason))
  if (options.signal.aborted) ending.abort(options.signal.reason)
  const sender = new Sender({
    ...options,
    signal,
    assetId: creation.fileId,
    filetype: creation.mediaType,
    onMismatch: MISMATCH,
  })
  const since = sinceOf(creation)
  const left = creation.slices.filter(({ number }) => !stored.has(number)).values()
  const send = async () => {
    // All share one iterator: each takes the next.
    for (const { url, ...slice } of left) {
      signal.throwIfAborted()
      const part = slicePart({ ...slice, file, isMd5Wanted, isReused, signal })
      const at = { url, since }
      const receipt = await sender.put(part, {
        url: at,
        renew: async why => {
          // A portal or a proxy said so, and not S3: the URL may be as good as ever.
          if (why === RULINGS.deniedByOthers) return at
          throw new UrlsExpired(why)
        },
      })
      sender.stored(part, receipt)
      await onStored(part, receipt)
    }
  }
  try {
    const ways = Array.from({ length: PER_LANE * concurrency }, () =>
      send().catch(error => {
        ending.abort(error) // The first counts.
      }),
    )
    await Promise.all(ways)
    signal.throwIfAborted()
  } finally {
    unfollow()
  }
}
