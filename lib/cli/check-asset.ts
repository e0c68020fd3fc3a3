/**
 * Can an asset be filled? Asked before the take, since S3 takes parts for one that is uploaded as
 * well, and what is wrong would be said at the very end.
 */
import { refusal } from '../checks.ts'
import { quote } from '../errors.ts'
import type { Asset } from '../frameio/protocol.ts'

/**
 * Refuses only what Frame.io says in so many words: a field that is absent is none. Which of these
 * fields it always gives is not documented.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export const checkAsset = (assetId: string, asset: Asset, filetype: string): void => {
  const refuse = (rule: string, what: string) =>
    refusal('assetId', `${assetId}, ${what}`, `the id of ${rule}`)
  const { type, is_realtime_upload: isRealtime } = asset
  if (type === 'folder' || type === 'version_stack') {
    const hint = type === 'folder' ? ': give it as --parent, and a --name' : ''
    throw refuse('an asset', `which is a ${type.replace('_', ' ')}${hint}`)
  }
  if (isRealtime === false) {
    throw refuse('an asset that was created for real-time upload', 'which was not')
  }
  if (asset.upload_completed_at) {
    const when = quote(String(asset.upload_completed_at))
    throw refuse('an asset that is still to be filled', `which was uploaded at ${when}`)
  }
  if (asset.upload_failed_at) {
    const when = quote(String(asset.upload_failed_at))
    throw refuse('an asset that is still to be filled', `whose upload failed at ${when}`)
  }
  const created = asset.filetype
  if (typeof created === 'string' && created !== '' && plain(created) !== plain(filetype)) {
    const rule = `'${quote(created)}', with which asset ${assetId} was created: S3 checks it`
    throw refusal('filetype', `'${filetype}'`, rule)
  }
}

/** A media type as far as it tells one from another. */
const plain = (filetype: string): string => filetype.toLowerCase().replace(/\s/g, '')
