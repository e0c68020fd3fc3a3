/**
 * Where a take is to go, and in whose name: which of these options make sense together.
 */
import type { Values } from './flags.ts'
import { UsageError } from './usage.ts'

/** @throws {UsageError} */
export const checkCredentials = ({
  credentials,
  device,
  sandbox,
  'token-file': tokenFile,
}: Values) => {
  if (credentials === undefined || sandbox !== undefined) return
  if (device === undefined) {
    throw new UsageError(
      '--credentials is for a Camera to Cloud device: give --device VERSION as well',
    )
  }
  const other = tokenFile === undefined ? 'FRAMEIO_TOKEN' : '--token-file'
  if (tokenFile === undefined && !process.env.FRAMEIO_TOKEN) return
  throw new UsageError(`--credentials holds the tokens, so ${other} must not be given as well`)
}

/** @throws {UsageError} */
export const checkTarget = ({
  asset,
  parent,
  name,
  extension,
  device,
  sandbox,
  ...rest
}: Values) => {
  const named = name ?? extension ?? rest.follow
  if (device !== undefined && rest.wait) {
    throw new UsageError('--wait has no meaning with --device: a device may not read assets')
  }
  if (rest.list) throw new UsageError('--list has no meaning without --resume DIR')
  if (sandbox !== undefined) {
    const { 'base-url': baseUrl, 'token-file': tokenFile, credentials } = rest
    const token = { 'token-file': tokenFile, credentials }
    const account = { asset, parent, device, 'base-url': baseUrl, ...token }
    const stranger = Object.entries(account).find(([, value]) => value !== undefined)
    if (stranger) throw new UsageError(`--${stranger[0]} has no meaning with --sandbox`)
    if (named === undefined)
      throw new UsageError('--sandbox needs --name FILE, or --extension .EXT')
    return
  }
  if (asset !== undefined) {
    const stranger = parent !== undefined ? 'parent' : extension !== undefined ? 'extension' : ''
    if (stranger) throw new UsageError(`--${stranger} is for a new asset, and --asset names one`)
    return
  }
  if (named === undefined && parent === undefined) {
    throw new UsageError('Give --asset ID, or --parent ID and --name FILE, or --sandbox')
  }
  if (named === undefined) throw new UsageError('--parent needs --name FILE, or --extension .EXT')
  if (device === undefined && parent === undefined) {
    if (name === undefined && extension === undefined) {
      throw new UsageError('--follow needs --asset ID, --parent ID, --device VERSION or --sandbox')
    }
    throw new UsageError('--name needs --parent ID, the folder to create the asset in')
  }
  if (device !== undefined && parent !== undefined) {
    throw new UsageError('--parent has no meaning with --device: Frame.io knows where it belongs')
  }
}
