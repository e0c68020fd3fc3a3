/**
 * What goes on for minutes, as anyone can run it by hand: random schedules, random followers, power cuts, kills, uploads
 * that trickle through faults, two hundred at once, the command with all that can befall it. Each tool
 * says by its exit code how it ended.
 */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** A guard against hanging, in ms. */
const PATIENCE = 45 * 60_000
t.setTimeout(PATIENCE)
t.jobs = 3

for (const [tool, ...args] of [
  ['random-schedules', '2000'],
  ['random-followers', '500'],
  ['power-cuts', '300'],
  ['kills', '60'],
  ['kills', '10', 'film'],
  ['take-power-cuts', '500'],
  ['take-kills', '40'],
  ['soak', '3'],
  ['load', '200'],
  ['leftovers', '40'],
] as const) {
  t.test(`${tool} ${args.join(' ')}`, async t => {
    const file = fileURLToPath(new URL(`../${tool}.ts`, import.meta.url))
    const command = ['--import=tsx', file, ...args]
    const { code, said } = await new Promise<{ code: unknown; said: string }>(resolve => {
      execFile(process.execPath, command, { timeout: PATIENCE }, (error, stdout, stderr) =>
        resolve({ code: error ? (error.code ?? error.signal) : 0, said: stdout + stderr }),
      )
    })
    t.comment(said)
    t.equal(code, 0, said.slice(-2_000))
  })
}
