/**
 * The flags of the command, in the order of the help. Parsing, the help and the messages of the library
 * in the command's words are all made from this one list.
 */
import { MEMORY_LIMIT } from '../frameio/memory-limit.ts'
import { LIMITS } from '../frameio/protocol.ts'
import { asTyped, type Flag, readWith, type ValuesOf } from './flag.ts'
import {
  exactSize,
  integerWithin,
  readExpect,
  readSize,
  readTime,
  timeWithin,
  within,
} from './units.ts'
import { UsageError } from './usage.ts'

const { minPartSize, maxPartSize, maxFilesize } = LIMITS

/** Of a container's share the bytes are no matter. */
const inMiB = (bytes: number) => Math.floor(bytes / 2 ** 20) * 2 ** 20

const asExtension = (flag: string, text: string): string => {
  if (/^\../.test(text)) return text
  throw new UsageError(`${flag} must begin with its dot, such as .mp4; received '${text}'`)
}

const oneOf =
  <T extends string>(...words: readonly T[]) =>
  (flag: string, text: string): T => {
    const word = words.find(word => word === text)
    if (word !== undefined) return word
    throw new UsageError(`${flag} must be ${words.join(' or ')}; received '${text}'`)
  }

export const FLAGS = [
  {
    name: 'asset',
    value: 'ID',
    help: 'fill this real-time asset, or create one:',
    option: 'assetId',
    read: asTyped,
  },
  {
    name: 'parent',
    value: 'ID',
    help: 'in this folder or project root (not with --device)',
    option: 'parentId',
    read: asTyped,
  },
  {
    name: 'name',
    value: 'FILE',
    help: 'its name; with --asset or --extension given at the end',
    option: 'assetName',
    read: asTyped,
  },
  { name: 'extension', value: '.EXT', help: 'create it unnamed', read: asExtension },
  {
    name: 'filetype',
    value: 'TYPE',
    help: 'media type (by the name)',
    isBeside: true,
    read: asTyped,
  },
  {
    name: 'device',
    value: 'VERSION',
    help: "C2C, your client's version",
    option: 'device.clientVersion',
    read: asTyped,
  },
  {
    name: 'credentials',
    value: 'FILE',
    help: "pair's file",
    isBeside: true,
    option: 'file',
    read: asTyped,
  },
  {
    name: 'v4',
    value: '[ACCOUNT/FOLDER]',
    help: 'to V4, without C2C',
    read: (_flag, text: string) => text,
  },
  {
    name: 'segment',
    value: 'TIME',
    help: 'a file each, say 5m',
    isBeside: true,
    read: timeWithin(1_000, 86_400_000),
  },
  {
    name: 'part-size',
    value: 'SIZE',
    help: `smallest part (${exactSize(minPartSize)})`,
    option: 'partSize',
    read: within(readSize, minPartSize, maxPartSize),
  },
  {
    name: 'max-size',
    value: 'SIZE',
    help: `refuse more (${exactSize(maxFilesize)})`,
    isBeside: true,
    option: 'maxSize',
    read: within(readSize, 1, maxFilesize),
  },
  {
    name: 'memory',
    value: 'SIZE',
    help: `held for parts at most (${exactSize(inMiB(MEMORY_LIMIT))})`,
    option: 'memoryLimit',
    read: within(readSize, 1, Number.MAX_SAFE_INTEGER),
  },
  {
    name: 'expect',
    value: 'SIZE',
    help: 'likely size, or 12h@50Mbit/s: a hint, and no limit',
    option: 'expectedSize',
    read: within(readExpect, 1, maxFilesize),
  },
  { name: 'concurrency', value: 'N', help: 'PUTs at once (4)', read: integerWithin(1, 1_000) },
  {
    name: 'integrity',
    value: 'md5',
    help: 'let S3 check every part',
    isBeside: true,
    read: oneOf('md5'),
  },
  {
    name: 'finish-wav',
    help: 'mend the sizes at the head of a WAV once it is recorded',
    option: 'lateHead',
  },
  {
    name: 'give-up-after',
    value: 'TIME',
    help: 'of failing, such as 90s, 10m, 2h, never (10m)',
    option: 'retry.giveUpAfter',
    read: readTime,
  },
  {
    name: 'base-url',
    value: 'URL',
    help: 'of the API (https://api.frame.io)',
    option: 'baseUrl',
    read: asTyped,
  },
  { name: 'legacy-token', help: 'it is one', option: 'legacyToken', isBeside: true },
  {
    name: 'token-file',
    value: 'FILE',
    help: 'read again when a token was refused; else FRAMEIO_TOKEN',
    read: asTyped,
  },
  {
    name: 'sandbox',
    value: '[DIR]',
    help: 'upload to a local Frame.io that keeps its files in DIR',
    read: (_flag, text: string) => text,
  },
  {
    name: 'follow',
    value: 'FILE',
    help: 'upload FILE, or all in a folder, while it is written',
    option: 'source.file',
    isSingle: true,
    read: asTyped,
  },
  {
    name: 'idle',
    value: 'TIME',
    help: 'it is over: unchanged so long (60s)',
    option: 'source.follow.idle',
    read: timeWithin(1_000, 86_400_000),
  },
  {
    name: 'until-pid',
    value: 'PID',
    help: 'PID ended',
    isBeside: true,
    read: integerWithin(1, 2 ** 31 - 1),
  },
  {
    name: 'verify',
    value: 'WHAT',
    help: 'what is read again then: auto (default), all or none',
    option: 'source.follow.verify',
    read: oneOf('auto', 'all', 'none'),
  },
  {
    name: 'match',
    value: 'GLOB',
    help: "of a folder: these ('*.mov')",
    isMany: true,
    read: asTyped,
  },
  { name: 'once', help: 'end when all are done', isBeside: true },
  {
    name: 'spool',
    value: 'DIR',
    help: 'keep every byte in DIR as well, until Frame.io has it',
    option: 'spool.dir',
    read: asTyped,
  },
  {
    name: 'spool-max',
    value: 'SIZE',
    help: 'at most',
    option: 'spool.maxBytes',
    read: readSize,
  },
  {
    name: 'keep-free',
    value: 'SIZE',
    help: 'left free on its disk (1GiB)',
    isBeside: true,
    option: 'spool.keepFree',
    read: readSize,
  },
  { name: 'spool-overflow', help: 'only what memory cannot hold' },
  {
    name: 'keep-spool',
    help: 'takes stay there',
    option: 'spool.keep',
    isBeside: true,
  },
  {
    name: 'resume',
    value: 'DIR',
    help: 'finish what DIR holds of takes cut off',
    read: asTyped,
  },
  { name: 'list', help: 'only show it', isBeside: true },
  { name: 'no-check', help: 'do not check the asset first' },
  { name: 'wait', help: 'wait until it is uploaded', isBeside: true },
  {
    name: 'on-producer-failure',
    value: 'WHAT',
    help: 'finalise what came (default), or abort',
    read: oneOf('finalise', 'abort'),
  },
  {
    name: 'producer-log',
    value: 'FILE',
    help: "add the program's stderr to FILE; --verbose shows it",
    read: asTyped,
  },
  { name: 'json' },
  { name: 'quiet' },
  { name: 'verbose' },
  { name: 'help', short: 'h' },
  { name: 'version' },
] as const satisfies readonly Flag[]

/** The list without what is particular to each entry. */
const ALL: readonly Flag[] = FLAGS

/** What each flag was given, read; true for a switch that is on. */
export type Values = ValuesOf<typeof FLAGS>

/**
 * Reads arguments, without what stands behind `--`.
 *
 * @throws {UsageError}
 */
export const readFlags = (argv: readonly string[]): Values => readWith(FLAGS, argv)

/** Says where to upload to: without it a line makes no sense. */
const TARGET = ['asset', 'parent', 'name', 'extension', 'device', 'v4', 'filetype', 'sandbox']

/** Of a program's arguments the first that may have been meant for us. */
export const strayFlagIn = (argv: readonly string[]): string | undefined =>
  argv.find(arg => TARGET.some(name => arg === `--${name}` || arg.startsWith(`--${name}=`)))

/** How an option of the library is given to the command, such as `--part-size`, if it can be. */
export const flagOf = (option: string): string | undefined => {
  const flag = ALL.find(({ name, option: known }) => known === option || name === option)
  return flag && `--${flag.name}`
}
