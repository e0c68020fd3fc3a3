/**
 * What is asked of Frame.io before a take for V4: whose token it is, and whether there is such a folder. What is
 * refused now ends the take before its program starts. An outage does not: the disk holds the recording, and nothing
 * need be up before its end.
 */
import { FrameioV4Client } from '../../frameio/v4/client.ts'
import type { FrameioV4ClientOptions } from '../../frameio/v4/options.ts'
import type { Retry } from '../../net/retry.ts'
import { certificateAdvice, messageOf } from '../failures.ts'
import type { Waiting } from '../waiting.ts'

/** How long it is asked in all, and how long from a first failure on, in ms: nothing is recorded meanwhile. */
const LONGEST = 10_000
const LONGEST_FAILING = 3_000
/** Of one call, in ms. */
const LONGEST_CALL = 5_000

/** @throws {RealtimeUploadError} what Frame.io refuses, and would refuse at the end as well */
export const askBefore = async (
  options: FrameioV4ClientOptions,
  folderId: string,
  waiting: Waiting,
): Promise<void> => {
  const { giveUpAfter = Number.POSITIVE_INFINITY } = options.retry ?? {}
  let end = performance.now() + LONGEST
  let failed: Retry['error'] | undefined
  let isOver = false
  const giveUp = () => {
    isOver = true
    void client.close()
  }
  const client = new FrameioV4Client({
    ...options,
    apiTimeout: LONGEST_CALL,
    // What may pass is tried again, as the recording would: it is the time here that ends it.
    retry: { giveUpAfter: Number.POSITIVE_INFINITY },
    onRetry: retry => {
      const now = performance.now()
      if (!failed) end = Math.min(end, now + Math.min(LONGEST_FAILING, giveUpAfter))
      failed = retry.error
      if (now + retry.delay > end) giveUp()
      else waiting.onRetry({ ...retry, giveUpIn: end - now })
    },
  })
  const timer = setTimeout(giveUp, LONGEST)
  try {
    await client.whoAmI()
    // A page of it is all that is asked for.
    await client.listFolder(folderId).next()
  } catch (error) {
    if (!isOver || (error as { code?: unknown }).code !== 'ERR_CLIENT_CLOSED') throw error
    const reason = failed ? messageOf(failed) : 'Frame.io has not answered'
    const text = `${reason}; the take begins all the same, unchecked, and is uploaded once Frame.io answers`
    const lines = [text, certificateAdvice(failed)].filter(line => line !== undefined)
    waiting.display.say('unchecked', lines.join('\n  '), { code: failed?.code }, 'bad')
  } finally {
    clearTimeout(timer)
    await client.close()
  }
}
