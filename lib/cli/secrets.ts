/**
 * Tokens that were seen, so that none is ever shown.
 */
import { redact } from '../errors.ts'

/** Characters. What is shorter is no token, and would be found in every word. */
const SHORTEST = 8

export class Secrets {
  readonly #known = new Set<string>()

  keep(token: string): void {
    if (token.length >= SHORTEST) this.#known.add(token)
  }

  /** The text without any of them, and without what else must not be shown. */
  hide(text: string): string {
    return redact(text, ...this.#known)
  }

  /** The value as JSON. Cleaned before quoting: a replacement inside quoted JSON could break it. */
  json(value: object): string {
    return JSON.stringify(value, (_key, inner) =>
      typeof inner === 'string' ? this.hide(inner) : inner,
    )
  }
}
