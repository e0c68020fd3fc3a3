/**
 * A file whose upload was cut off is followed on: it may have grown meanwhile, or be complete. Which
 * file it is its path says, and the sums of what S3 has whether it is still the same.
 */
import { type FollowEnd, Follower, type Known } from '../follow/follower.ts'
import { type FileState, GrownFile } from '../follow/grown-file.ts'
import type { ResolvedFollowOptions } from '../follow/options.ts'
import type { Followed } from '../spool/followed.ts'
import { tell } from '../upload/diagnostics.ts'
import { type GoOnSettings, goOn } from './go-on.ts'

/** All of a file is stored. */
export interface Whole extends FollowEnd {
  readonly bytes: number
  readonly parts: number
  /** As it was uploaded; undefined where it has changed since. */
  readonly state: FileState | undefined
}

export interface FollowOnSettings extends GoOnSettings {
  readonly followed: ResolvedFollowOptions | undefined
  readonly seen?: Known['seen']
  /** All of it is stored, and its journal is still there. */
  readonly onWhole?: ((whole: Whole) => Promise<void>) | undefined
}

/** @returns what there is, once all of it is stored */
export const followOn = (
  followed: Followed,
  settings: FollowOnSettings,
): Promise<Pick<Whole, 'bytes' | 'parts'> & { readonly isUnfinished?: boolean }> => {
  const { opening, stored, source, final } = followed
  const { assetId } = opening
  let follower: Follower | undefined
  const progress = () => {
    const bytesReceived = Math.max(stored.bytes, follower?.bytes ?? 0)
    return { bytesReceived, bytesDurable: bytesReceived }
  }
  const isPatient = () => follower?.isPatient ?? false
  const about = { opening, stored, progress, isPatient, settings }
  return goOn(about, async ({ options, transfer, emit, signal }) => {
    const follow = source.isFinished ? undefined : settings.followed
    const file = await GrownFile.open(source.path, follow, signal)
    tell('frameio-realtime-upload:resumed', () => ({ assetId, ...stored }))
    const opened = Promise.resolve()
    const inside = { options, transfer, spool: followed, opened, bring: () => {}, emit }
    // On network drives the numbers of a file may change, and a copy has others: so its bytes decide.
    const isOther = String(file.id.dev) !== source.dev || String(file.id.ino) !== source.ino
    const { parts: before } = followed
    const known = { stored: before, total: final?.total, seen: settings.seen, isOther }
    follower = new Follower(file, inside, follow, known)
    const close = () => follower?.close()
    signal.addEventListener('abort', close)
    try {
      signal.throwIfAborted()
      const end = await follower.run()
      const whole = await follower.end()
      await transfer.allStored()
      await follower.confirm()
      await settings.onWhole?.({ ...whole, ...end, state: follower.settled })
      return { ...whole, ...(end.isUnfinished && { isUnfinished: true }) }
    } finally {
      signal.removeEventListener('abort', close)
      await follower.close()
    }
  }).catch(error => {
    throw follower?.explain(error) ?? error
  })
}
