/**
 * Where the bearer token comes from, and the one refresh that all who share it wait for.
 */
import { checkToken } from './checks.ts'
import type { Token } from './options.ts'
import type { RefreshingToken } from './refreshing-token.ts'

export class TokenSource {
  readonly #token: Token
  #current: Promise<string> | undefined
  #value: string | undefined

  constructor(token: Token) {
    this.#token = token
  }

  get #renewAt(): number {
    const { renewAt } = this.#token as Partial<RefreshingToken>
    return renewAt ?? Number.POSITIVE_INFINITY
  }

  /** Can another token be had when this one is refused? */
  get renewable(): boolean {
    return typeof this.#token === 'function'
  }

  /**
   * The token in force; asks the function only where there is none. What the function throws comes
   * through as it is.
   *
   * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where it returns something that is no token
   */
  get(): Promise<string> {
    // Ahead of expiry: only a token that is in force, not a question that is still open.
    if (this.#value !== undefined && performance.now() >= this.#renewAt) this.refuse(this.#value)
    this.#current ??= this.#ask()
    return this.#current
  }

  /** Frame.io refused this token: the next `get` asks for another, unless somebody has already. */
  refuse(token: string): void {
    if (token === this.#value) this.#current = this.#value = undefined
  }

  /** The function has not answered in time: the next `get` calls it again. */
  giveUpWaiting(): void {
    if (this.#value === undefined) this.#current = undefined
  }

  #ask(): Promise<string> {
    const token = this.#token
    const asked = (async () => checkToken(typeof token === 'function' ? await token() : token))()
    asked.then(
      value => {
        if (this.#current === asked) this.#value = value
      },
      () => {
        if (this.#current === asked) this.#current = undefined
      },
    )
    return asked
  }
}
