/**
 * As many kill -9 as you like: `npx tsx test/kills.ts 200`, or `npx tsx test/kills.ts 200 film` of a
 * fragmented MP4 that must play afterwards. `SEED=…` takes the same moments again. Exits with 1 where a
 * recording is not what was written.
 */
import { killRecorders } from './support/kills.ts'
import { randomOf } from './support/power-cuts.ts'

const count = Number(process.argv[2] ?? 200)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const { said, violation } = await killRecorders(count, {
  random: randomOf(seed),
  film: process.argv[3] === 'film',
  onRun: () => process.stdout.write('.'),
})
console.log(`\n${said}, SEED=${seed}`)
if (violation !== undefined) {
  console.error(violation)
  process.exitCode = 1
}
