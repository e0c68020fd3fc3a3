/**
 * As many power cuts as you like: `npx tsx test/power-cuts.ts 1000`, of so many takes. `SEED=…` runs the
 * same ones again. Exits with 1 where something does not hold.
 */
import { cutPower } from './support/power-cuts.ts'

const takes = Number(process.argv[2] ?? 1_000)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
const start = performance.now()
let cuts = 0
for (let done = 0; done < takes; done += 20) {
  const tally = await cutPower(Math.min(20, takes - done), seed + done, process.env.ONLY)
  cuts += tally.cuts
  const seconds = ((performance.now() - start) / 1_000).toFixed(0)
  console.log(`${done + tally.takes} takes, ${cuts} power cuts, ${seconds} s, SEED=${seed + done}`)
  if (tally.violation === undefined) continue
  console.error(tally.violation)
  process.exit(1)
}
