/**
 * What the command was given, read and checked: nothing starts before all of it makes sense.
 */
import { basename } from 'node:path'
import mime from 'mime'
import type { RealtimeUploadOptions } from '../upload/options.ts'
import { finishWav } from '../upload/wav.ts'
import { readFlags, strayFlagIn, type Values } from './flags.ts'
import { checkFolder, isFolder } from './folder-settings.ts'
import { type FollowSettings, followOf } from './follow-settings.ts'
import { checkCredentials, checkTarget } from './target-settings.ts'
import { UsageError } from './usage.ts'

export interface Settings {
  readonly asset: string | undefined
  readonly parent: string | undefined
  readonly name: string | undefined
  readonly extension: string | undefined
  readonly filetype: string
  readonly tokenFile: string | undefined
  /** The file of a device that was paired. */
  readonly credentials: string | undefined
  /** A folder, or '' for a new one in the system's folder for temporary files. */
  readonly sandbox: string | undefined
  /** Options of the library, as far as they were given. */
  readonly upload: Pick<
    RealtimeUploadOptions,
    | 'partSize'
    | 'memoryLimit'
    | 'maxSize'
    | 'expectedSize'
    | 'concurrency'
    | 'baseUrl'
    | 'integrity'
    | 'lateHead'
    | 'device'
    | 'retry'
    | 'spool'
  >
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly check: boolean
  readonly wait: boolean
  readonly onProducerFailure: 'finalise' | 'abort'
  /** The file that keeps what the producer writes to its stderr. */
  readonly producerLog: string | undefined
  /** A program and its arguments. */
  readonly producer: readonly [command: string, ...args: string[]] | undefined
  /** A file that another program writes. Without this and a program it is stdin that is uploaded. */
  readonly follow: FollowSettings | undefined
}

/** Of `--resume`. */
export interface ResumeSettings
  extends Pick<Settings, 'tokenFile' | 'credentials' | 'upload' | 'json' | 'quiet' | 'verbose'> {
  /** The folder. */
  readonly resume: string
  /** Only show what is there. */
  readonly list: boolean
  /** How long nothing changes in a file that was followed, and is over, in ms. */
  readonly idle: number | undefined
  readonly producer: undefined
  readonly follow: undefined
}

/** Of `--follow` with a folder. */
export interface FolderSettings
  extends Pick<
    Settings,
    | 'parent'
    | 'tokenFile'
    | 'credentials'
    | 'sandbox'
    | 'upload'
    | 'json'
    | 'quiet'
    | 'verbose'
    | 'check'
  > {
  readonly follow: FollowSettings
  /** Patterns of names; none: whatever has a media type. */
  readonly match: readonly string[]
  /** End when all that is there is done. */
  readonly once: boolean
  readonly producer: undefined
}

/** @throws {UsageError} */
export const readArguments = (
  argv: readonly string[],
): Settings | ResumeSettings | FolderSettings | 'help' | 'version' => {
  const [own, producer] = cutProducer(argv)
  refuseToken(own)
  const values = readFlags(own)
  if (values.help) return 'help'
  if (values.version) return 'version'
  checkCredentials(values)
  if (values.resume !== undefined) return resumeSettingsOf(values, values.resume, producer)
  try {
    if (isFolder(values.follow)) return folderSettingsOf(values, values.follow, producer)
    return settingsOf(values, producer)
  } catch (error) {
    const flag = strayFlagIn(producer?.slice(1) ?? [])
    if (flag === undefined || !(error instanceof UsageError)) throw error
    const hint = `${flag} behind -- is for the program; if it is meant for this command, put it before`
    throw new UsageError(`${error.message}\n  ${hint}`)
  }
}

const settingsOf = (values: Values, producer: Settings['producer']): Settings => {
  const follow = followOf(values, producer)
  checkTarget(values)
  const producerLog = values['producer-log']
  if (producerLog !== undefined && !producer) {
    throw new UsageError('--producer-log keeps what a program says: give -- and the program')
  }
  const { asset, parent, extension, sandbox } = values
  const file = follow && basename(follow.file)
  const filetype = values.filetype ?? filetypeOf(values.name ?? extension ?? file)
  const isNamedAlready = asset !== undefined || extension !== undefined
  if (values['finish-wav'] && !WAV.test(filetype)) {
    throw new UsageError(`--finish-wav is for a WAV, and the media type is ${filetype}`)
  }
  if (values['finish-wav'] && follow) {
    throw new UsageError(
      '--finish-wav is for what comes through a pipe: --follow sends a head as it stands',
    )
  }
  return {
    asset,
    parent,
    name: values.name ?? (isNamedAlready ? undefined : file),
    extension,
    filetype,
    tokenFile: values['token-file'],
    credentials: values.credentials,
    sandbox,
    upload: uploadOf(values),
    json: values.json ?? false,
    quiet: values.quiet ?? false,
    verbose: values.verbose ?? false,
    check: !values['no-check'],
    wait: values.wait ?? false,
    onProducerFailure: values['on-producer-failure'] ?? 'finalise',
    producerLog,
    producer,
    follow,
  }
}

