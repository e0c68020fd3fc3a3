import t from 'tap'
import { runFollowSchedules } from '../support/followers.ts'

/** `SEED=… npx tap run` with this file runs the same ones again. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/random-followers.ts 5000`. */
const COUNT = 100

const problems: unknown[] = []
process.on('unhandledRejection', reason => problems.push(reason))
process.on('warning', warning => problems.push(warning))

t.setTimeout(600_000)

t.test(`the asset is the file at its end, or one error tells why (SEED=${SEED})`, async t => {
  t.comment(`SEED=${SEED}`)
  const { ran, ends, failure } = await runFollowSchedules(COUNT, SEED)
  t.equal(failure, undefined, `SEED=${SEED}`)
  t.ok(ran >= COUNT, `${ran} schedules ran`)
  t.comment(JSON.stringify(Object.fromEntries(ends)))
  t.strictSame(problems, [], 'no unhandled rejection and no warning')
})
