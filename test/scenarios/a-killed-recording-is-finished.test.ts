import t, { type Test } from 'tap'
import { killRecorders } from '../support/kills.ts'
import { randomOf } from '../support/power-cuts.ts'

/** `SEED=… npx tap run test/scenarios/a-killed-recording-is-finished.test.ts` takes the same moments. */
const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31)
/** More: `npm run test:long`, or `npx tsx test/kills.ts 200`. */
const COUNT = 12
const FILMS = 2

// Only a guard against hanging.
t.setTimeout(240_000)

const isFinished = async (t: Test, count: number, film: boolean) => {
  const { said, violation } = await killRecorders(count, { random: randomOf(SEED), film })
  t.comment(`${said}, SEED=${SEED}`)
  t.equal(violation, undefined)
}

t.test('kill -9 at any moment: what was durable is at Frame.io after a resume', t =>
  isFinished(t, COUNT, false),
)

t.test('a film that was cut off plays up to its last whole fragment', t =>
  isFinished(t, FILMS, true),
)
