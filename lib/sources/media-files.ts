/**
 * Which files of a folder are meant, and what they are, by their names alone.
 */
import { extname } from 'node:path'
import mime from 'mime'

/** What a name that tells no media type stands for. */
const BYTES = 'application/octet-stream'

/**
 * Is a file of this name meant? Hidden ones never are. Without a pattern it is whatever has a name that
 * tells a media type: so a suffix such as `.part`, `.tmp`, `.crdownload` or `.!ut`, by which programs
 * mark what is not done, keeps a file out until it is renamed.
 *
 * @param patterns `*` stands for any characters, `?` for one; large and small letters are the same
 */
export const matcher = (patterns: readonly string[]): ((name: string) => boolean) => {
  const rules = patterns.map(ruleOf)
  return name => {
    if (name.startsWith('.')) return false
    if (rules.length === 0) return hasMediaType(name)
    return rules.some(rule => rule.test(name.normalize()))
  }
}

const ruleOf = (pattern: string): RegExp => {
  const text = pattern
    .normalize()
    .replace(/[\\^$.+()[\]{}|/]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${text}$`, 'isu')
}

export const hasMediaType = (name: string): boolean => typeOf(name) !== null

export const mediaTypeOf = (name: string): string => typeOf(name) ?? BYTES

/** A name without a dot would pass for an extension. */
const typeOf = (name: string): string | null => (extname(name) === '' ? null : mime.getType(name))
