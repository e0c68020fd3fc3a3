/**
 * Arguments as options and their values. What makes no sense is refused in words that say what to
 * type: those of Node's own parser speak to whoever wrote the command, not to whoever types it.
 */
import { parseArgs } from 'node:util'
import mime from 'mime'
import { alike } from './suggest.ts'
import { UsageError } from './usage.ts'

/** What is to be known of an option in order to find it. */
export interface Known {
  readonly name: string
  readonly short?: string
  /** What its value is called, in brackets if it may be left out; absent for a switch. */
  readonly value?: string
  /** May be given several times: all of them count. */
  readonly isMany?: true
  /** Must not be given several times. Of all others the last counts. */
  readonly isSingle?: true
}

/** What is said beside that something has no place. */
export interface Hints {
  readonly unknown: string
  readonly misplaced: (word: string) => string
}

/**
 * The value of each option that was given, or true for a switch. The last one counts, or all do.
 *
 * @throws {UsageError}
 */
export const parse = (
  argv: readonly string[],
  known: readonly Known[],
  hints: Hints = OF_A_TAKE,
): ReadonlyMap<string, string | true | readonly string[]> => {
  const options = Object.fromEntries(
    known.map(({ name, short, value }) => [
      name,
      { type: value === undefined ? 'boolean' : 'string', ...(short && { short }) } as const,
    ]),
  )
  const args = withBare(argv, known)
  const { tokens } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const given = new Map<string, string | true | readonly string[]>()
  for (const token of tokens) {
    const arg = argv[token.index] ?? ''
    if (token.kind === 'positional') throw misplaced(token.value, hints)
    if (token.kind === 'option-terminator') continue
    const option = known.find(({ name }) => name === token.name)
    // A word with one dash is a row of letters to the parser.
    if (!option || (/^-[^-]/.test(arg) && arg.length > 2)) throw unknown(arg, known, hints)
    const value = readValue(option, token)
    if (option.isSingle && given.has(option.name)) {
      throw new UsageError(
        `--${option.name} can be given once; received ${given.get(option.name)} and ${value}`,
      )
    }
    const before = given.get(option.name) ?? []
    given.set(option.name, option.isMany ? [before, value].flat().map(String) : value)
  }
  return given
}

/** The parser knows no value that may be left out. */
const withBare = (argv: readonly string[], known: readonly Known[]): string[] => {
  const mayBeBare = known
    .filter(({ value }) => value?.startsWith('['))
    .map(({ name }) => `--${name}`)
  return argv.map((arg, at) => {
    const next = argv[at + 1]
    const isBare = mayBeBare.includes(arg) && (next === undefined || next.startsWith('-'))
    return isBare ? `${arg}=` : arg
  })
}

interface Given {
  readonly rawName: string
  readonly value?: string | undefined
  readonly inlineValue?: boolean | undefined
}

const readValue = (
  { name, value: wanted }: Known,
  { value, inlineValue }: Given,
): string | true => {
  if (wanted === undefined) {
    if (value === undefined) return true
    throw new UsageError(`--${name} takes no value; received '${value}'`)
  }
  if (value === undefined) throw new UsageError(`--${name} needs a value: --${name} ${wanted}`)
  if (!inlineValue && /^-./.test(value)) {
    const meant = `if ${value} is meant: --${name}=${value}`
    throw new UsageError(`--${name} needs a value, and ${value} looks like an option; ${meant}`)
  }
  return value
}

const EITHER = new Intl.ListFormat('en', { type: 'disjunction' })

const unknown = (arg: string, known: readonly Known[], hints: Hints): UsageError => {
  const [typed = ''] = arg.split('=')
  const names = known.map(({ name }) => name)
  const found = alike(typed.replace(/^-+/, ''), names).map(name => `--${name}`)
  const hint = found.length > 0 ? `: did you mean ${EITHER.format(found)}?` : hints.unknown
  return new UsageError(`Unknown option '${typed}'${hint}`)
}

const misplaced = (word: string, hints: Hints): UsageError => {
  const hint = word === '' ? ': is a variable not set?' : hints.misplaced(word)
  return new UsageError(`Unexpected argument '${word}'${hint}`)
}

/** Of a take it may be a file, a program, or what a shell made of a line. */
const OF_A_TAKE: Hints = {
  unknown: '; what is for the program to run stands behind -- and its name',
  misplaced(word) {
    if (word === '-') return ': leave it out, what comes through stdin is read anyway'
    if (/^(?:pair|unpair|devices)$/.test(word)) return `: ${word} must come first`
    if (/^(?:video|audio|image)\//.test(mime.getType(word) ?? '')) {
      return `: to upload that file give it as the input: < ${word}`
    }
    return `: a program to run stands behind --: -- ${word}; a file is given as the input: < ${word}`
  },
}
