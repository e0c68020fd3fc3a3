/**
 * Pairing, and the tokens of all devices.
 *
 *   code ──► waiting ──► entered by a person ──► poll ──► tokens ──► refresh ──► … ──► revoked
 *               │
 *               └──► expired, or declined: the next poll says so
 */
import { randomBytes, randomInt, randomUUID } from 'node:crypto'
import { check, checkKeys, rules, within } from './check.ts'
import { Device, type DeviceSettings } from './device.ts'
import type { DeviceOptions, SandboxDevices } from './device-types.ts'
import { Refusal } from './rules.ts'

/** A code that was asked for. Times on the clock of `performance.now()`. */
interface Code {
  readonly deviceCode: string
  readonly userCode: string
  readonly clientId: string
  expiresAt: number
  /** Shortest time between two polls, in ms. */
  interval: number
  lastPoll: number
  /** What a person did with it. */
  outcome: 'waiting' | 'denied' | Device
}

export interface PairingSettings extends DeviceSettings {
  /** Of a code, in seconds. */
  readonly expiresIn: number
  /** Between two polls, in seconds. */
  readonly interval: number
}

const SCOPES = ['asset_create', 'offline']

/** RFC 8628 §3.5: so many ms more between polls after a `slow_down`. */
const SLOWER_BY = 5_000

/** Clocks and networks are not exact: a poll may be early by so much of the interval. */
const TOLERANCE = 0.1

export class Devices implements SandboxDevices {
  readonly paired: Device[] = []
  readonly #clientSecret: string
  readonly #settings: PairingSettings
  readonly #codes = new Map<string, Code>()

  constructor(clientSecret: string, settings: PairingSettings) {
    this.#clientSecret = clientSecret
    this.#settings = settings
  }

  get waiting(): readonly string[] {
    return [...this.#codes.values()].filter(isWaiting).map(({ userCode }) => userCode)
  }

  enter(userCode: string, options: DeviceOptions = {}): Device {
    const code = this.#waitingFor(userCode)
    const device = this.#deviceOf(code.clientId, options)
    code.outcome = device
    return device
  }

  deny(userCode: string) {
    this.#waitingFor(userCode).outcome = 'denied'
  }

  expire() {
    for (const code of this.#codes.values()) if (isWaiting(code)) code.expiresAt = 0
  }

  pause() {
    for (const device of this.paired) device.pause()
  }

  resume() {
    for (const device of this.paired) device.resume()
  }

  pair(options: DeviceOptions = {}): Device {
    const device = this.#deviceOf(randomUUID(), options)
    device.issue()
    return device
  }

  /** Whose token is this? */
  holderOf(authorization = ''): Device | undefined {
    const token = /^Bearer (.+)$/.exec(authorization)?.[1] ?? ''
    return this.paired.find(device => device.accepts(token))
  }

  /** `POST /v2/auth/device/code` */
  code(form: URLSearchParams, wantsLink: boolean): object {
    const clientId = this.#clientOf(form)
    const scopes = (form.get('scope') ?? '').split(' ')
    if (scopes.toSorted().join() !== SCOPES.join()) throw refusal('invalid_scope')
    const { expiresIn, interval } = this.#settings
    const userCode = String(randomInt(1_000_000)).padStart(6, '0')
    const code: Code = {
      deviceCode: `sandbox-device-code-${randomBytes(24).toString('base64url')}`,
      userCode,
      clientId,
      expiresAt: performance.now() + expiresIn * 1_000,
      interval: interval * 1_000,
      lastPoll: performance.now(),
      outcome: 'waiting',
    }
    this.#codes.set(code.deviceCode, code)
    const link = 'https://sandbox.invalid/pair'
    return {
      device_code: code.deviceCode,
      user_code: userCode,
      name: 'Sandbox device',
      expires_in: expiresIn,
      interval,
      ...(wantsLink && {
        verification_uri: link,
        verification_uri_complete: `${link}?user_code=${userCode}`,
      }),
    }
  }

  /** `POST /v2/auth/token` with a device code. */
  poll(form: URLSearchParams): object {
    const clientId = this.#clientOf(form)
    const code = this.#codes.get(form.get('device_code') ?? '')
    if (code?.clientId !== clientId) throw refusal('invalid_grant')
    const { outcome, expiresAt, interval, lastPoll, deviceCode } = code
    const now = performance.now()
    code.lastPoll = now
    if (now - lastPoll < interval * (1 - TOLERANCE)) {
      code.interval += SLOWER_BY
      throw refusal('slow_down')
    }
    if (outcome === 'waiting') {
      throw refusal(now < expiresAt ? 'authorization_pending' : 'expired_token')
    }
    this.#codes.delete(deviceCode)
    if (outcome === 'denied') throw refusal('access_denied')
    return outcome.issue()
  }

  /** `POST /v2/auth/token` with a refresh token. */
  refresh(form: URLSearchParams): object {
    const clientId = this.#clientOf(form)
    const refreshToken = form.get('refresh_token') ?? ''
    const device = this.paired.find(device => device.clientId === clientId && device.isPaired)
    if (device?.hasUsed(refreshToken)) {
      device.reused += 1
      throw refusal('invalid_request')
    }
    if (!device || refreshToken !== device.refreshToken) throw refusal('invalid_grant')
    device.refreshes += 1
    return device.issue()
  }

  /** `POST /v2/auth/revoke`. A token that nobody knows is no failure (RFC 7009 §2.2). */
  revoke(form: URLSearchParams) {
    const clientId = this.#clientOf(form)
    const token = form.get('token')
    if (!token) throw refusal('invalid_request')
    for (const device of this.paired) {
      const isOurs = token === device.accessToken || token === device.refreshToken
      if (isOurs && device.clientId === clientId) device.unpair()
    }
  }

  /** @throws {Refusal} unless the form names a client, and the secret of its model */
  #clientOf(form: URLSearchParams): string {
    const clientId = form.get('client_id') ?? ''
    // A device's id must be unique to it and last, and tell nothing of its owner or its network.
    const isPrivate = /@|^([\da-f]{2}[:-]){5}[\da-f]{2}$/i.test(clientId)
    if (clientId === '' || isPrivate) throw refusal('invalid_request')
    if (form.get('client_secret') !== this.#clientSecret) throw refusal('invalid_client')
    return clientId
  }

  #waitingFor(userCode: string): Code {
    const code = [...this.#codes.values()].find(
      code => isWaiting(code) && code.userCode === userCode,
    )
    if (code) return code
    throw new TypeError(
      `code must be one that waits (${this.waiting.join(', ') || 'none does'}); received ${userCode}`,
    )
  }

  /** One that is paired again is the same device, unless it was revoked. */
  #deviceOf(clientId: string, options: DeviceOptions): Device {
    check('options', options, rules.object)
    checkKeys('options', options, ['name', 'channels'])
    check('options.name', options.name, rules.text)
    check('options.channels', options.channels, [
      'an integer from 1 to 100',
      value => Number.isInteger(value) && within(value, 1, 100),
    ])
    const known = this.paired.find(device => device.clientId === clientId && device.isPaired)
    if (known) return known
    const device = new Device(clientId, options, this.#settings)
    this.paired.push(device)
    return device
  }
}

const isWaiting = ({ outcome, expiresAt }: Code) =>
  outcome === 'waiting' && performance.now() < expiresAt

/** In the short form, as all that is refused under `/v2/auth` for devices. */
const refusal = (error: string) => new Refusal(400, error, { isShort: true })
