/**
 * The flags of the command, in the order of the help. Parsing, the help and the messages of the library
 * in the command's words are all made from this one list.
 */
import { parseArgs } from 'node:util'
import { readExpect, readSize, readTime } from './units.ts'
import { UsageError } from './usage.ts'

interface Flag {
  readonly name: string
  readonly short?: string
  /** What the help calls its value, in brackets if it may be left out. Without one it is a switch. */
  readonly value?: string
  /** Its line in the help. Those without share the last line. */
  readonly help?: string
  /** What the library calls it, if not by the same name: `option` of its errors. */
  readonly option?: string
  /** Its value, of what was typed. */
  readonly read?: (flag: string, text: string) => unknown
}

const asTyped = (_flag: string, text: string): string => text

/** The library has the rule for it. */
const aNumber = (_flag: string, text: string): number => Number(text)

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
  { name: 'extension', value: '.EXT', help: 'create it unnamed', read: asTyped },
  {
    name: 'device',
    value: 'VERSION',
    help: 'Camera to Cloud, with this version of your client',
    option: 'device.clientVersion',
    read: asTyped,
  },
  {
    name: 'filetype',
    value: 'TYPE',
    help: 'media type; default from the name or the extension',
    read: asTyped,
  },
  {
    name: 'part-size',
    value: 'SIZE',
    help: 'smallest part, from 5MiB (5MiB)',
    option: 'partSize',
    read: readSize,
  },
  {
    name: 'memory',
    value: 'SIZE',
    help: 'held for parts at most (256MiB)',
    option: 'memoryLimit',
    read: readSize,
  },
  {
    name: 'max-size',
    value: 'SIZE',
    help: 'refuse more (5TiB)',
    option: 'maxSize',
    read: readSize,
  },
  {
    name: 'expect',
    value: 'SIZE',
    help: 'likely size, or 12h@50Mbit/s: a hint, and no limit',
    option: 'expectedSize',
    read: readExpect,
  },
  { name: 'concurrency', value: 'N', help: 'PUTs at once (4)', read: aNumber },
  { name: 'integrity', value: 'md5', help: 'let S3 check every part', read: oneOf('md5') },
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
    read: asTyped,
  },
  { name: 'no-check', help: 'do not ask for the asset before the take' },
  { name: 'wait', help: 'until Frame.io says that the asset is uploaded' },
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
export type Values = {
  readonly [F in (typeof FLAGS)[number] as F['name']]?: F extends {
    read: (...args: never[]) => infer T
  }
    ? T
    : true
}

/**
 * Reads arguments, without what stands behind `--`.
 *
 * @throws {UsageError}
 */
export const readFlags = (argv: readonly string[]): Values => {
  const given = parse(argv)
  // Who asks for help need not have got all else right.
  const isQuestion = given.help || given.version
  const values = ALL.filter(({ read }) => !(isQuestion && read)).map(({ name, read }) => {
    const value = given[name]
    return [name, typeof value === 'string' ? read?.(`--${name}`, value) : value]
  })
  return Object.fromEntries(values.filter(([, value]) => value !== undefined))
}

const parse = (argv: readonly string[]): Record<string, string | boolean | undefined> => {
  const options = Object.fromEntries(
    ALL.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) } as const,
    ]),
  )
  // parseArgs knows no value that may be left out.
  const mayBeBare = ALL.filter(({ value }) => value?.startsWith('[')).map(({ name }) => `--${name}`)
  const args = argv.map((arg, at) => {
    const next = argv[at + 1]
    const isBare = mayBeBare.includes(arg) && (next === undefined || next.startsWith('-'))
    return isBare ? `${arg}=` : arg
  })
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

/** How an option of the library is given to the command, such as `--part-size`, if it can be. */
export const flagOf = (option: string): string | undefined => {
  const flag = ALL.find(({ name, option: known }) => known === option || name === option)
  return flag && `--${flag.name}`
}

/** Of the column of flags, which a long one may pass. */
const WIDTH = 21

/** The flags for the help: a line each, and a last one for those that need no words. */
export const listing = (): string => {
  const lines = ALL.filter(({ help }) => help !== undefined).map(({ name, value, help }) => {
    const flag = value === undefined ? `--${name}` : `--${name} ${value}`
    return `  ${flag.padEnd(WIDTH)}  ${help}`
  })
  const rest = ALL.filter(({ help }) => help === undefined).map(({ name }) => `--${name}`)
  return [...lines, `  ${rest.join(', ')}`].join('\n')
}
