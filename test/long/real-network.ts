import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Arrival, type Journey, networkFor, refusal } from '../support/network.ts'
import { within } from '../support/servers.ts'

// The kernel's own TCP over a link that is slow, loses packets, resets connections or swallows
// everything. All sizes are the real ones: parts of 5 MiB. Figures are printed, not judged: only
// guards against hanging look at the clock.

const MIB = 2 ** 20
const HANG = 120_000

const skip = refusal()
if (skip) console.log(`# No real network here: ${skip}`)

type T = Pick<typeof t, 'equal' | 'comment'>

/** Waits for the end of an upload, checks that all arrived as it was sent, and prints the figures. */
const arrives = async (t: T, { end, retries }: Journey, what: string): Promise<Arrival> => {
  const arrival = await within(HANG, end)
  const { outcome, report } = arrival
  t.equal(report.sha256, outcome.sha256, `${what}: byte-identical`)
  t.equal(report.finals, 1, `${what}: one final part`)
  const waste = report.receivedBytes / report.storedBytes
  t.comment(
    `${what}: ${outcome.seconds.toFixed(1)} s, ${report.parts} parts by ${report.puts} PUTs, ` +
      `${waste.toFixed(2)} bytes received for each stored`,
  )
  for (const { at, stage, partNumbers, attempt, reason } of retries) {
    t.comment(`  ${at.toFixed(1)} s: attempt ${attempt} to ${stage} ${partNumbers}: ${reason}`)
  }
  return arrival
}

t.setTimeout(2 * HANG)
t.jobs = 5 // Each scenario has a network to itself, and spends its time waiting.

// The longest first: they go on beside all others.
t.test('a link that collapses from 40 to 4 Mbit/s converges', { skip }, async t => {
  const network = await networkFor(t)
  await network.rate(40)
  // So impatient that parts do stall: with the default they would only take their time.
  const journey = await network.upload(30 * MIB, { stallTimeout: 1_000, concurrency: 2 })
  await journey.reached(20 * MIB)
  await network.rate(4)
  const collapsed = performance.now()
  const { report, endedAt } = await arrives(t, journey, '40 to 4 Mbit/s')
  t.ok(report.puts <= 3 * report.parts, 'no part is begun again and again')
  const seconds = ((endedAt - collapsed) / 1_000).toFixed(1)
  t.comment(`from the collapse to finish: ${seconds} s; 10 MiB take 21 s at 4 Mbit/s`)
})

for (const { stallTimeout, mbit, concurrency } of [
  { stallTimeout: 30_000, mbit: 40, concurrency: 4 },
  { stallTimeout: 3_000, mbit: 40, concurrency: 4 },
  // So fast that the stall rule acts while the hole lasts.
  { stallTimeout: 1_000, mbit: 60, concurrency: 1 },
]) {
  const what = `stallTimeout ${stallTimeout}, ${concurrency} lanes, ${mbit} Mbit/s`
  t.test(`a black hole of 10 s: ${what}`, { skip }, async t => {
    const network = await networkFor(t)
    await network.rate(mbit)
    const size = 40 * MIB
    const options = { stallTimeout, concurrency }
    const half = size / 2

    const calm = await network.upload(size, options)
    await calm.reached(half)
    const calmHalf = performance.now()
    const undisturbed = await arrives(t, calm, 'undisturbed')

    const journey = await network.upload(size, options)
    await journey.reached(half)
    await network.swallow()
    await sleep(10_000)
    await network.clear()
    const lifted = performance.now()
    const arrival = await arrives(t, journey, 'with the hole')

    const seconds = (ms: number) => (ms / 1_000).toFixed(1)
    const rest = undisturbed.endedAt - calmHalf
    const after = arrival.endedAt - lifted
    t.comment(
      `from lifting the hole to finish: ${seconds(after)} s; ` +
        `the same rest undisturbed: ${seconds(rest)} s; lost beyond the hole: ${seconds(after - rest)} s`,
    )
  })
}

t.test('a slow link is not taken for a stalled one', { skip }, async t => {
  const network = await networkFor(t)
  for (const mbit of [20, 40]) {
    await network.rate(mbit)
    const journey = await network.upload(24 * MIB, { stallTimeout: 2_000 })
    const { report } = await arrives(t, journey, `${mbit} Mbit/s`)
    t.same(journey.retries, [], 'no other try')
    t.equal(report.puts, report.parts, 'one PUT a part')
  }
})

t.test('lost packets', { skip }, async t => {
  const network = await networkFor(t)
  await network.rate(40)
  await network.lose(3)
  const before = await network.sent()
  const journey = await network.upload(24 * MIB, { stallTimeout: 3_000 })
  const { report } = await arrives(t, journey, '3 % lost both ways')
  const sent = (await network.sent()) - before
  // Headers take 4.6 % of a calm wire.
  t.ok(sent > report.storedBytes * 1.06, 'packets were lost and sent again')
  t.comment(`on the wire: ${(sent / report.storedBytes).toFixed(2)} bytes for each stored`)
})

t.test('connections that are reset, and refused for a while', { skip }, async t => {
  const network = await networkFor(t)
  await network.rate(40)
  const journey = await network.upload(30 * MIB)
  await journey.reached(5 * MIB)
  await network.reset()
  await sleep(2_000)
  await network.clear()
  await arrives(t, journey, 'RST for 2 s')
  const reasons = journey.retries.map(({ reason }) => reason)
  t.ok(reasons.includes('ECONNRESET') || reasons.includes('EPIPE'), 'what stood was cut')
  t.ok(reasons.includes('ECONNREFUSED'), 'what was new was refused')
})

t.test('a link that is down at first, and again in mid-upload', { skip }, async t => {
  const network = await networkFor(t)
  await network.rate(40)
  await network.down()
  const journey = await network.upload(30 * MIB)
  await sleep(2_000)
  await network.up()
  await journey.reached(5 * MIB)
  // Connections that stand outlive a link: the reset makes some try anew while there is no route.
  await network.reset()
  await sleep(300)
  await network.down()
  await network.clear()
  await sleep(5_000)
  await network.up()
  await arrives(t, journey, 'down for 2 s and 5 s')
  const unreachable = journey.retries.filter(({ reason }) => /UNREACH|NETDOWN/.test(reason))
  for (const stage of ['register', 'put']) {
    t.ok(
      unreachable.some(retry => retry.stage === stage),
      `${stage} found no route`,
    )
  }
})

t.test('a link that goes silent and comes back with its connections', { skip }, async t => {
  const network = await networkFor(t)
  await network.rate(40)
  const journey = await network.upload(30 * MIB, { stallTimeout: 3_000 })
  await journey.reached(5 * MIB)
  await network.down()
  await sleep(5_000)
  await network.up()
  await arrives(t, journey, 'down for 5 s')
})
