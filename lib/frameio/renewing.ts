/**
 * A token that renews itself: in force until it nears its end or is refused, and replaced once for all
 * who share it. Where the next one comes from is others' business.
 */
import { secret } from '../checks.ts'
import type { RefreshingToken } from './token.ts'

/** An access token, fit for use: whatever must be kept of it has been. */
export interface Renewed {
  readonly accessToken: string
  /** How long it lives from now on, in ms. */
  readonly left: number
  /** How long it lives in all, in ms. */
  readonly lifetime: number
}

/** A token is replaced when a tenth of its life is left, but at most so many ms ahead. */
const LONGEST_LEAD = 300_000

/** How long before its end a token is replaced, in ms. */
export const leadOf = (lifetime: number): number => Math.min(lifetime / 10, LONGEST_LEAD)

/** @param renew gets another token than the one that was refused last, if any was */
export const renewing = (
  renew: (refused: string | undefined) => Promise<Renewed>,
): RefreshingToken => {
  /** The token in force. */
  let current: string | undefined
  /** The one in force that was refused last. */
  let lastRefused: string | undefined
  let running: Promise<string> | undefined
  let renewAt = Number.POSITIVE_INFINITY
  let expiresAt = Number.POSITIVE_INFINITY

  const replace = async (): Promise<string> => {
    const { accessToken, left, lifetime } = await renew(lastRefused)
    expiresAt = performance.now() + left
    renewAt = expiresAt - leadOf(lifetime)
    current = accessToken
    return accessToken
  }
  // Two refreshes at once would each use up the same refresh token, and one of them would lose.
  const replaceOnce = (): Promise<string> => {
    running ??= replace().finally(() => {
      running = undefined
    })
    return running
  }
  const token = async (refused?: string): Promise<string> => {
    if (refused !== undefined && secret('refused', refused) === current) {
      lastRefused = current
      current = undefined
    }
    if (current !== undefined && performance.now() < renewAt) return current
    return replaceOnce().catch(error => {
      // Ahead of expiry a refresh may fail: the token that still lives serves on.
      if (current === undefined || performance.now() >= expiresAt) throw error
      return current
    })
  }
  return Object.defineProperty(token, 'renewAt', { get: () => renewAt }) as RefreshingToken
}
