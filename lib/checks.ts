/**
 * Rules for options and arguments, of whatever kind: what is a rule of Frame.io's stands with whom it
 * concerns. Each refusal names the option, its rule, and the value received. One order everywhere:
 * option, value, rule.
 */
import { inspect } from 'node:util'
import { cut, RealtimeUploadError, redact } from './errors.ts'

/** What a value must be, in words and as a question. */
export interface Rule<T> {
  /** Goes on after "must be". */
  readonly text: string
  readonly holds: (value: unknown) => value is T
}

export const rule = <T>(text: string, holds: (value: unknown) => boolean): Rule<T> => ({
  text,
  holds: (value): value is T => holds(value),
})

/** Fails with the option, its rule, and the value received: cut short, and of an object its kind. */
export const invalid = (option: string, value: unknown, text: string): RealtimeUploadError =>
  refusal(option, kindOf(value) ?? cut(redact(inspect(value)), 120), text)

/** As `invalid`, for values that may be secret: `received` says of them what may be said. */
export const refusal = (option: string, received: string, text: string): RealtimeUploadError =>
  new RealtimeUploadError('ERR_INVALID_OPTION', `${option} must be ${text}; received ${received}`, {
    option,
  })

/** What an object is, but never what it holds: that may be a token. */
const kindOf = (value: unknown) => {
  if (typeof value !== 'object' || value === null) return undefined
  const name: unknown = value.constructor?.name
  return `an object (${typeof name === 'string' ? name : 'without a prototype'})`
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION` */
export const take = <T>(option: string, value: unknown, { text, holds }: Rule<T>): T => {
  if (!holds(value)) throw invalid(option, value, text)
  return value
}

/** As `take`; undefined passes. */
export const takeIfGiven = <T>(option: string, value: unknown, rule: Rule<T>): T | undefined =>
  value === undefined ? undefined : take(option, value, rule)

export const object = (option: string, value: unknown, text = 'an object'): object => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  // Not the value: whoever mixes up arguments may have passed a token.
  const kind = Array.isArray(value) ? 'a list' : typeof value === 'string' && 'a string'
  throw refusal(option, kind || inspect(value), text)
}

/** An integer of so many at least and at most. */
export const integer = (low: number, high: number, unit?: string): Rule<number> =>
  rule(
    `an integer from ${low} to ${high}${unit === undefined ? '' : ` (${unit})`}`,
    v => Number.isInteger(v) && within(v, low, high),
  )

/** A number of so many at least and at most, which `text` says in words. */
export const number = (text: string, low: number, high: number): Rule<number> =>
  rule(text, v => within(v, low, high))

const within = (value: unknown, low: number, high: number) =>
  typeof value === 'number' && value >= low && value <= high

/** More than 0, or Infinity. */
export const positive = (unit: string): Rule<number> =>
  rule(`a positive number of ${unit}`, v => typeof v === 'number' && v > 0)

export const oneOf = <T extends string>(...values: readonly T[]): Rule<T> =>
  rule(values.map(value => `'${value}'`).join(' or '), v => values.includes(v as T))

export const flag: Rule<boolean> = rule('true or false', v => typeof v === 'boolean')

export const aFunction: Rule<(...args: never[]) => unknown> = rule(
  'a function',
  v => typeof v === 'function',
)

export const abortSignal: Rule<AbortSignal> = rule('an AbortSignal', v => v instanceof AbortSignal)

/** Not empty, of this pattern, and without control characters: they would change a request. */
export const text = (words: string, pattern: RegExp): Rule<string> =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  rule(words, v => typeof v === 'string' && !/[\x00-\x1f\x7f]/.test(v) && pattern.test(v))

/** A string that is not empty, and is never shown. */
export const secret = (option: string, value: unknown): string => {
  if (typeof value === 'string' && value !== '') return value
  const received = value === '' ? 'an empty one' : typeof value
  throw refusal(option, received, 'a non-empty string')
}

/** A misspelt option must not pass for one that was left out. */
export const refuseUnknown = (prefix: string, options: object, known: readonly string[]) => {
  const stranger = Object.keys(options).find(key => !known.includes(key))
  if (stranger === undefined) return
  const alike = known.find(key => key.toLowerCase() === stranger.toLowerCase())
  const option = prefix + stranger
  const others = alike ? `did you mean ${prefix}${alike}?` : `there are ${known.join(', ')}`
  const message = `${option} is not an option; ${others}`
  throw new RealtimeUploadError('ERR_INVALID_OPTION', message, { option })
}

/** The options that were given: one that is undefined counts as left out. */
export const definedOf = <T extends object>(options: T) =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
