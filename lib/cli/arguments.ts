/**
 * What the command was given, read and checked: nothing starts before all of it makes sense.
 */
import { basename } from 'node:path'
import mime from 'mime'
import { finishWav } from '../upload/wav.ts'
import { readFlags, strayFlagIn, type Values } from './flags.ts'
import { checkFolder, isFolder } from './folder-settings.ts'
import { followOf } from './follow-settings.ts'
import type {
  FolderSettings,
  ResumeSettings,
  Settings,
  V4ResumeSettings,
  V4Settings,
} from './settings.ts'
import { checkCredentials, checkTarget } from './target-settings.ts'
import { UsageError } from './usage.ts'
import { refuseV4Flags, v4ResumeSettingsOf, v4SettingsOf } from './v4/arguments.ts'

type Given = Settings | ResumeSettings | FolderSettings | V4Settings | V4ResumeSettings

/** @throws {UsageError} */
export const readArguments = (argv: readonly string[]): Given | 'help' | 'version' => {
  const [own, producer] = cutProducer(argv)
  refuseToken(own)
  const values = readFlags(own)
  if (values.help) return 'help'
  if (values.version) return 'version'
  if (values.v4 === undefined) {
    checkCredentials(values)
    refuseV4Flags(values)
  }
  if (values.resume !== undefined) {
    // What lies there is shown whatever it is for.
    const isForV4 = values.v4 !== undefined && !values.list
    if (isForV4) return v4ResumeSettingsOf(values, producer)
    return resumeSettingsOf(values, values.resume, producer)
  }
  try {
    if (values.v4 !== undefined) return v4SettingsOf(values, producer)
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
  ...['idle', 'token-file', 'json', 'quiet', 'verbose', 'v4', 'legacy-token'],
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
