import t, { type Test } from 'tap'
import { RateGate } from '../lib/frameio/rate-gate.ts'
import { until } from './support/sandboxes.ts'
import { failureOf, within } from './support/servers.ts'

const { signal } = new AbortController()

/** Retry options with a longest wait, in ms. */
const upTo = (maxDelay: number) => ({ giveUpAfter: 0, minDelay: 1, maxDelay })
const HOUR = 3_600_000

/** An answer that says nothing of the rate limit. */
const UNKNOWN = { remaining: Number.NaN, limit: Number.NaN, window: Number.NaN }

/** A gate that was refused so many times, and is open. */
const refused = async (times: number) => {
  const gate = new RateGate()
  for (let i = 0; i < times; i++) {
    gate.close(upTo(1))
    await gate.pass(signal)
    gate.heed(UNKNOWN, upTo(HOUR))
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

t.test('many who are refused at once do not come back as one', async t => {
  const waits = Array.from({ length: 50 }, () => new RateGate().close(upTo(HOUR)))
  t.ok(Math.max(...waits) - Math.min(...waits) > 50, 'waits are spread')
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

/** How long a fresh gate holds a call after this was heard, in ms; it hangs for no longer than 5 s. */
const heldAfter = (remaining: number, limit: number, window: number, maxDelay = HOUR) => {
  const gate = new RateGate()
  gate.heed({ remaining, limit, window }, upTo(maxDelay))
  return within(5_000, gate.pass(signal))
}

t.test(
  'with no room left the next call waits until there is room for one, up to maxDelay',
  async t => {
    t.ok((await heldAfter(0, 2, 80)) >= 39, 'its share of the window')
    t.ok((await heldAfter(0, 60_000, 60_000)) >= 0, 'not the whole of it')
    t.ok((await heldAfter(0, 1, 60_000, 20)) >= 19)
    t.ok((await heldAfter(0.5, 2, 80)) >= 39, 'half a call is none')
  },
)

t.test('with room left, or without a word of it, nobody waits', async t => {
  const { NaN: unknown } = Number
  for (const [remaining, limit, window] of [
    [1, 1, 60_000],
    [5, 10, 60_000],
    [unknown, 1, 60_000],
    [0, unknown, 60_000],
    [0, 1, unknown],
    [0, 0, 60_000],
    [0, 1, 0],
  ] as const) {
    t.ok((await heldAfter(remaining, limit, window)) < 5_000, `${[remaining, limit, window]}`)
  }
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

/** Passes through a gate, each with what became of it so far. */
const passing = (t: Test, gate: RateGate, count: number) => {
  const ending = new AbortController()
  t.teardown(() => ending.abort())
  const gone: number[] = []
  const passes = Array.from({ length: count }, async (_, index) => {
    await gate.pass(ending.signal)
    gone.push(index)
  })
  const all = Promise.all(passes)
  all.catch(() => {}) // Who still waits at the end of the test is sent away.
  return { gone, all }
}

/** Time for all that may happen at once. */
const turn = () => new Promise(resolve => setImmediate(() => setImmediate(resolve)))

t.test('those who wait go in the order in which they came', async t => {
  const gate = new RateGate()
  gate.hold(30)
  const { gone, all } = passing(t, gate, 3)
  await within(5_000, all)
  t.strictSame(gone, [0, 1, 2])
})

t.test('after a refusal one goes, and the next once that one was answered', async t => {
  const gate = new RateGate()
  gate.close(upTo(1))
  const { gone, all } = passing(t, gate, 4)
  await until(() => gone.length > 0)
  await turn()
  t.strictSame(gone, [0], 'all others wait for its answer')
  gate.heed(UNKNOWN, upTo(HOUR))
  await turn()
  t.strictSame(gone, [0, 1], 'an answer that is no success lets one go in its place')
  gate.heed(UNKNOWN, upTo(HOUR))
  gate.opened()
  await turn()
  t.strictSame(gone, [0, 1, 2, 3], 'each that gets through lets another go beside it')
  await all
})

t.test('as many go side by side as there is room for, as soon as that is known', async t => {
  const gate = new RateGate()
  gate.close(upTo(1))
  const { gone } = passing(t, gate, 10)
  await until(() => gone.length > 0)
  gate.heed({ remaining: 7, limit: 8, window: HOUR }, upTo(HOUR))
  gate.opened()
  await turn()
  t.strictSame(gone, [0, 1, 2, 3, 4, 5, 6], 'a little of the room is spared')
  gate.heed({ remaining: 1, limit: 8, window: HOUR }, upTo(HOUR))
  await turn()
  t.equal(gone.length, 7, 'what went from here is counted, whether or not it has arrived')
})

t.test('others may pour into the same bucket: then the next waits for what leaks', async t => {
  const gate = new RateGate()
  await gate.pass(signal)
  gate.heed({ remaining: 0, limit: 100, window: HOUR }, upTo(HOUR))
  gate.opened()
  const { gone } = passing(t, gate, 1)
  await turn()
  t.strictSame(gone, [])
})

t.test('one who leaves holds no place', async t => {
  const gate = new RateGate()
  gate.close(upTo(1))
  await gate.pass(signal)
  const leaving = [0, 1].map(() => new AbortController())
  const [first, middle] = leaving.map(({ signal }) => failureOf(gate.pass(signal)))
  const { gone, all } = passing(t, gate, 1)
  for (const ending of leaving) ending.abort(new Error('up'))
  t.match(await within(5_000, Promise.all([first, middle])), [{ message: 'up' }, { message: 'up' }])
  gate.heed(UNKNOWN, upTo(HOUR))
  await within(5_000, all)
  t.strictSame(gone, [0])
  await t.rejects(gate.pass(AbortSignal.abort(new Error('before'))), { message: 'before' })
})

t.test('one who leaves in the moment of being let go holds no place either', async t => {
  const gate = new RateGate()
  gate.close(upTo(1))
  await gate.pass(signal)
  const ending = new AbortController()
  const leaver = failureOf(gate.pass(ending.signal))
  const { gone } = passing(t, gate, 1)
  await turn()
  gate.heed(UNKNOWN, upTo(HOUR)) // The leaver may go now …
  ending.abort(new Error('up')) // … and does not.
  t.match(await leaver, { message: 'up' })
  await turn()
  t.strictSame(gone, [0])
})

t.test('when all have left, no timer is left', async t => {
  const timers = () => process.getActiveResourcesInfo().filter(kind => kind === 'Timeout').length
  const before = timers()
  const gate = new RateGate()
  gate.hold(60_000)
  const ending = new AbortController()
  const leavers = [0, 1, 2].map(() => failureOf(gate.pass(ending.signal)))
  t.ok(timers() > before)
  ending.abort(new Error('up'))
  await Promise.all(leavers)
  t.equal(timers(), before)
})

t.test('a call that hangs, or fails without an answer, does not hold up the others', async t => {
  const hanging = new RateGate()
  await within(10_000, passing(t, hanging, 6).all)
  const failing = new RateGate()
  const { gone } = passing(t, failing, 6)
  await turn()
  t.strictSame(gone, [0, 1, 2, 3], 'at first a few go without a word')
  failing.missed()
  failing.missed()
  await turn()
  t.equal(gone.length, 6)
})

t.test('a bucket that is documented is kept before an answer tells of it', async t => {
  const gate = new RateGate({ limit: 5, window: 600_000 })
  for (let at = 0; at < 4; at++) {
    t.equal(await gate.pass(signal), 0)
    gate.heed(UNKNOWN, upTo(HOUR))
    gate.opened()
  }
  const ending = new AbortController()
  const next = gate.pass(ending.signal).then(
    () => 'went',
    () => 'waited',
  )
  setTimeout(() => ending.abort(), 50)
  t.equal(await next, 'waited')
})
