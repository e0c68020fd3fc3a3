/**
 * What all calls of a pairing, or of its end, have in common: who asks, over which connections, for how
 * long, and what a refusal becomes.
 */
import { setMaxListeners } from 'node:events'
import type { Dispatcher } from 'undici'
import { AbortError } from '../errors.ts'
import { openAgent } from '../net/agents.ts'
import { Failure, type RetryOptions } from '../net/retry.ts'
import { judgeAuthAnswer, RULINGS } from '../net/rulings.ts'
import { followSignal } from '../net/signals.ts'
import type { AuthAnswer, AuthClient } from './auth.ts'
import { FOR_CALLERS } from './dialect.ts'

export interface AuthLine {
  readonly client: AuthClient
  readonly dispatcher: Dispatcher
  readonly retry: RetryOptions
  /** Aborts, with an `AbortError`, when the caller's does. */
  readonly signal: AbortSignal
}

/** @param aborted what is said where the caller's signal aborts */
export const openLine = (
  {
    client,
    dispatcher,
    retry,
    signal,
  }: Pick<AuthLine, 'client' | 'retry'> & {
    readonly dispatcher: Dispatcher | undefined
    readonly signal: AbortSignal | undefined
  },
  aborted: string,
): { readonly line: AuthLine; close(): Promise<void> } => {
  const ending = new AbortController()
  setMaxListeners(0, ending.signal)
  const abort = (reason: unknown) => ending.abort(new AbortError(reason, aborted))
  const unfollow = signal ? followSignal(signal, abort) : () => {}
  if (signal?.aborted) abort(signal.reason)
  const own = dispatcher ? undefined : openAgent()
  return {
    line: {
      client,
      dispatcher: dispatcher ?? (own as NonNullable<typeof own>).dispatcher,
      retry,
      signal: ending.signal,
    },
    async close() {
      unfollow()
      await own?.close()
    },
  }
}

/**
 * @param what is being done, as the beginning of a message
 * @param words that this call alone may be refused with, and what they mean for it
 */
export const refusalOf = (
  what: string,
  { status, reason }: AuthAnswer,
  words: Readonly<Record<string, string>> = {},
): Failure => {
  const ruling = judgeAuthAnswer(status, reason)
  const isClient = ruling === RULINGS.clientRefused
  const known = isClient ? CLIENT : words[reason ?? '']
  const advice = known === undefined ? '' : `; ${known}`
  const message = `${what}: Frame.io answered ${status}${reason ? ` (${reason})` : ''}${advice}`
  const option = isClient ? 'clientId' : undefined
  return new Failure(ruling, message, { statusCode: status, option })
}

const CLIENT = `${FOR_CALLERS.client}, which is that of the device's model`
