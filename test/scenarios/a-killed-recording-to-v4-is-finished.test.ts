import t from 'tap'
import { randomOf } from '../support/power-cuts.ts'
import { killTakes } from '../support/take-kills.ts'

/** `SEED=… npx tap run test/scenarios/a-killed-recording-to-v4-is-finished.test.ts` takes the same moments. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/take-kills.ts 40`. */
const COUNT = 5

// Only a guard against hanging.
t.setTimeout(240_000)

t.test('each piece is one file, whole, and the last as far as it came', async t => {
  t.comment(`SEED=${SEED}`)
  const { said, violation } = await killTakes(COUNT, { random: randomOf(SEED) })
  t.comment(said)
  t.equal(violation, undefined)
})
