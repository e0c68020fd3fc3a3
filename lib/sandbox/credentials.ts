/**
 * The sandbox's tokens: the bearer token in force, and the refresh token that gets the next one.
 */
import { randomBytes } from 'node:crypto'
import { Refusal } from './rules.ts'

export class Credentials {
  readonly clientId = 'sandbox-client'
  readonly clientSecret = secret('secret')
  /** The bearer token in force. */
  token = ''
  /** Works once: every refresh replaces it. */
  refreshToken = secret('refresh')
  readonly #lifetime: number
  /** Tokens that are accepted, each with its end on the clock of `performance.now()`. */
  readonly #accepted = new Map<string, number>()

  /** @param lifetime how long a bearer token lives, in seconds */
  constructor(lifetime: number) {
    this.#lifetime = lifetime
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
