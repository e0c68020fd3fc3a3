/**
 * What the command was given, read and checked: nothing starts before all of it makes sense.
 */
import mime from 'mime'
import type { RealtimeUploadOptions } from '../upload/options.ts'
import { readFlags, strayFlagIn, type Values } from './flags.ts'
import { UsageError } from './usage.ts'

export interface Settings {
  readonly asset: string | undefined
  readonly parent: string | undefined
  readonly name: string | undefined
  readonly extension: string | undefined
  readonly filetype: string
  readonly tokenFile: string | undefined
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
    | 'device'
    | 'retry'
  >
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose: boolean
  readonly check: boolean
  readonly wait: boolean
  readonly onProducerFailure: 'finalise' | 'abort'
  /** The file that keeps what the producer writes to its stderr. */
  readonly producerLog: string | undefined
  /** A program and its arguments; absent: stdin. */
  readonly producer: readonly [command: string, ...args: string[]] | undefined
}

/** @throws {UsageError} */
export const readArguments = (argv: readonly string[]): Settings | 'help' | 'version' => {
  const [own, producer] = cutProducer(argv)
  refuseToken(own)
  const values = readFlags(own)
  if (values.help) return 'help'
  if (values.version) return 'version'
  try {
    return settingsOf(values, producer)
  } catch (error) {
    const flag = strayFlagIn(producer?.slice(1) ?? [])
    if (flag === undefined || !(error instanceof UsageError)) throw error
    const hint = `${flag} behind -- is for the program; if it is meant for this command, put it before`
    throw new UsageError(`${error.message}\n  ${hint}`)
  }
}

const settingsOf = (values: Values, producer: Settings['producer']): Settings => {
  checkTarget(values)
  const producerLog = values['producer-log']
  if (producerLog !== undefined && !producer) {
    throw new UsageError('--producer-log keeps what a program says: give -- and the program')
  }
  const { asset, parent, name, extension, sandbox, device } = values
  const giveUpAfter = values['give-up-after']
  return {
    asset,
    parent,
    name,
    extension,
    filetype: values.filetype ?? filetypeOf(name ?? extension),
    tokenFile: values['token-file'],
    sandbox,
    upload: {
      partSize: values['part-size'],
      memoryLimit: values.memory,
      maxSize: values['max-size'],
      expectedSize: values.expect,
      concurrency: values.concurrency,
      baseUrl: values['base-url'],
      integrity: values.integrity,
      device: device === undefined ? undefined : { clientVersion: device },
      retry: giveUpAfter === undefined ? undefined : { giveUpAfter },
    },
    json: values.json ?? false,
    quiet: values.quiet ?? false,
    verbose: values.verbose ?? false,
    check: !values['no-check'],
    wait: values.wait ?? false,
    onProducerFailure: values['on-producer-failure'] ?? 'finalise',
    producerLog,
    producer,
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

const checkTarget = ({ asset, parent, name, extension, device, sandbox, ...rest }: Values) => {
  const named = name ?? extension
  if (device !== undefined && rest.wait) {
    throw new UsageError('--wait has no meaning with --device: a device may not read assets')
  }
  if (sandbox !== undefined) {
    const { 'base-url': baseUrl, 'token-file': tokenFile } = rest
    const account = { asset, parent, device, 'base-url': baseUrl, 'token-file': tokenFile }
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
    throw new UsageError('--name needs --parent ID, the folder to create the asset in')
  }
  if (device !== undefined && parent !== undefined) {
    throw new UsageError('--parent has no meaning with --device: Frame.io knows where it belongs')
  }
}

const filetypeOf = (name: string | undefined): string => {
  const filetype = name === undefined ? null : mime.getType(name)
  if (filetype === null) {
    const why = name === undefined ? 'there is no name to tell it' : `'${name}' does not tell it`
    throw new UsageError(`--filetype TYPE is needed, such as video/mp4: ${why}`)
  }
  return filetype
}
