/**
 * As many recordings to V4 as you like on a disk that forgets, the power cut after each call to it:
 * `npx tsx test/take-power-cuts.ts 1000`. `SEED=…` runs the same again. Exits with 1 where what was promised does not
 * hold.
 */
import { cutPowerOfTakes } from './support/take-power-cuts.ts'

const takes = Number(process.argv[2] ?? 200)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const { cuts, violation } = await cutPowerOfTakes(takes, seed)
console.log(`${takes} recordings, ${cuts} power cuts, SEED=${seed}`)
if (violation !== undefined) {
  console.error(violation)
  process.exitCode = 1
}
