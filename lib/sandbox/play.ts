/**
 * What a fault does to the request it hits. When it is due is in faults.ts.
 *
 *   headers ──► during ──► body ──► (carried out) ──► latency ──► answer
 *
 * A request passes these stages in this order, and a fault acts at one of them.
 */
import type { Exchange } from './log.ts'
import type { FaultAction } from './types.ts'
import { type Answer, answer, answerHalf, cut, untilGone } from './wire.ts'

export type Stage = 'headers' | 'during' | 'body' | 'answer'

/** An error in the manner of this side. */
export type ErrorOf = (status: number, code?: string, message?: string) => Answer

/** The stage at which the fault acts. */
export const stageOf = (action: FaultAction): Stage => {
  if ('status' in action) return action.at ?? 'body'
  if ('delay' in action) return 'body'
  if ('reset' in action) return resetStages[action.reset]
  if ('hang' in action) return hangStages[action.hang]
  return 'expire' in action ? 'headers' : 'answer'
}

const resetStages = {
  before: 'headers',
  during: 'during',
  after: 'body',
  answer: 'answer',
} as const
const hangStages = {
  headers: 'headers',
  body: 'during',
  answer: 'body',
  answering: 'answer',
} as const

/** Lets the fault act if this is its stage, one before the work is done. True: it is all over. */
export const interrupted = async (
  exchange: Exchange,
  action: FaultAction | undefined,
  stage: Exclude<Stage, 'answer'>,
  errorOf: ErrorOf,
): Promise<boolean> => {
  if (!action || stageOf(action) !== stage) return false
  if ('delay' in action) {
    await untilGone(exchange, action.delay)
    return exchange.res.destroyed
  }
  if ('hang' in action) await untilGone(exchange)
  else if ('reset' in action) cut(exchange)
  else await answer(exchange, answerOf(action, errorOf))
  return true
}

const answerOf = (action: FaultAction, errorOf: ErrorOf): Answer => {
  if (!('status' in action)) return errorOf(403, 'AccessDenied', 'Request has expired')
  const { status, body, headers } = action
  if (body === undefined) {
    const usual = errorOf(status)
    return { ...usual, headers: { ...usual.headers, ...headers } }
  }
  if (typeof body === 'string') return { status, headers, body }
  const type = { 'content-type': 'application/json' }
  return { status, headers: { ...type, ...headers }, body: JSON.stringify(body) }
}

/** Answers a request that was carried out, in full unless the fault says otherwise. */
export const deliver = async (
  exchange: Exchange,
  reply: Answer,
  action: FaultAction | undefined,
  latency: number,
) => {
  await untilGone(exchange, latency)
  if (!action || stageOf(action) !== 'answer') return answer(exchange, reply)
  if (!('loseAnswer' in action)) await answerHalf(exchange, reply)
  if ('hang' in action) return untilGone(exchange)
  if ('reset' in action) await untilGone(exchange, RESET_AFTER)
  cut(exchange)
}

/**
 * ms between half an answer and the reset. To a client that finds both at once, libuv reports an
 * ordinary end of the connection in place of the reset.
 */
const RESET_AFTER = 20
