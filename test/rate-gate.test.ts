import t from 'tap'
import { RateGate } from '../lib/rate-gate.ts'
import { failureOf, within } from './support/servers.ts'

const { signal } = new AbortController()

/** Retry options with a longest wait, in ms. */
const upTo = (maxDelay: number) => ({ giveUpAfter: 0, minDelay: 1, maxDelay })
const HOUR = 3_600_000

/** A gate that was refused so many times, and is open. */
const refused = async (times: number) => {
  const gate = new RateGate()
  for (let i = 0; i < times; i++) {
    gate.close(upTo(1))
    await gate.pass(signal)
  }
  return gate
}

t.test('an open gate holds nobody', async t => {
  t.ok((await new RateGate().pass(signal)) < 50)
})

t.test('after a refusal it stays closed for about a second, then for twice as long', async t => {
  for (const [times, low] of [1_000, 2_000, 4_000, 8_000].entries()) {
    const wait = (await refused(times)).close(upTo(HOUR))
    t.ok(wait > low - 50 && wait < low * 1.25 + 50, `refusal ${times + 1}: ${wait} ms`)
  }
})

t.test('a call that goes through begins the count again', async t => {
  const gate = await refused(4)
  gate.opened()
  t.ok(gate.close(upTo(HOUR)) < 1_300)
})

t.test('it stays closed for as long as the server asks, up to maxDelay', async t => {
  const asked = new RateGate().close(upTo(HOUR), 20_000)
  t.ok(asked > 19_900 && asked < 20_050, `${asked}`)
  const bounded = new RateGate().close(upTo(5_000), 20_000)
  t.ok(bounded > 4_900 && bounded < 5_050, `${bounded}`)
})

t.test('refusals of calls that were under way together count as one', async t => {
  const gate = new RateGate()
  const first = gate.close(upTo(HOUR))
  const second = gate.close(upTo(HOUR))
  t.ok(second < first + 50, 'what is left of the same wait')
})

t.test('all who come while it is closed wait until it opens', async t => {
  const gate = new RateGate()
  gate.hold(40)
  const waited = await Promise.all([gate.pass(signal), gate.pass(signal)])
  for (const ms of waited) t.ok(ms >= 39, `${ms} ms`)
})

t.test(
  'a gate that is held longer meanwhile stays closed; one held shorter does not open',
  async t => {
    const gate = new RateGate()
    gate.hold(20)
    const pass = gate.pass(signal)
    gate.hold(60)
    gate.hold(1)
    t.ok((await pass) >= 59)
  },
)

t.test('a wait ends with the signal', async t => {
  const ending = new AbortController()
  const gate = new RateGate()
  gate.hold(60_000)
  const pass = gate.pass(ending.signal)
  ending.abort(new Error('up'))
  t.match(await within(5_000, failureOf(pass)), { message: 'up' })
})
