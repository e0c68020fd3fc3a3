/**
 * What a source must be, asked before anything is started or read: what Node itself says comes
 * later, and does not name the option.
 */
import { ChildProcess } from 'node:child_process'
import { fstatSync, readvSync } from 'node:fs'
import { Readable } from 'node:stream'
import {
  abortSignal,
  flag,
  integer,
  invalid,
  object,
  oneOf,
  type Rule,
  refusal,
  refuseUnknown,
  rule,
  take,
  takeIfGiven,
} from '../checks.ts'
import { checkFile } from '../follow/options.ts'
import { isDecoded, UNDECODED } from '../upload/decoded.ts'
import { bytesOf } from './chunk.ts'
import type { Producer } from './producer.ts'
import { isPulled, isStream, isWebStream, type StreamLike, type WebStream } from './shapes.ts'
import type { Descriptor } from './source.ts'

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const checkSource = (source: unknown): void => {
  const isObject = typeof source === 'object' && source !== null
  if (source instanceof ChildProcess) checkChild(source)
  else if (isStream(source)) checkStream(source)
  else if (isWebStream(source)) checkWebStream(source)
  else if (Array.isArray(source)) checkList(source)
  else if (isPulled(source)) return
  else if (isObject && 'fd' in source) checkDescriptor(source)
  else if (isObject && 'file' in source) checkFile(source)
  else if (isObject && 'command' in source) checkProducer(source)
  else throw invalid('source', source, SOURCES)
}

const SOURCES =
  'a stream, a Blob, bytes or what gives them piece by piece, a ChildProcess, { command, args }, { file } or { fd }'

const checkChild = (child: ChildProcess): void => {
  if (!child.stdout) throw invalid('source', child, 'a ChildProcess whose stdout is a pipe')
  // Node throws away what nobody had asked for when a child ends.
  if (child.exitCode !== null || child.signalCode !== null) {
    throw invalid('source', child, 'a ChildProcess that has not ended: what it wrote is gone')
  }
  if (child.stdout.readableDidRead) {
    throw invalid('source', child, 'a ChildProcess of which nobody has read the stdout')
  }
  checkStream(child.stdout)
}

const checkStream = (stream: StreamLike): void => {
  if (isDecoded(stream)) throw invalid('source', stream, UNDECODED)
  // One of Node's that failed says why when it is read; others have said so once, unheard.
  if (stream instanceof Readable && stream.errored) return
  const { readable, writable, readableEnded, destroyed, _readableState } = stream
  const hasEnded = readableEnded === true || _readableState?.endEmitted === true
  // Whoever can only be written to has a pipe() as well, and says neither a byte nor that it ends.
  const isForWriting = readable === undefined && writable !== undefined
  if (!hasEnded && destroyed !== true && readable !== false && !isForWriting) return
  const received = hasEnded
    ? 'one that has ended'
    : destroyed
      ? 'one that was destroyed'
      : undefined
  throw refusal('source', received ?? 'one that is not readable', 'a stream that can still be read')
}

const checkWebStream = (stream: WebStream): void => {
  const isRead = Readable.isDisturbed(stream as unknown as Readable)
  if (!stream.locked && !isRead) return
  const received = isRead ? 'one that was read before' : 'one that is locked'
  throw refusal('source', received, 'a ReadableStream that nobody else reads')
}

/** Of bytes alone: the name of a program and its arguments would be uploaded as a text. */
const checkList = (chunks: readonly unknown[]): void => {
  for (const [index, chunk] of chunks.entries()) {
    if (bytesOf(chunk)) continue
    const received = chunk === null ? 'null' : `a value of type ${typeof chunk}`
    throw refusal(`source[${index}]`, received, 'bytes: of a text, Buffer.from(text)')
  }
}

const checkDescriptor = (source: Unchecked<Descriptor>): void => {
  refuseUnknown('source.', source, ['fd'])
  const fd = take('source.fd', source.fd, integer(0, 2 ** 31 - 1))
  const fault = faultOf(fd)
  if (fault)
    throw refusal('source.fd', `${fd} (${fault})`, 'a file, pipe or socket open for reading')
}

