/**
 * As many random followers as you like: `npx tsx test/random-followers.ts 5000`. `SEED=…` runs the
 * same ones again. Prints the count, the rate and the seed as it goes; exits with 1 on a violation.
 */
import { runFollowSchedules } from './support/followers.ts'

/** Schedules between two lines, each such batch with a seed of its own. */
const BATCH = 500

const count = Number(process.argv[2] ?? 5_000)
const first = Number(process.env.SEED ?? Date.now() % 2 ** 31)
let problems = 0
for (const event of ['unhandledRejection', 'warning'] as const) {
  process.on(event, (problem: unknown) => {
    problems++
    console.error(`${event}:`, problem)
  })
}

const start = performance.now()
console.log(`${count} random followers, SEED=${first}`)
let ran = 0
const ends = new Map<string, number>()
for (let seed = first; ran < count && problems === 0; seed += 1_000) {
  const tally = await runFollowSchedules(Math.min(BATCH, count - ran), seed)
  ran += tally.ran
  const seconds = (performance.now() - start) / 1_000
  const rate = (ran / seconds).toFixed(1)
  const memory = (process.memoryUsage.rss() / 2 ** 20).toFixed(0)
  console.log(
    `${ran} schedules, ${seconds.toFixed(0)} s, ${rate}/s, RSS ${memory} MiB, SEED=${seed}`,
  )
  for (const [end, times] of tally.ends) ends.set(end, (ends.get(end) ?? 0) + times)
  if (tally.failure === undefined) continue
  console.error(`Violation; SEED=${seed} runs its batch again.\n${tally.failure}`)
  problems++
}
console.log(Object.fromEntries(ends))
console.log(`${ran} schedules ran, ${problems} violations, SEED=${first}`)
process.exitCode = problems === 0 ? 0 : 1
