/**
 * An upload that was cut off, opened again without anybody to send it.
 */
import { type Reopening, reopen } from '../../lib/spool/reopen.ts'
import { Unfinished } from '../../lib/spool/unfinished.ts'

export const openUnfinished = async (options: Reopening): Promise<Unfinished | undefined> => {
  const reopened = await reopen(options)
  return reopened && new Unfinished(reopened)
}
