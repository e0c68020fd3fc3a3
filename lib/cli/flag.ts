/**
 * A flag, and how what was typed becomes its value. Which there are stands in flags.ts, and for the
 * commands of a device in device/arguments.ts.
 */
import { type Hints, parse } from './parse.ts'
import { UsageError } from './usage.ts'

export interface Flag {
  readonly name: string
  readonly short?: string
  /** What the help calls its value, in brackets if it may be left out. Without one it is a switch. */
  readonly value?: string
  /** Its line in the help. Those without share the last line. */
  readonly help?: string
  /** Its help stands in the line of the one before. */
  readonly isBeside?: true
  /** May be given several times. */
  readonly isMany?: true
  /** Another would be forgotten, and what is forgotten is not uploaded. */
  readonly isSingle?: true
  /** What the library calls it, if not by the same name: `option` of its errors. */
  readonly option?: string
  /** Its value, of what was typed. */
  readonly read?: (flag: string, text: string) => unknown
}

/** What each flag was given, read; true for a switch that is on. */
export type ValuesOf<F extends readonly Flag[]> = {
  readonly [One in F[number] as One['name']]?: One extends {
    read: (...args: never[]) => infer T
  }
    ? One extends { isMany: true }
      ? readonly T[]
      : T
    : true
}

/** @throws {UsageError} */
export const readWith = <F extends readonly Flag[]>(
  flags: F,
  argv: readonly string[],
  hints?: Hints,
): ValuesOf<F> => {
  const given = parse(argv, flags, hints)
  // Who asks for help need not have got all else right.
  const isQuestion = given.has('help') || given.has('version')
  const values = flags
    .filter(({ name, read }) => given.has(name) && !(isQuestion && read))
    .map(({ name, read }) => {
      const value = given.get(name)
      const readOne = (text: string) => read?.(`--${name}`, text)
      if (value === undefined || value === true) return [name, value]
      return [name, typeof value === 'string' ? readOne(value) : value.map(readOne)]
    })
  return Object.fromEntries(values) as ValuesOf<F>
}

/** Often a variable that is not set. The library has the rules for the rest. */
export const asTyped = (flag: string, text: string): string => {
  if (text !== '') return text
  throw new UsageError(`${flag} must not be empty: is a variable not set?`)
}

/** Of the column of flags, which a long one may pass. */
const WIDTH = 21

/** A line each, unless one stands beside another, and a last one for those that need no words. */
export const listingOf = (flags: readonly Flag[]): string => {
  const lines: Flag[][] = []
  for (const flag of flags.filter(({ help }) => help !== undefined)) {
    if (flag.isBeside) lines.at(-1)?.push(flag)
    else lines.push([flag])
  }
  const rest = flags.filter(({ help }) => help === undefined).map(({ name }) => `--${name}`)
  return [...lines.map(lineOf), `  ${rest.join(', ')}`].join('\n')
}

const lineOf = (flags: readonly Flag[]): string => {
  const names = flags.map(({ name, value }) => (value ? `--${name} ${value}` : `--${name}`))
  return `  ${names.join(', ').padEnd(WIDTH)}  ${flags.map(({ help }) => help).join('; ')}`
}