/** Media types of WAV, of which there are several, and that of whatever it may be. */
const WAV = /wav|bwf|rf64|octet-stream/i

const uploadOf = (values: Values): Settings['upload'] => {
  const { device, 'give-up-after': giveUpAfter } = values
  return {
    partSize: values['part-size'],
    memoryLimit: values.memory,
    maxSize: values['max-size'],
    expectedSize: values.expect,
    concurrency: values.concurrency,
    baseUrl: values['base-url'],
    integrity: values.integrity,
    lateHead: values['finish-wav'] && finishWav,
    device: device === undefined ? undefined : { clientVersion: device },
    retry: giveUpAfter === undefined ? undefined : { giveUpAfter },
    spool: spoolOf(values),
  }
}

/** @throws {UsageError} */
const spoolOf = (values: Values): Settings['upload']['spool'] => {
  const { spool: dir, 'spool-max': maxBytes, 'keep-free': keepFree } = values
  const { 'spool-overflow': overflow, 'keep-spool': keep, name } = values
  if (keep && overflow) {
    throw new UsageError(
      '--keep-spool has no meaning with --spool-overflow: most bytes never reach the disk',
    )
  }
  const kept = keep && (name ?? true)
  if (dir !== undefined) return { dir, durable: !overflow, maxBytes, keepFree, keep: kept }
  const stranger = Object.entries({
    'spool-max': maxBytes,
    'keep-free': keepFree,
    'spool-overflow': overflow,
    'keep-spool': keep,
  }).find(([, value]) => value !== undefined)
  if (stranger) throw new UsageError(`--${stranger[0]} has no meaning without --spool DIR`)
  return undefined
}

/** What goes with `--resume`: how Frame.io is reached, and how much is said. */
const WITH_RESUME = new Set<string>([
  ...[
    'resume',
    'list',
    'device',
    'credentials',
    'memory',
    'concurrency',
    'give-up-after',
    'base-url',
  ],
  ...['idle', 'token-file', 'json', 'quiet', 'verbose'],
])

/** @throws {UsageError} */
const resumeSettingsOf = (
  values: Values,
  resume: string,
  producer: Settings['producer'],
): ResumeSettings => {
  const stranger = Object.keys(values).find(name => !WITH_RESUME.has(name))
  if (stranger !== undefined) throw new UsageError(`--${stranger} has no meaning with --resume`)
  if (producer) throw new UsageError('--resume records nothing, so no program stands behind it')
  const { json = false, quiet = false, verbose = false, list = false } = values
  const { idle, 'token-file': tokenFile, credentials } = values
  const given = { resume, list, idle, tokenFile, credentials, json, quiet, verbose }
  return { ...given, upload: uploadOf(values), producer, follow: undefined }
}

/** @throws {UsageError} */
const folderSettingsOf = (
  values: Values,
  file: string,
  producer: Settings['producer'],
): FolderSettings => {
  checkFolder(values, file, producer)
  const { idle, verify, parent, sandbox, match = [], once = false } = values
  const { json = false, quiet = false, verbose = false } = values
  return {
    follow: { file, idle, verify, untilPid: undefined },
    match,
    once,
    parent,
    sandbox,
    tokenFile: values['token-file'],
    credentials: values.credentials,
    upload: uploadOf(values),
    json,
    quiet,
    verbose,
    check: !values['no-check'],
    producer: undefined,
  }
}

/** What stands behind `--` is the producer's, whatever it looks like. */
const cutProducer = (argv: readonly string[]): [string[], Settings['producer']] => {
  const at = argv.indexOf('--')
  if (at < 0) return [[...argv], undefined]
  const [command, ...args] = argv.slice(at + 1)
  if (!command) throw new UsageError('-- must be followed by a program to run')
  return [argv.slice(0, at), [command, ...args]]
}

const refuseToken = (argv: readonly string[]): void => {
  if (!argv.some(arg => /^--token(=|$)/.test(arg))) return
  throw new UsageError(
    'There is no --token, for arguments are visible to every process: set FRAMEIO_TOKEN, or give --token-file FILE',
  )
}

const filetypeOf = (name: string | undefined): string => {
  const filetype = name === undefined ? null : mime.getType(name)
  if (filetype === null) {
    const why = name === undefined ? 'there is no name to tell it' : `'${name}' does not tell it`
    throw new UsageError(`--filetype TYPE is needed, such as video/mp4: ${why}`)
  }
  return filetype
}
