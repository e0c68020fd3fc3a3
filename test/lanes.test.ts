import pLimit from 'p-limit'
import t from 'tap'
import { Lanes, type LanesOptions } from '../lib/upload/lanes.ts'
import { failureOf } from './support/servers.ts'

const MiB = 2 ** 20

const setUp = (options: Partial<LanesOptions> = {}) => {
  const ending = new AbortController()
  const cap = pLimit(64)
  const lanes = new Lanes({
    concurrency: 4,
    cap,
    stallTimeout: 30_000,
    giveUpAfter: 600_000,
    signal: ending.signal,
    ...options,
  })
  return { lanes, cap, ending }
}

/** Have all that could go on gone on? */
const settle = () => new Promise(setImmediate)

t.test('a PUT may take four times as long as others did, beside stallTimeout', async t => {
  const { lanes } = setUp()
  t.equal(lanes.allowed(5 * MiB), 30_000 + 40_000, 'at first 512 KiB/s are assumed')
  lanes.stored(5 * MiB, 1_000)
  t.equal(lanes.allowed(5 * MiB), 30_000 + 4_000)
  t.equal(lanes.allowed(50 * MiB), 30_000 + 40_000)
})

t.test('after a cut all others may take three times as long as the one that was cut', async t => {
  const { lanes } = setUp()
  lanes.stored(5 * MiB, 1_000)
  lanes.cut(34_000)
  t.equal(lanes.allowed(5 * MiB), 30_000 + 3 * 34_000)
  t.equal(lanes.allowed(100), 30_000 + 3 * 34_000, 'whatever their size')
  lanes.cut(132_000)
  t.equal(lanes.allowed(5 * MiB), 30_000 + 3 * 132_000)
  lanes.stored(5 * MiB, 60_000)
  t.equal(lanes.allowed(100), 30_000 + 240_000, 'until others are through sooner')
  lanes.stored(5 * MiB, 1_000)
  t.equal(lanes.allowed(100), 30_000 + 120_000, 'and then not all at once')
})

t.test('a cut that comes late, on a busy machine, lengthens it no further', async t => {
  const { lanes } = setUp()
  const allowed = lanes.allowed(5 * MiB)
  lanes.cut(5 * allowed)
  t.equal(lanes.allowed(5 * MiB), 30_000 + 3 * allowed)
})

t.test('cuts lengthen it to giveUpAfter at most, but for large parts on a slow link', async t => {
  for (const giveUpAfter of [600_000, 3_600_000]) {
    const { lanes } = setUp({ giveUpAfter })
    for (let cut = 0; cut < 9; cut++) lanes.cut(lanes.allowed(5 * MiB))
    t.equal(lanes.allowed(5 * MiB), 30_000 + giveUpAfter)
  }
  const endless = setUp({ giveUpAfter: Infinity }).lanes
  for (let cut = 0; cut < 9; cut++) endless.cut(endless.allowed(5 * MiB))
  t.equal(endless.allowed(5 * MiB), 30_000 + 600_000, 'a dead PUT is found dead all the same')
  const large = setUp().lanes
  large.stored(1_024 * MiB, 100_000)
  for (let cut = 0; cut < 5; cut++) large.cut(large.allowed(1_024 * MiB))
  t.ok(large.allowed(1_024 * MiB) > 10_000_000)
})

t.test('a small part says little of how long a large one may take', async t => {
  const { lanes } = setUp()
  const atFirst = lanes.allowed(5 * MiB)
  lanes.stored(100, 1_000)
  t.equal(lanes.allowed(5 * MiB), atFirst, 'what it took is latency')
  lanes.cut(lanes.allowed(100))
  t.ok(lanes.allowed(5 * MiB) < 150_000, 'a dead one of 5 MiB is still found dead')
})

t.test(
  'a cut ends an upload only if it had the link for itself, as long as the budget',
  async t => {
    const { lanes } = setUp({ giveUpAfter: 40 })
    const leave = [await lanes.enter(), await lanes.enter()]
    await new Promise(resolve => setTimeout(resolve, 60))
    t.notOk(lanes.cut(60), 'there was another')
    leave[0]?.()
    t.notOk(lanes.cut(60), 'it has just become the only one')
    await new Promise(resolve => setTimeout(resolve, 60))
    t.notOk(lanes.cut(20), 'it was allowed less than the budget')
    t.ok(lanes.cut(60))
    lanes.stored(1_000, 1)
    t.notOk(lanes.cut(60), 'something was stored meanwhile')
    leave[1]?.()
  },
)

t.test('each cut leaves a lane less, each part that was stored one more', async t => {
  const { lanes } = setUp({ concurrency: 3 })
  lanes.stored(1_000, 1)
  const all = lanes.movedIn(1)
  lanes.cut(1_000)
  t.equal(lanes.movedIn(1), (all * 2) / 3)
  lanes.narrow()
  lanes.narrow()
  t.equal(lanes.movedIn(1), all / 3, 'one stays')
  for (let part = 0; part < 9; part++) lanes.stored(1_000, 1)
  t.equal(lanes.movedIn(1), all)
  lanes.halve()
  t.equal(lanes.movedIn(1), (all * 2) / 3)
})

t.test('no more than there are lanes, and turns of the client, are in at once', async t => {
  const { lanes, cap } = setUp({ concurrency: 3, cap: pLimit(2) })
  const entered: (() => void)[] = []
  for (let part = 0; part < 4; part++) void lanes.enter().then(leave => entered.push(leave))
  await settle()
  t.equal(entered.length, 2)
  entered[0]?.()
  await settle()
  t.equal(entered.length, 3)
  for (const leave of entered.slice(1)) leave()
  await settle()
  entered[3]?.()
  await settle()
  t.equal(cap.activeCount, 0)
})

t.test('an abort ends the wait, and leaves the turns of the client as they were', async t => {
  const cap = pLimit(1)
  const one = setUp({ cap })
  const leave = await one.lanes.enter()
  const waiting = failureOf(one.lanes.enter())
  await settle()
  one.ending.abort(new Error('enough'))
  t.match(await waiting, { message: 'enough' })
  t.match(await failureOf(one.lanes.enter()), { message: 'enough' })
  leave()
  await settle()
  t.equal(cap.activeCount, 0)
  t.equal(cap.pendingCount, 0)
  const other = setUp({ cap })
  ;(await other.lanes.enter())()
})
