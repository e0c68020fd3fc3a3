/**
 * Checks of what users write, with messages that name the option, its rule and what was received.
 */
import { inspect } from 'node:util'

type Rule = readonly [text: string, holds: (value: unknown) => boolean]

export const rules = {
  text: ['a string that is not empty', value => typeof value === 'string' && value !== ''],
  flag: ['true or false', value => typeof value === 'boolean'],
  // setTimeout takes no more; it would fire at once instead
  duration: ['a number of ms from 0 to 2,147,483,647', value => within(value, 0, 2 ** 31 - 1)],
  count: ['an integer of at least 1', value => Number.isInteger(value) && Number(value) >= 1],
  object: [
    'an object',
    value => typeof value === 'object' && value !== null && !Array.isArray(value),
  ],
} satisfies Record<string, Rule>

export const within = (value: unknown, least: number, most: number) =>
  typeof value === 'number' && value >= least && value <= most

export const oneOf = (...values: readonly unknown[]): Rule => [
  values.map(value => inspect(value)).join(' or '),
  value => values.includes(value),
]

/** @throws {TypeError} unless the value, if there is one, keeps the rule. */
export const check = (name: string, value: unknown, [text, holds]: Rule) => {
  if (value !== undefined && !holds(value)) {
    throw new TypeError(`${name} must be ${text}; received ${inspect(value, { depth: 0 })}`)
  }
}

/** @throws {TypeError} if there is a key that means nothing: most often a typing error. */
export const checkKeys = (name: string, value: object, known: readonly string[]) => {
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`${name} has no field ${inspect(key)}; it has ${known.join(', ')}`)
    }
  }
}
