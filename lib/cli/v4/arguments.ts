/**
 * What goes with `--v4`, and what has no meaning there.
 */
import { basename } from 'node:path'
import { checkV4Id } from '../../frameio/v4/protocol.ts'
import type { Values } from '../flags.ts'
import { isFolder } from '../folder-settings.ts'
import { followOf } from '../follow-settings.ts'
import type { V4ResumeSettings, V4Settings, V4UploadSettings } from '../settings.ts'
import { UsageError } from '../usage.ts'

/** What goes with it: where to, what, how it is kept, how Frame.io is reached, how much is said. */
const WITH_V4 = new Set<string>([
  ...['v4', 'name', 'segment', 'legacy-token', 'base-url', 'token-file', 'sandbox'],
  ...['follow', 'idle', 'until-pid', 'on-producer-failure', 'producer-log'],
  ...['spool', 'spool-max', 'keep-free', 'keep-spool', 'max-size'],
  ...['concurrency', 'integrity', 'give-up-after', 'no-check', 'wait'],
  ...['json', 'quiet', 'verbose'],
])

/** Why others do not. */
const V2 = 'it is for real-time assets, which V4 has none of; --v4 ACCOUNT/FOLDER says where to'
const C2C = 'V4 knows no devices: with --device a take goes up while it is filmed, without --v4'
const DISK = 'the disk holds the recording, and nothing is held in memory'
const FILES = 'V4 must know the size of each file, so they are followed one by one: --follow FILE'
const WHY: Readonly<Record<string, string>> = {
  asset: V2,
  parent: V2,
  extension: 'V4 tells the media type from the name: --name FILE',
  filetype: 'V4 tells the media type from the name: --name FILE',
  device: C2C,
  credentials: C2C,
  'part-size': 'V4 cuts each file into parts itself',
  expect: 'V4 cuts each file into parts itself',
  memory: DISK,
  'spool-overflow': DISK,
  'finish-wav': 'a file goes up as it was written; where that is a pipe, FLAC needs no mending',
  verify: 'a file goes up once it is over, so nothing of it changes meanwhile',
  match: FILES,
  once: FILES,
}

/** @throws {UsageError} */
export const v4SettingsOf = (values: Values, producer: V4Settings['producer']): V4Settings => {
  refuseStrangers(values, WITH_V4, '--v4')
  const { v4 = '', sandbox, name, segment } = values
  if (isFolder(values.follow)) {
    throw new UsageError(`--follow with a folder has no meaning with --v4: ${FILES}`)
  }
  const follow = followOf(values, producer)
  if (segment !== undefined && follow) {
    throw new UsageError(
      '--segment has no meaning with --follow: a file goes up as it is, once it is over',
    )
  }
  const called = name ?? (follow && basename(follow.file))
  if (called === undefined) throw new UsageError('--v4 needs --name FILE')
  if (sandbox !== undefined) checkSandbox(values)
  return {
    v4: sandbox === undefined ? readTarget(v4) : undefined,
    legacyToken: values['legacy-token'] ?? false,
    name: called,
    segment,
    spool: {
      dir: values.spool,
      maxBytes: values['spool-max'],
      keepFree: values['keep-free'],
      keep: values['keep-spool'] ?? false,
    },
    upload: uploadOf(values),
    sandbox,
    tokenFile: values['token-file'],
    ...tellingOf(values),
    check: !values['no-check'],
    wait: values.wait ?? false,
    onProducerFailure: values['on-producer-failure'] ?? 'finalise',
    producerLog: producerLogOf(values, producer),
    producer,
    follow,
  }
}

const WITH_RESUME = new Set<string>([
  ...['resume', 'v4', 'legacy-token', 'base-url', 'token-file', 'concurrency', 'give-up-after'],
  ...['json', 'quiet', 'verbose'],
])

/** @throws {UsageError} */
export const v4ResumeSettingsOf = (values: Values, producer: unknown): V4ResumeSettings => {
  refuseStrangers(values, WITH_RESUME, '--resume and --v4')
  if (producer) throw new UsageError('--resume records nothing, so no program stands behind it')
  const { resume = '', v4 = '' } = values
  // A folder may stand behind it, as in the line that recorded: the journals know theirs.
  const [accountId = ''] = v4.split('/')
  if (accountId === '') throw new UsageError('--resume needs --v4 ACCOUNT, the id of the account')
  return {
    resume,
    accountId: checkId(accountId, v4),
    legacyToken: values['legacy-token'] ?? false,
    tokenFile: values['token-file'],
    upload: uploadOf(values),
    ...tellingOf(values),
    producer: undefined,
    follow: undefined,
  }
}

/** What has no meaning without it. @throws {UsageError} */
export const refuseV4Flags = (values: Values): void => {
  if (values['legacy-token']) throw new UsageError('--legacy-token has no meaning without --v4')
  if (values.segment === undefined) return
  const why = 'to make an asset of each segment of a live upload use `segments` of the library'
  throw new UsageError(`--segment has no meaning without --v4: ${why}`)
}

const refuseStrangers = (values: Values, known: ReadonlySet<string>, where: string): void => {
  const stranger = Object.keys(values).find(name => !known.has(name))
  if (stranger === undefined) return
  const why = WHY[stranger] === undefined ? '' : `: ${WHY[stranger]}`
  throw new UsageError(`--${stranger} has no meaning with ${where}${why}`)
}

const RULE = 'ACCOUNT/FOLDER, the ids of an account and of a folder in it'

const readTarget = (text: string): V4Settings['v4'] => {
  const [accountId = '', folderId = '', ...rest] = text.split('/')
  if (accountId === '' || folderId === '' || rest.length > 0) {
    throw new UsageError(`--v4 must be ${RULE}; received '${text}'`)
  }
  return { accountId: checkId(accountId, text), folderId: checkId(folderId, text) }
}

const checkId = (id: string, text: string): string => {
  try {
    return checkV4Id('--v4', id)
  } catch {
    throw new UsageError(
      `--v4 must be ${RULE}: letters, digits and - _ : @ | only; received '${text}'`,
    )
  }
}

const checkSandbox = (values: Values): void => {
  const { v4, 'base-url': baseUrl, 'token-file': tokenFile, 'legacy-token': legacyToken } = values
  if (v4) throw new UsageError(`--v4 has no ids with --sandbox; received '${v4}'`)
  const account = { 'base-url': baseUrl, 'token-file': tokenFile, 'legacy-token': legacyToken }
  const [stranger] = Object.entries(account).find(([, value]) => value !== undefined) ?? []
  if (stranger) throw new UsageError(`--${stranger} has no meaning with --sandbox`)
}

const uploadOf = (values: Values): V4UploadSettings => {
  const { 'max-size': maxSize, 'give-up-after': giveUpAfter, 'base-url': baseUrl } = values
  const retry = giveUpAfter === undefined ? undefined : { giveUpAfter }
  return { maxSize, concurrency: values.concurrency, baseUrl, integrity: values.integrity, retry }
}

const tellingOf = ({ json, quiet, verbose }: Values) => ({
  json: json ?? false,
  quiet: quiet ?? false,
  verbose: verbose ?? false,
})

const producerLogOf = (values: Values, producer: unknown): string | undefined => {
  const producerLog = values['producer-log']
  if (producerLog === undefined || producer) return producerLog
  throw new UsageError('--producer-log keeps what a program says: give -- and the program')
}
