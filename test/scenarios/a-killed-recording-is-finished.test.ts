import t from 'tap'
import { killRecorders } from '../support/kills.ts'
import { randomOf } from '../support/power-cuts.ts'

/** `SEED=… npx tap run test/scenarios/a-killed-recording-is-finished.test.ts` takes the same moments. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/kills.ts 200`. */
const COUNT = 12

// Only a guard against hanging.
t.setTimeout(240_000)

t.test('kill -9 at any moment: what was durable is at Frame.io after a resume', async t => {
  const { kills, lost, violation } = await killRecorders(COUNT, randomOf(SEED))
  t.comment(`${COUNT} recordings, ${kills} kills, at most ${lost} bytes lost, SEED=${SEED}`)
  t.equal(violation, undefined)
})