/**
 * Why nothing can be read from a descriptor; undefined where something may be. Not exported from the
 * package.
 */
export const faultOf = (fd: number): string | undefined => {
  try {
    if (fstatSync(fd).isDirectory()) return 'a folder'
    // A read of no bytes takes none and never waits, and fails where the descriptor is for writing.
    // On Windows it would wait: there the first read tells.
    if (process.platform !== 'win32') readvSync(fd, [new Uint8Array(0)])
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code
  }
}

const checkProducer = (source: Unchecked<Producer>): void => {
  refuseUnknown('source.', source, PRODUCER)
  const { command, args = [], options = {}, stdin } = source
  take('source.command', command, COMMAND)
  if (!Array.isArray(args)) throw refusal('source.args', kindOf(args), 'a list of strings')
  for (const [index, value] of args.entries()) checkPlain(`source.args[${index}]`, value)
  takeIfGiven('source.stdin', stdin, oneOf('ignore', 'inherit'))
  checkSpawnOptions(object('source.options', options))
}

const checkSpawnOptions = (options: Unchecked<SpawnOptions>): void => {
  refuseUnknown('source.options.', options, [...Object.keys(SPAWN), 'env'])
  for (const [name, rule] of Object.entries(SPAWN)) {
    const value = options[name as keyof SpawnOptions]
    // For Node null is as good as left out.
    if (value != null) take(`source.options.${name}`, value, rule)
  }
  if (options.env != null) checkEnv('source.options.env', options.env)
}

const checkEnv = (option: string, env: unknown): void => {
  if (typeof env !== 'object' || env === null) throw refusal(option, kindOf(env), 'an object')
  for (const [name, value] of Object.entries(env)) {
    if (!isPlain(name))
      throw refusal(option, 'a null byte', 'an object of names without null bytes')
    // Node leaves out the first, and makes text of the others.
    const isText = ['undefined', 'number', 'boolean'].includes(typeof value)
    if (!isText) checkPlain(`${option}.${name}`, value)
  }
}

const checkPlain = (option: string, value: unknown): void => {
  if (isPlain(value)) return
  const received = typeof value === 'string' ? 'a string with one' : kindOf(value)
  throw refusal(option, received, 'a string without null bytes')
}

const isPlain = (value: unknown): value is string =>
  typeof value === 'string' && !value.includes('\0')

/** Not the value: arguments and variables hold keys and passwords. */
const kindOf = (value: unknown) =>
  value === null ? 'null' : typeof value === 'string' ? 'a string' : typeof value

const PRODUCER = ['command', 'args', 'options', 'stdin'] as const satisfies (keyof Producer)[]

const COMMAND = rule<string>(
  'a non-empty string without null bytes',
  value => isPlain(value) && value !== '',
)
const PLAIN = rule<string>('a string without null bytes', isPlain)
const ID = integer(0, 2 ** 32 - 1)

/** As Node asks for them, which refuses them one by one, and some only after it has begun. */
const SPAWN: Readonly<Record<Exclude<keyof SpawnOptions, 'env'>, Rule<unknown>>> = {
  cwd: rule(
    'a path or a file: URL, without null bytes',
    value => isPlain(value) || (value instanceof URL && value.protocol === 'file:'),
  ),
  argv0: PLAIN,
  shell: rule('true, false or the file of a shell', v => typeof v === 'boolean' || isPlain(v)),
  detached: flag,
  uid: ID,
  gid: ID,
  timeout: integer(0, Number.MAX_SAFE_INTEGER, 'ms'),
  killSignal: rule('the name or the number of a signal', v => isPlain(v) || Number.isInteger(v)),
  signal: abortSignal,
  serialization: oneOf('json', 'advanced'),
  windowsHide: flag,
  windowsVerbatimArguments: flag,
}

type SpawnOptions = NonNullable<Producer['options']>

/** Fields of these names, of whatever kind. */
type Unchecked<S extends Descriptor | Producer | SpawnOptions> = {
  readonly [K in keyof S]?: unknown
}
