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
  #expiresAt = 0

  /** @param lifetime how long a bearer token lives, in seconds */
  constructor(lifetime: number) {
    this.#lifetime = lifetime
    this.renew()
  }

  /** Puts a new bearer token in force; the old one is refused from now on. */
  renew(): string {
    this.token = secret('token')
    this.#expiresAt = performance.now() + this.#lifetime * 1_000
    return this.token
  }

  /** Does this `Authorization` header bear the token in force? */
  accepts(authorization: string | undefined): boolean {
    return authorization === `Bearer ${this.token}` && performance.now() < this.#expiresAt
  }

  /** `POST /v2/auth/token`: new tokens for the refresh token, which is dead from then on. */
  refresh(text: string): object {
    const form = new URLSearchParams(text)
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
      access_token: this.renew(),
      refresh_token: this.refreshToken,
      token_type: 'bearer',
      expires_in: this.#lifetime,
    }
  }
}

const secret = (kind: string) => `sandbox-${kind}-${randomBytes(24).toString('base64url')}`
