/**
 * All scenarios: prints what they found, and writes it to bench/RESULTS.md, with a chart for each.
 *
 *   npm run bench [-- --quick] [-- --only throughput,many] [-- --rounds 5]
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { cpus, release, totalmem, type } from 'node:os'
import { parseArgs } from 'node:util'
import { GiB, type Pace } from './measure.ts'
import { drawChart, type Goal, type Outcome, render, renderGoals } from './report.ts'
import { afterwards } from './scenarios/afterwards.ts'
import { apiLatency } from './scenarios/api-latency.ts'
import { camera } from './scenarios/camera.ts'
import { collapse } from './scenarios/collapse.ts'
import { finishLag } from './scenarios/finish-lag.ts'
import { fromAChild } from './scenarios/from-a-child.ts'
import { lossy } from './scenarios/lossy.ts'
import { many } from './scenarios/many.ts'
import { memory } from './scenarios/memory.ts'
import { outage } from './scenarios/outage.ts'
import { resume } from './scenarios/resume.ts'
import { smallParts } from './scenarios/small-parts.ts'
import { spool } from './scenarios/spool.ts'
import { start } from './scenarios/start.ts'
import { syncs } from './scenarios/syncs.ts'
import { throughput } from './scenarios/throughput.ts'
import { uploadFile } from './scenarios/upload-file.ts'

const SCENARIOS: Record<string, (pace: Pace) => Promise<Outcome>> = {
  throughput,
  'small-parts': smallParts,
  'from-a-child': fromAChild,
  'upload-file': uploadFile,
  'api-latency': apiLatency,
  'finish-lag': finishLag,
  memory,
  spool,
  syncs,
  camera,
  outage,
  resume,
  afterwards,
  many,
  start,
  lossy,
  collapse,
}

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
  },
})
const pace = { quick: values.quick, rounds: Number(values.rounds ?? (values.quick ? 1 : 5)) }
const chosen = values.only?.split(',') ?? Object.keys(SCENARIOS)
const stranger = chosen.find(name => !(name in SCENARIOS))
if (stranger !== undefined) {
  console.error(`There is no scenario ${stranger}; there are ${Object.keys(SCENARIOS).join(', ')}`)
  process.exit(2)
}

const versionOf = async (name: string): Promise<string> =>
  JSON.parse(await readFile(`node_modules/${name}/package.json`, 'utf8')).version

const versions = await Promise.all(
  ['undici', 'p-limit', '@aws-sdk/lib-storage', 'stream-chunker'].map(
    async name => `${name} ${await versionOf(name)}`,
  ),
)
const machine = `${cpus().length} × ${cpus()[0]?.model}, ${(totalmem() / GiB).toFixed(0)} GiB, ${type()} ${release()}, Node ${process.version}; ${versions.join(', ')}`
const how = `${new Date().toISOString().slice(0, 10)}. ${pace.rounds} counted rounds after one for warming up, contestants in turn, each in a process of its own; medians, with the least and the most in brackets.`
console.log(`${machine}\n${how}\n`)

const sections: string[] = []
const goals: Goal[] = []
for (const name of chosen) {
  const began = performance.now()
  process.stderr.write(`${name} `)
  const outcome = await (SCENARIOS[name] as (typeof SCENARIOS)[string])(pace)
  goals.push(...outcome.goals)
  const tables = outcome.tables.map(table => `**${table.title}**\n\n${render(table)}`).join('\n\n')
  const section = `## ${outcome.title}\n\n${outcome.about}\n\n${tables}`
  console.log(`${section}\n\n${renderGoals(outcome.goals)}`)
  console.log(`\n${((performance.now() - began) / 1_000).toFixed(0)} s\n`)
  sections.push(`${section}\n\n![${outcome.chart.title}](charts/${name}.svg)`)
  // A glance is no result, and neither is a part of one.
  if (pace.quick) continue
  await mkdir('bench/charts', { recursive: true })
  await writeFile(`bench/charts/${name}.svg`, drawChart(outcome.chart))
}
console.log(renderGoals(goals))
if (!pace.quick && values.only === undefined) {
  const results = [
    '# Results',
    `\`npm run bench\`, ${how}`,
    machine,
    renderGoals(goals),
    ...sections,
  ]
  await writeFile('bench/RESULTS.md', `${results.join('\n\n')}\n`)
}
