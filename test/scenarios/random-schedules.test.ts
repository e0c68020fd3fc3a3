import t from 'tap'
import { runSchedules } from '../support/schedules.ts'

/** `SEED=… npx tap run test/scenarios/random-schedules.test.ts` runs the same ones again. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/random-schedules.ts 20000`. */
const COUNT = 200

const problems: unknown[] = []
process.on('unhandledRejection', reason => problems.push(reason))
process.on('warning', warning => problems.push(warning))

/** What keeps the process running: timers, sockets, requests. */
const resources = () =>
  process.getActiveResourcesInfo().filter(name => /Timeout|TCP|TLS|Req/.test(name))

t.setTimeout(600_000)

t.test(`whatever happens, each byte arrives or one error tells why (SEED=${SEED})`, async t => {
  t.comment(`SEED=${SEED}`)
  const before = resources().length
  const { ran, failure } = await runSchedules(COUNT, SEED)
  t.equal(failure, undefined, `SEED=${SEED}`)
  t.ok(ran >= COUNT, `${ran} schedules ran`)
  await new Promise(resolve => setTimeout(resolve, 50))
  t.strictSame(problems, [], 'no unhandled rejection and no warning')
  t.ok(resources().length <= before, `nothing is left open: ${resources()}`)
})
