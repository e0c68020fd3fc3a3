/**
 * What the command was given, read and checked: nothing starts before all of it makes sense.
 */
import { parseArgs } from 'node:util'
import mime from 'mime'
import type { RealtimeUploadOptions } from '../upload/options.ts'
import { readSize, readTime } from './units.ts'
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
  /** A program and its arguments; absent: stdin. */
  readonly producer: readonly [command: string, ...args: string[]] | undefined
}

const OPTIONS = {
  asset: { type: 'string' },
  parent: { type: 'string' },
  name: { type: 'string' },
  extension: { type: 'string' },
  device: { type: 'string' },
  filetype: { type: 'string' },
  'part-size': { type: 'string' },
  memory: { type: 'string' },
  'max-size': { type: 'string' },
  concurrency: { type: 'string' },
  'base-url': { type: 'string' },
  integrity: { type: 'string' },
  'give-up-after': { type: 'string' },
  'token-file': { type: 'string' },
  token: { type: 'string' },
  sandbox: { type: 'string' },
  'no-check': { type: 'boolean' },
  wait: { type: 'boolean' },
  'on-producer-failure': { type: 'string' },
  json: { type: 'boolean' },
  quiet: { type: 'boolean' },
  verbose: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean' },
} as const

/** @throws {UsageError} */
export const readArguments = (argv: readonly string[]): Settings | 'help' | 'version' => {
  const [own, producer] = cutProducer(argv)
  const values = parse(own)
  if (values.help) return 'help'
  if (values.version) return 'version'
  if (values.token !== undefined) {
    throw new UsageError(
      'There is no --token, for arguments are visible to every process: set FRAMEIO_TOKEN, or give --token-file FILE',
    )
  }
  const { asset, parent, name, extension, sandbox, device, integrity } = values
  checkTarget(values)
  if (integrity !== undefined && integrity !== 'md5') {
    throw new UsageError(`--integrity must be md5; received '${integrity}'`)
  }
  const onProducerFailure = values['on-producer-failure'] ?? 'finalise'
  if (onProducerFailure !== 'finalise' && onProducerFailure !== 'abort') {
    throw new UsageError(
      `--on-producer-failure must be finalise or abort; received '${onProducerFailure}'`,
    )
  }
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
      partSize: size('--part-size', values['part-size']),
      memoryLimit: size('--memory', values.memory),
      maxSize: size('--max-size', values['max-size']),
      concurrency: values.concurrency === undefined ? undefined : Number(values.concurrency),
      baseUrl: values['base-url'],
      integrity,
      device: device === undefined ? undefined : { clientVersion: device },
      retry:
        giveUpAfter === undefined
          ? undefined
          : { giveUpAfter: readTime('--give-up-after', giveUpAfter) },
    },
    json: values.json ?? false,
    quiet: values.quiet ?? false,
    verbose: values.verbose ?? false,
    check: !values['no-check'],
    wait: values.wait ?? false,
    onProducerFailure,
    producer,
  }
}

/** What stands behind `--` is the producer's, whatever it looks like. */
const cutProducer = (argv: readonly string[]): [string[], Settings['producer']] => {
  const at = argv.indexOf('--')
  if (at < 0) return [[...argv], undefined]
  const [command, ...args] = argv.slice(at + 1)
  if (command === undefined) throw new UsageError('-- must be followed by a program to run')
  return [argv.slice(0, at), [command, ...args]]
}

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>>['values']

const parse = (argv: readonly string[]): Values => {
  // The folder of --sandbox may be left out, which parseArgs does not know.
  const args = argv.map((arg, at) => {
    const next = argv[at + 1]
    return arg === '--sandbox' && (next === undefined || next.startsWith('-')) ? `${arg}=` : arg
  })
  try {
    return parseArgs({ args, options: OPTIONS, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
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
    if (named === undefined) throw new UsageError('--sandbox needs --name FILE')
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

const size = (option: string, text: string | undefined) =>
  text === undefined ? undefined : readSize(option, text)

const filetypeOf = (name: string | undefined): string => {
  const filetype = name === undefined ? null : mime.getType(name)
  if (filetype === null) {
    const why = name === undefined ? 'there is no name to tell it' : `'${name}' does not tell it`
    throw new UsageError(`--filetype TYPE is needed, such as video/mp4: ${why}`)
  }
  return filetype
}
