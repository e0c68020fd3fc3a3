/**
 * The sandbox's tokens: the bearer token in force, and the refresh token that gets the next one.
 */
import { randomBytes } from 'node:crypto'
import { Refusal } from './rules.ts'

export class Credentials {
  readonly clientId = 'sandbox-client'
  readonly clientSecret = secret('secret')
  /** A developer token of V4's accounts that Adobe does not manage. It does not end. */
  readonly legacyToken = secret('legacy')
  /** The bearer token in force. */
  token = ''
  /** Works once: every refresh replaces it. */
  refreshToken = secret('refresh')
  readonly #lifetime: number
  readonly #serverLifetime: number
  /** Tokens that are accepted, each with its end on the clock of `performance.now()`. */
  readonly #accepted = new Map<string, number>()

  /**
   * @param lifetime how long a bearer token lives, in seconds
   * @param serverLifetime how long a server-to-server token lives, in seconds
   */
  constructor(lifetime: number, serverLifetime: number) {
    this.#lifetime = lifetime
    this.#serverLifetime = serverLifetime
    this.#issue()
  }

  /** Puts a new bearer token in force; every other is refused from now on. */
  renew(): string {
    this.#accepted.clear()
    return this.#issue()
  }

  /** Does this `Authorization` header bear a token that is accepted? */
  accepts(authorization = ''): boolean {
    const expiresAt = this.#accepted.get(/^Bearer (.+)$/.exec(authorization)?.[1] ?? '')
    return expiresAt !== undefined && performance.now() < expiresAt
  }

  #issue(): string {
    this.token = secret('token')
    this.#accepted.set(this.token, performance.now() + this.#lifetime * 1_000)
    return this.token
  }

  /** `POST /ims/token/v3`: a token for a client's secret alone, which ends none before it. */
  serverToken(form: URLSearchParams): object {
    const refuse = (word: string) => new Refusal(400, word, { isShort: true })
    const client = form.get('client_id') === this.clientId
    if (!client || form.get('client_secret') !== this.clientSecret) throw refuse('invalid_client')
    if (form.get('grant_type') !== 'client_credentials') throw refuse('unsupported_grant_type')
    const scopes = form.get('scope')?.split(/[ ,]+/) ?? []
    if (!scopes.includes('frame.s2s.all')) throw refuse('invalid_scope')
    const token = secret('server')
    this.#accepted.set(token, performance.now() + this.#serverLifetime * 1_000)
    return { access_token: token, token_type: 'bearer', expires_in: this.#serverLifetime }
  }

  /** `POST /v2/auth/token`: new tokens for the refresh token, which is dead from then on. */
  refresh(form: URLSearchParams): object {
    const client = form.get('client_id') === this.clientId
    if (!client || form.get('client_secret') !== this.clientSecret) {
      throw new Refusal(401, 'invalid_client')
    }
    if (form.get('grant_type') !== 'refresh_token') {
      throw new Refusal(400, 'unsupported_grant_type')
    }
    if (form.get('refresh_token') !== this.refreshToken) throw new Refusal(400, 'invalid_grant')
    this.refreshToken = secret('refresh')
    return {
      // The token before it serves to its end, as with OAuth at large.
      access_token: this.#issue(),
      refresh_token: this.refreshToken,
      token_type: 'bearer',
      expires_in: this.#lifetime,
    }
  }
}

const secret = (kind: string) => `sandbox-${kind}-${randomBytes(24).toString('base64url')}`
