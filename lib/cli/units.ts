/**
 * Numbers with units, as people type them.
 */
import { UsageError } from './usage.ts'

type Units = Readonly<Record<string, number>>

/** A letter alone counts by 1,024, as it does in `dd`, `head`, `split` and most of their kind. */
const SIZES: Units = {
  '': 1,
  b: 1,
  k: 2 ** 10,
  m: 2 ** 20,
  g: 2 ** 30,
  t: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

const TIMES: Units = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** Bytes a second. A bit is always spelt out: `Mb/s` is either to some. */
const RATES: Units = {
  'bit/s': 1 / 8,
  'kbit/s': 1e3 / 8,
  'Mbit/s': 1e6 / 8,
  'Gbit/s': 1e9 / 8,
  'B/s': 1,
  'kB/s': 1e3,
  'MB/s': 1e6,
  'GB/s': 1e9,
  'KiB/s': 2 ** 10,
  'MiB/s': 2 ** 20,
  'GiB/s': 2 ** 30,
}

/** Bytes, of text such as `16M`, `500MB` or `1GiB`. */
export const readSize = (flag: string, text: string): number => {
  const size = amountOf(text, unitOf(SIZES))
  return Math.round(take(flag, text, size, 'a size such as 16MiB, 500MB or 1GiB'))
}

/** A reader of bytes that must be so many at least and at most. */
export const within =
  (read: (flag: string, text: string) => number, low: number, high: number) =>
  (flag: string, text: string): number => {
    const bytes = read(flag, text)
    if (bytes >= low && bytes <= high) return bytes
    const bound =
      bytes < low
        ? `at least ${boundIn(text, low, 'up')}`
        : `at most ${boundIn(text, high, 'down')}`
    throw new UsageError(`${flag} must be ${bound}; received ${asReceived(text, bytes)}`)
  }

/** Milliseconds, of text such as `90s`, `10m` or `2h`; Infinity of `never`. */
export const readTime = (flag: string, text: string): number => {
  const time = text === 'never' ? Number.POSITIVE_INFINITY : amountOf(text, unitOf(TIMES))
  return take(flag, text, time, 'a time such as 90s, 10m, 2h or never')
}

/** A reader of milliseconds that must be so many at least and at most. */
export const timeWithin =
  (low: number, high: number) =>
  (flag: string, text: string): number => {
    const time = amountOf(text, unitOf(TIMES))
    const isWithin = time !== undefined && time >= low && time <= high
    const rule = `a time from ${exactTime(low)} to ${exactTime(high)}, such as 90s or 2m`
    return take(flag, text, isWithin ? time : undefined, rule)
  }

/** A reader of a whole number that must be so much at least and at most. */
export const integerWithin =
  (low: number, high: number) =>
  (flag: string, text: string): number => {
    const value = /^\d+$/.test(text) ? Number(text) : undefined
    const isWithin = value !== undefined && value >= low && value <= high
    return take(flag, text, isWithin ? value : undefined, `an integer from ${low} to ${high}`)
  }

/** Bytes, of a size or of a time at a rate: `250GiB`, `12h@50Mbit/s`. */
export const readExpect = (flag: string, text: string): number => {
  const [first = '', rate] = text.split(/@(.*)/s)
  const size =
    rate === undefined
      ? amountOf(text, unitOf(SIZES))
      : times(
          amountOf(first, unitOf(TIMES)),
          amountOf(rate, unit => own(RATES, unit)),
        )
  const rule = 'a size such as 250GiB, or a time at a rate such as 12h@50Mbit/s or 90m@6MB/s'
  return Math.round(take(flag, text, size, rule))
}

const times = (ms: number | undefined, rate: number | undefined): number | undefined =>
  ms === undefined || rate === undefined ? undefined : (ms / 1_000) * rate

/** The factor of a unit, in whatever case it is written. */
const unitOf = (units: Units) => (unit: string) => own(units, unit.toLowerCase())

/** Not what every object has: `constructor` is no unit. */
const own = (units: Units, unit: string) => (Object.hasOwn(units, unit) ? units[unit] : undefined)

/** A number with its unit, which may stand apart by a space; undefined of what is none. */
const amountOf = (text: string, factorOf: (unit: string) => number | undefined) => {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?) ?([a-z/]*)$/i.exec(text.trim()) ?? []
  const factor = factorOf(unit)
  return number === undefined || factor === undefined ? undefined : Number(number) * factor
}

/** @throws {UsageError} */
const take = (flag: string, text: string, value: number | undefined, rule: string): number => {
  if (value !== undefined) return value
  throw new UsageError(`${flag} must be ${rule}; received '${text}'`)
}

/** A bound as it is, and by 1,000 where that was typed: rounded so that it can be typed as well. */
const boundIn = (text: string, bytes: number, direction: 'up' | 'down'): string => {
  const exact = exactSize(bytes)
  const unit = (['TB', 'GB', 'MB', 'kB'] as const).find(name => bytes >= sizeOf(name))
  if (unit === undefined || !/[kmgt]b$/i.test(text.trim())) return exact
  const round = direction === 'up' ? Math.ceil : Math.floor
  return `${exact} (${round((bytes / sizeOf(unit)) * 100) / 100}${unit})`
}

const sizeOf = (unit: string) => SIZES[unit.toLowerCase()] as number

/** A sentence of the library's, with its counts of bytes as people read them. */
export const withSizes = (text: string): string =>
  text.replace(/\((\d{4,})\) bytes|(\d{4,})(?: bytes)?/g, (_, inBrackets, plain) =>
    inBrackets === undefined ? exactSize(Number(plain)) : `(${exactSize(Number(inBrackets))})`,
  )

/** As it was typed, and in bytes where that was not typed. */
const asReceived = (text: string, bytes: number): string =>
  /^\d*$/.test(text) ? text : `${text} (${countOf(bytes)})`

/** Bytes in the largest unit that gives a whole number, as they may be typed: `5MiB`. */
export const exactSize = (bytes: number): string => {
  const unit = (['TiB', 'GiB', 'MiB', 'KiB'] as const).find(
    name => bytes > 0 && bytes % sizeOf(name) === 0,
  )
  return unit === undefined ? countOf(bytes) : `${bytes / sizeOf(unit)}${unit}`
}

/** Milliseconds in the largest unit that gives a whole number, as they may be typed: `90s`. */
const exactTime = (ms: number): string => {
  const unit = (['d', 'h', 'm', 's'] as const).find(name => ms % timeOf(name) === 0) ?? 'ms'
  return `${ms / timeOf(unit)}${unit}`
}

const timeOf = (unit: string) => TIMES[unit] as number

const countOf = (bytes: number) => `${bytes.toLocaleString('en')} ${bytes === 1 ? 'byte' : 'bytes'}`

/** Bytes for people: `12.3 MiB`. */
export const showSize = (bytes: number): string => {
  const [unit, size] =
    (
      [
        ['TiB', 2 ** 40],
        ['GiB', 2 ** 30],
        ['MiB', 2 ** 20],
      ] as const
    ).find(([, least]) => bytes >= least) ?? (['KiB', 2 ** 10] as const)
  return `${(bytes / size).toFixed(1)} ${unit}`
}

/** Seconds for people: `42 s`, `7 min`, `3.5 h`. */
export const showTime = (seconds: number): string => {
  if (seconds < 120) return `${seconds.toFixed(0)} s`
  if (seconds < 7_200) return `${(seconds / 60).toFixed(0)} min`
  return `${(seconds / 3_600).toFixed(1)} h`
}
