/**
 * The sandbox's options: partial in, complete out, once.
 */
import { type Limits, limitsOf } from '../frameio/protocol.ts'
import { check, checkKeys, oneOf, rules, within } from './check.ts'
import type { Fault, SandboxOptions } from './types.ts'

/** All that was left open, settled. */
export interface Settings {
  readonly dir: string | undefined
  readonly storage: 'disk' | 'discard'
  readonly latency: { readonly api: number; readonly storage: number }
  readonly rateLimit: { readonly limit: number; readonly window: number }
  readonly urlLifetime: number
  readonly tokenLifetime: number
  readonly serverTokenLifetime: number
  readonly bodyTimeout: number
  readonly pairing: { readonly expiresIn: number; readonly interval: number }
  readonly presence: { readonly heartbeatEvery: number; readonly offlineAfter: number }
  readonly v4: {
    readonly sliceSize: number
    /** Undefined: Frame.io's own. */
    readonly rateLimit: { readonly limit: number; readonly window: number } | undefined
  }
  readonly faults: readonly Fault[]
  readonly limits: Limits
}

/** @throws {TypeError} naming the option, its rule and the value received. */
export const resolveOptions = (options: SandboxOptions): Settings => {
  check('options', options, rules.object)
  checkKeys('options', options, known)
  const { dir, storage = 'disk', urlLifetime = 86_400, bodyTimeout = 20_000, faults = [] } = options
  const { tokenLifetime = 28_800, latency = 0, rateLimit = { limit: 1000, window: 1000 } } = options

  check('options.dir', dir, rules.text)
  check('options.storage', storage, oneOf('disk', 'discard'))
  if (dir !== undefined && storage === 'discard') {
    throw new TypeError(`options.dir must be left out with storage 'discard'; received '${dir}'`)
  }
  check('options.urlLifetime', urlLifetime, [
    'an integer from 1 to 604,800 (seconds)',
    value => Number.isInteger(value) && within(value, 1, 604_800),
  ])
  check('options.tokenLifetime', tokenLifetime, [
    'a number of seconds over 0',
    value => typeof value === 'number' && value > 0,
  ])
  check('options.bodyTimeout', bodyTimeout, rules.duration)
  check('options.faults', faults, ['a list', Array.isArray])
  checkRateLimit('options.rateLimit', rateLimit)

  return {
    dir,
    storage,
    latency: resolveLatency(latency),
    rateLimit,
    urlLifetime,
    tokenLifetime,
    serverTokenLifetime: options.tokenLifetime ?? 86_400,
    bodyTimeout,
    pairing: resolveSeconds('pairing', options.pairing, { expiresIn: 120, interval: 5 }),
    presence: resolveSeconds('presence', options.presence, {
      heartbeatEvery: 60,
      offlineAfter: 300,
    }),
    v4: resolveV4(options.v4),
    faults,
    limits: limitsOf(options),
  }
}

const known = [
  'dir',
  'storage',
  'latency',
  'rateLimit',
  'urlLifetime',
  'tokenLifetime',
  'bodyTimeout',
  'pairing',
  'presence',
  'v4',
  'faults',
] as const satisfies (keyof SandboxOptions)[]

const checkRateLimit = (name: string, value: NonNullable<SandboxOptions['rateLimit']>) => {
  check(name, value, rules.object)
  checkKeys(name, value, ['limit', 'window'])
  check(`${name}.limit`, value.limit ?? null, rules.count)
  check(`${name}.window`, value.window ?? null, [
    'a number of ms over 0',
    value => typeof value === 'number' && value > 0,
  ])
}

const resolveV4 = (given: SandboxOptions['v4']): Settings['v4'] => {
  check('options.v4', given, rules.object)
  checkKeys('options.v4', given ?? {}, ['sliceSize', 'rateLimit'])
  const { sliceSize = 2_000_000_000, rateLimit } = given ?? {}
  check('options.v4.sliceSize', sliceSize, rules.count)
  if (rateLimit !== undefined) checkRateLimit('options.v4.rateLimit', rateLimit)
  return { sliceSize, rateLimit }
}

const resolveSeconds = <T extends Record<string, number>>(
  name: string,
  given: Partial<T> | undefined,
  defaults: T,
): T => {
  check(`options.${name}`, given, rules.object)
  checkKeys(`options.${name}`, given ?? {}, Object.keys(defaults))
  for (const [key, value] of Object.entries(given ?? {})) {
    check(`options.${name}.${key}`, value, [
      'a number of seconds over 0',
      value => typeof value === 'number' && value > 0,
    ])
  }
  return { ...defaults, ...given }
}

const resolveLatency = (latency: NonNullable<SandboxOptions['latency']>) => {
  if (typeof latency === 'number') {
    check('options.latency', latency, rules.duration)
    return { api: latency, storage: latency }
  }
  check('options.latency', latency, ['a number of ms, or { api, storage }', rules.object[1]])
  checkKeys('options.latency', latency, ['api', 'storage'])
  const { api = 0, storage = 0 } = latency
  check('options.latency.api', api, rules.duration)
  check('options.latency.storage', storage, rules.duration)
  return { api, storage }
}
