/**
 * Which fault is due for which request. What a fault then does is in play.ts.
 */
import { check, checkKeys, oneOf, rules, within } from './check.ts'
import {
  type Fault,
  type FaultAction,
  type Faults,
  OPERATIONS,
  type SandboxRequest,
} from './types.ts'

/** The faults in force, in the order they were added, each with what it has counted. */
export class FaultList implements Faults {
  readonly fired: { fault: Fault; request: SandboxRequest }[] = []
  #rules: { fault: Fault; counts: Map<number, number> }[] = []

  add(...faults: readonly Fault[]) {
    for (const fault of faults) checkFault(fault)
    this.#rules.push(...faults.map(fault => ({ fault, counts: new Map() })))
  }

  clear() {
    this.#rules = []
  }

  /** Counts the request, and says what is to happen to it. Ask once for each request. */
  due(request: SandboxRequest): FaultAction | undefined {
    // every rule counts, also those behind the one that acts: else "the second PUT" would mean
    // another PUT as soon as some other fault is in force
    const due = this.#rules
      .filter(({ fault }) => matches(fault, request))
      .filter(({ fault, counts }) => isDue(fault, counts, request))
    const fault = due[0]?.fault
    if (fault) this.fired.push({ fault, request })
    return fault?.do
  }
}

const matches = ({ on, part, assetId }: Fault, request: SandboxRequest) =>
  (on === request.operation || (on === 'api' && request.side === 'api')) &&
  (part === undefined || request.partNumbers.includes(part)) &&
  (assetId === undefined || request.assetId === assetId)

/** Counts, under each part number of its own or all under 0, and compares. */
const isDue = (fault: Fault, counts: Map<number, number>, request: SandboxRequest) => {
  const { nth = 1, times = 1, perPart = false, part } = fault
  const keys = !perPart ? [0] : part === undefined ? request.partNumbers : [part]
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1)
  return keys.some(key => within(counts.get(key), nth, nth + times - 1))
}

const checkFault = (fault: Fault) => {
  check('fault', fault, rules.object)
  checkKeys('fault', fault, ['on', 'part', 'assetId', 'nth', 'times', 'perPart', 'do'])
  const { on, part, assetId, nth, times, perPart, do: action } = fault
  check('fault.on', on ?? null, oneOf(...OPERATIONS, 'api'))
  check('fault.part', part, rules.count)
  check('fault.assetId', assetId, rules.text)
  check('fault.nth', nth, rules.count)
  check('fault.times', times, [
    'an integer of at least 1, or Infinity',
    value => value === Number.POSITIVE_INFINITY || rules.count[1](value),
  ])
  check('fault.perPart', perPart, rules.flag)
  if ((part !== undefined || perPart) && !['put', 'register', 'api'].includes(on)) {
    throw new TypeError(`fault.part and fault.perPart mean nothing on '${on}': it concerns no part`)
  }
  checkAction(action, on)
}

const checkAction = (action: FaultAction, on: Fault['on']) => {
  check('fault.do', action ?? null, rules.object)
  if ('status' in action) {
    checkKeys('fault.do', action, ['status', 'body', 'headers', 'at'])
    check('fault.do.status', action.status, [
      'an integer from 200 to 599',
      value => Number.isInteger(value) && within(value, 200, 599),
    ])
    check('fault.do.body', action.body, [
      'a string or an object',
      value => typeof value === 'string' || (typeof value === 'object' && value !== null),
    ])
    check('fault.do.headers', action.headers, rules.object)
    check('fault.do.at', action.at, oneOf('headers', 'body'))
    return
  }
  const [kind = '', ...rest] = Object.keys(action)
  const rule = kinds[kind as keyof typeof kinds]
  if (!rule || rest.length > 0) {
    throw new TypeError(
      `fault.do must have exactly one of status, ${Object.keys(kinds).join(', ')}; received ${JSON.stringify(action)}`,
    )
  }
  check(`fault.do.${kind}`, Object.values(action)[0] ?? null, rule)
  if (kind === 'expire' && on !== 'put') {
    throw new TypeError(`fault.do.expire needs fault.on 'put'; received '${on}'`)
  }
}

const kinds = {
  delay: rules.duration,
  reset: oneOf('before', 'during', 'after', 'answer'),
  loseAnswer: oneOf(true),
  hang: oneOf('headers', 'body', 'answer', 'answering'),
  expire: oneOf(true),
}
