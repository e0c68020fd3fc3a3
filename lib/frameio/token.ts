/**
 * Where the bearer token comes from, and the one refresh that all who share it wait for.
 */
import { refusal } from '../checks.ts'

/**
 * A bearer token, or a function that fetches one. The function is called before the first call to
 * Frame.io and again after Frame.io refused what it gave (401), once for all uploads of a client.
 * When it throws or rejects it is called again like a network fault.
 */
export type Token = string | (() => string | Promise<string>)

/**
 * A token function that keeps its token, and may be shared by clients and uploads: it is told which
 * token was refused, and says when the one in force should be replaced.
 */
export interface RefreshingToken {
  /**
   * The token in force.
   *
   * @param refused a token that Frame.io refused (401): where it is the one in force, another is to
   *   be had; where that has been replaced since, it is not
   */
  (refused?: string): Promise<string>
  /** When to ask again, ahead of expiry, on the clock of `performance.now()`. */
  readonly renewAt: number
}

/** Only such a function is told which token was refused: others may have arguments of their own. */
const isRefreshing = (token: Token): token is RefreshingToken =>
  typeof token === 'function' && 'renewAt' in token

/** Pause before a function is asked again ahead of expiry, in ms: the token that is there still serves. */
const PAUSE = 5_000

/** A bearer token fit for a header. What was received is never shown. */
const checkToken = (value: unknown): string => {
  if (typeof value === 'string' && /^[\x21-\x7e]+$/.test(value)) return value
  const received = typeof value === 'string' ? 'another string (hidden)' : typeof value
  const rule = 'a non-empty string of visible ASCII characters, or a function that returns one'
  throw refusal('token', received, rule)
}

export const checkTokenOption = (value: unknown): Token =>
  typeof value === 'function' ? (value as Token) : checkToken(value)

export class TokenSource {
  readonly #token: Token
  /** The token in force. */
  #value: string | undefined
  /** The `renewAt` that came with it. */
  #renewAt = Number.POSITIVE_INFINITY
  /** The token that was refused last. */
  #refused: string | undefined
  /** Until when the function is not asked ahead of expiry. */
  #pausedUntil = 0
  /** The question to the function that is open. */
  #pending: Promise<string> | undefined
  /** Questions so far, and the last that was answered: an answer to an older one is stale. */
  #asked = 0
  #answered = 0

  constructor(token: Token) {
    this.#token = token
  }

  /** Can another token be had when this one is refused? */
  get renewable(): boolean {
    return typeof this.#token === 'function'
  }

  /**
   * The token in force; asks the function only where there is none. What the function throws comes
   * through as it is. Ahead of expiry the function is asked as well, with a pause between one time and
   * the next, and the old token serves until it has answered.
   *
   * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` where it returns something that is no token
   */
  get(): Promise<string> {
    const now = performance.now()
    const renewAt = isRefreshing(this.#token) ? this.#token.renewAt : Number.POSITIVE_INFINITY
    // Replaced for another client or upload: Frame.io ends the old token with the refresh.
    if (renewAt > this.#renewAt) this.#value = undefined
    if (this.#value === undefined) return this.#pending ?? this.#ask()
    if (now >= renewAt && now >= this.#pausedUntil && !this.#pending) {
      this.#pausedUntil = now + PAUSE
      this.#ask().catch(() => {})
    }
    return Promise.resolve(this.#value)
  }

  /** Frame.io refused this token: the next `get` asks for another, unless somebody has already. */
  refuse(token: string): void {
    if (token !== this.#value) return
    this.#refused = token
    this.#value = undefined
  }

  /** This question has not been answered in time: the next `get` asks again. */
  giveUpWaiting(asked: Promise<string>): void {
    if (this.#pending === asked) this.#pending = undefined
  }

  #ask(): Promise<string> {
    const question = ++this.#asked
    const asked = (async () => checkToken(await this.#call()))()
    this.#pending = asked
    const settled = () => this.giveUpWaiting(asked)
    asked.then(value => {
      settled()
      if (question < this.#answered) return
      this.#answered = question
      this.#value = value
      if (!isRefreshing(this.#token)) return
      this.#renewAt = this.#token.renewAt
      if (this.#renewAt > performance.now()) this.#pausedUntil = 0
    }, settled)
    return asked
  }

  #call(): string | Promise<string> {
    const token = this.#token
    if (typeof token === 'string') return token
    return isRefreshing(token) ? token(this.#refused) : token()
  }
}
