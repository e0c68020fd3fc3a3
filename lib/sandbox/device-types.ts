/**
 * What a user of the sandbox sees of Camera to Cloud devices.
 */

/** The devices of a sandbox, and what a person does in Frame.io's web page to pair and pause them. */
export interface SandboxDevices {
  /** Codes that wait for their person, oldest first: six digits each. */
  readonly waiting: readonly string[]
  /** The devices that were paired, oldest first. */
  readonly paired: readonly SandboxDevice[]
  /**
   * A person types the code in the project's C2C Connections: the device that polls gets its tokens.
   *
   * @throws {TypeError} if no such code waits, as where it has expired.
   */
  enter(code: string, options?: DeviceOptions): SandboxDevice
  /**
   * A person declines: the device that polls gets `access_denied` (RFC 8628 §3.5; Frame.io does not
   * say what it answers then).
   *
   * @throws {TypeError} if no such code waits.
   */
  deny(code: string): void
  /** Every code that waits expires now. */
  expire(): void
  /** Pauses every device that was paired. */
  pause(): void
  /** Ends these pauses. */
  resume(): void
  /** A device that is paired already, without a request. */
  pair(options?: DeviceOptions): SandboxDevice
}

/** How a device is shown and what it has. */
export interface DeviceOptions {
  /** Default: `'Sandbox device'`. */
  readonly name?: string
  /** Its channels, counted from 0: 1 to 100. Default: 1. */
  readonly channels?: number
}

/** A device that was paired. The fields are live. */
export interface SandboxDevice {
  readonly id: string
  /** Of its maker's own making, and unique to the device. */
  readonly clientId: string
  readonly name: string
  /**
   * `'paused'` by a person, else `'offline'` when no call came for so long as `presence.offlineAfter`
   * says, else `'online'`.
   */
  readonly status: 'online' | 'offline' | 'paused'
  /** The access token in force. */
  readonly accessToken: string
  /** Works once: every refresh replaces it, and ends the access token. */
  readonly refreshToken: string
  /** Refreshes that were carried out. */
  readonly refreshes: number
  /** Refreshes that came with a refresh token that had been used, and were refused. */
  readonly reused: number
  /** Heartbeats that were taken. */
  readonly heartbeats: number
  /** Whether it is still paired: not once a token of it was revoked. */
  readonly isPaired: boolean
  /** Pauses the device, or one channel: what is recorded meanwhile gets 409 "Channel Paused". */
  pause(channel?: number): void
  /** Ends all its pauses. */
  resume(): void
  /** Its access token expires now: 401. */
  expire(): void
}
