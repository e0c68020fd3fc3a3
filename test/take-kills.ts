/**
 * As many kill -9 as you like of recordings to V4: `npx tsx test/take-kills.ts 40`. `SEED=…` takes the same moments
 * again. Exits with 1 where a file is not what was recorded, is missing, or is there twice.
 */
import { randomOf } from './support/power-cuts.ts'
import { killTakes } from './support/take-kills.ts'

const count = Number(process.argv[2] ?? 40)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const onRun = () => process.stdout.write('.')
const { said, violation } = await killTakes(count, { random: randomOf(seed), onRun })
console.log(`\n${said}, SEED=${seed}`)
if (violation !== undefined) {
  console.error(violation)
  process.exitCode = 1
}
