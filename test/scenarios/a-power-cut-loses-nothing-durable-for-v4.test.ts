import t from 'tap'
import { cutPowerOfTakes } from '../support/take-power-cuts.ts'

/** `SEED=… npx tap run test/scenarios/a-power-cut-loses-nothing-durable-for-v4.test.ts` runs the same again. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/take-power-cuts.ts 1000`. */
const TAKES = 60

// Only a guard against hanging.
t.setTimeout(240_000)

t.test('after any call to the disk, in every manner', async t => {
  const { cuts, violation } = await cutPowerOfTakes(TAKES, SEED)
  t.comment(`${cuts} power cuts, SEED=${SEED}`)
  t.equal(violation, undefined)
})
