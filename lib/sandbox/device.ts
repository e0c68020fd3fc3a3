/**
 * A Camera to Cloud device as Frame.io keeps it: its tokens, its channels and pauses, and whether it
 * has been heard of lately.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { DeviceOptions, SandboxDevice } from './device-types.ts'
import { type NewAsset, Refusal } from './rules.ts'

/** Lifetimes and limits, in seconds. */
export interface DeviceSettings {
  readonly tokenLifetime: number
  readonly heartbeatEvery: number
  readonly offlineAfter: number
}

/** A pause of the whole device, or of a channel. Times on the clock of `performance.now()`. */
interface Pause {
  readonly channel: number | undefined
  readonly from: number
  to: number
}

/** Life of a refresh token, in seconds: 14 days (Frame.io's C2C guide). */
const REFRESH_LIFETIME = 1_209_600

export class Device implements SandboxDevice {
  readonly id = randomUUID()
  readonly clientId: string
  readonly name: string
  readonly channels: number
  accessToken = ''
  refreshToken = ''
  refreshes = 0
  reused = 0
  heartbeats = 0
  isPaired = true
  readonly #project = { id: randomUUID(), name: 'Sandbox project' }
  readonly #settings: DeviceSettings
  readonly #used = new Set<string>()
  readonly #pauses: Pause[] = []
  #expiresAt = 0
  #authorizedUntil = 0
  #lastHeartbeat = Number.NEGATIVE_INFINITY
  #lastCall = performance.now()

  constructor(clientId: string, options: DeviceOptions, settings: DeviceSettings) {
    this.clientId = clientId
    this.name = options.name ?? 'Sandbox device'
    this.channels = options.channels ?? 1
    this.#settings = settings
  }

  get status() {
    const now = performance.now()
    if (this.#pauses.some(({ channel, to }) => channel === undefined && to > now)) return 'paused'
    return now - this.#lastCall > this.#settings.offlineAfter * 1_000 ? 'offline' : 'online'
  }

  /** The tokens of a pairing or a refresh. Those before them are dead at once, both. */
  issue() {
    const { tokenLifetime } = this.#settings
    if (this.refreshToken) this.#used.add(this.refreshToken)
    this.accessToken = secret('device-token')
    this.refreshToken = secret('device-refresh')
    this.#expiresAt = performance.now() + tokenLifetime * 1_000
    this.#authorizedUntil = Date.now() + REFRESH_LIFETIME * 1_000
    return {
      access_token: this.accessToken,
      refresh_token: this.refreshToken,
      token_type: 'bearer',
      expires_in: tokenLifetime,
    }
  }

  /** Is this its access token, and alive? */
  accepts(token: string): boolean {
    return this.isPaired && token === this.accessToken && performance.now() < this.#expiresAt
  }

  /** Was this a refresh token of its, that a refresh has replaced? */
  hasUsed(refreshToken: string): boolean {
    return this.#used.has(refreshToken)
  }

  /** A call came with its token. Only calls to the API count, not PUTs (Frame.io's C2C guide). */
  seen() {
    this.#lastCall = performance.now()
  }

  /** @throws {Refusal} 429 where the last is too near */
  beat() {
    const now = performance.now()
    const { heartbeatEvery } = this.#settings
    if (now - this.#lastHeartbeat < heartbeatEvery * 1_000) {
      throw new Refusal(429, `a heartbeat may come every ${heartbeatEvery} s at most`)
    }
    this.#lastHeartbeat = now
    this.heartbeats += 1
  }

  /**
   * May it create this? What was recorded during a pause is refused also after it, and what was
   * recorded before a pause is taken during it: the offset says when that was (Frame.io's C2C guide).
   *
   * @throws {Refusal} 400 for a channel that it has not, 409 "Channel Paused"
   */
  admit({ offset = 0, channel = 0 }: NewAsset) {
    if (channel >= this.channels) {
      throw new Refusal(400, `channel must be less than ${this.channels}: the device has no other`)
    }
    const madeAt = performance.now() - offset * 1_000
    const isPaused = this.#pauses.some(
      pause => (pause.channel ?? channel) === channel && madeAt >= pause.from && madeAt < pause.to,
    )
    if (isPaused) throw new Refusal(409, 'the channel is paused', { title: 'Channel Paused' })
  }

  pause(channel?: number) {
    if (channel !== undefined && !(channel >= 0 && channel < this.channels)) {
      throw new TypeError(
        `channel must be one of the device's ${this.channels}; received ${channel}`,
      )
    }
    this.#pauses.push({ channel, from: performance.now(), to: Number.POSITIVE_INFINITY })
  }

  resume() {
    for (const pause of this.#pauses) pause.to = Math.min(pause.to, performance.now())
  }

  expire() {
    this.#expiresAt = 0
  }

  unpair() {
    this.isPaired = false
  }

  /** The answer to `GET /v2/devices/me`. */
  describe() {
    const now = performance.now()
    const isPaused = (number: number) =>
      this.#pauses.some(({ channel, to }) => (channel ?? number) === number && to > now)
    return {
      _type: 'device',
      id: this.id,
      name: this.name,
      status: this.status,
      project: this.#project,
      authorization: { expires_at: new Date(this.#authorizedUntil).toISOString() },
      channels: Array.from({ length: this.channels }, (_, number) => ({
        channel: number,
        status: isPaused(number) ? 'paused' : 'active',
      })),
    }
  }
}

const secret = (kind: string) => `sandbox-${kind}-${randomBytes(24).toString('base64url')}`
