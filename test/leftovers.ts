/**
 * The built command again and again, half of the time with programs that fail, hang or are killed, or
 * killed itself: does anything stay? No process, no file, no descriptor of ours, no socket; and the
 * terminal is as it was.
 *
 *   npx tsx test/leftovers.ts 200
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from '../lib/sandbox/index.ts'
import { CLI } from './support/command.ts'
import { until } from './support/sandboxes.ts'
import { noTerminal, openTerminal, quoted } from './support/terminal.ts'

const COUNT = Number(process.argv[2] ?? 200)
const AT_ONCE = 4

interface Kind {
  readonly script: string
  /** The exit code; null where the command is killed. */
  readonly code: number | null
  /** Sent to the command once bytes have come. */
  readonly signals?: readonly NodeJS.Signals[]
  /** On a terminal, of which the modes are read before and after. */
  readonly terminal?: true
  /** Is the upload refused? */
  readonly refused?: true
}

const FILM = 'trap "exit 0" INT TERM; echo x; while :; do sleep 0.05; done'
const HANG = 'echo x; sleep 600 & sleep 600'
const STUBBORN = `trap "" INT TERM HUP QUIT; ${HANG}`

const KINDS: Record<string, Kind> = {
  'ends well': { script: 'echo x', code: 0 },
  'writes much': { script: 'seq 1 1000000', code: 0 },
  'is on a terminal': { script: 'echo x; sleep 0.3', code: 0, terminal: true },
  'ends at Ctrl-C': { script: FILM, code: 0, signals: ['SIGINT'] },
  'ends at SIGTERM': { script: FILM, code: 0, signals: ['SIGTERM'] },
  fails: { script: 'echo x; exit 7', code: 3 },
  'fails on a terminal': { script: 'exit 7', code: 1, terminal: true },
  'is killed': { script: 'echo x; kill -9 $$', code: 3 },
  'hangs, and is aborted': { script: HANG, code: 130, signals: ['SIGQUIT'] },
  'ignores signals': { script: STUBBORN, code: 130, signals: ['SIGINT', 'SIGINT'] },
  'hangs while its upload is refused': { script: `seq 1 1000000; ${HANG}`, code: 1, refused: true },
  'hangs while the command is killed': { script: HANG, code: null, signals: ['SIGKILL'] },
}

const sandbox = await startSandbox()
const folder = mkdtempSync(join(tmpdir(), 'leftovers-'))
const faults: string[] = []

/** In the environment of a run, and so of all that it starts. */
const markOf = (run: number) => `${process.pid}-${run}.`

const processesOf = (mark: string): string[] =>
  readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(pid => {
      try {
        const environ = readFileSync(`/proc/${pid}/environ`, 'latin1')
        const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
        return environ.includes(`LEFTOVERS=${mark}`) ? [`${pid} ${line}`] : []
      } catch {
        return [] // It has ended meanwhile, or is another user's.
      }
    })

const one = async (run: number, name: string, kind: Kind) => {
  const { script, code: wanted, signals = [], terminal, refused } = kind
  const asset = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  if (refused) sandbox.faults.add({ on: 'put', assetId: asset.id, do: { status: 400 } })
  const own = mkdtempSync(join(folder, 'run-'))
  const mark = markOf(run)
  const env = { FRAMEIO_TOKEN: sandbox.token, TMPDIR: own, LEFTOVERS: mark }
  const to = ['--base-url', sandbox.url, '--asset', asset.id, '--filetype', 'video/mp4', '--json']
  const args = [...to, '--', 'sh', '-c', script]
  const code = await (terminal ? onTerminal(args, env) : alone(args, env, signals))
  const blame = (what: string) => faults.push(`run ${run}, a program that ${name}: ${what}`)
  if (code !== wanted) blame(`exit code ${code}, and not ${wanted}`)
  // What a command that was killed has started ends a little later.
  const isOver = () => processesOf(mark).length === 0
  await until(wanted === null ? isOver : () => true).catch(() => {})
  for (const line of processesOf(mark)) {
    blame(`left a process: ${line}`)
    process.kill(Number(line.split(' ')[0]), 'SIGKILL')
  }
  for (const file of readdirSync(own)) blame(`left a file: ${file}`)
}

const alone = async (
  args: readonly string[],
  env: Record<string, string>,
  signals: readonly NodeJS.Signals[],
) => {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    said += text
  })
  for (const [index, signal] of signals.entries()) {
    const sign = index === 0 ? /"bytesReceived":[1-9]/ : /Once more aborts/
    await until(() => sign.test(said) || child.exitCode !== null, `${sign}`)
    if (index > 0) await new Promise(resolve => setTimeout(resolve, 600))
    child.kill(signal)
  }
  const [code] = await ended
  return code as number | null
}

const onTerminal = async (args: readonly string[], env: Record<string, string>) => {
  const line = `stty -g; ${quoted(args)}; code=$?; echo; stty -g; exit $code`
  const { ended, shown } = openTerminal(line, { env })
  const code = await ended
  const modes = shown().match(/^[0-9a-f]+(?::[0-9a-f]+){9,}/gm) ?? []
  if (modes.length !== 2 || modes[0] !== modes[1]) {
    faults.push(`the terminal's modes were ${modes.join(' and then ')}`)
  }
  return code
}

const kinds = Object.entries(KINDS).filter(([, { terminal }]) => !terminal || !noTerminal)
const descriptors = () => readdirSync('/proc/self/fd').length
const before = descriptors()
let next = 0
const worker = async () => {
  while (next < COUNT) {
    const run = next++
    const [name, kind] = kinds[run % kinds.length] as [string, Kind]
    await one(run, name, kind)
  }
}
await Promise.all(Array.from({ length: AT_ONCE }, worker))
// Those of a command that was killed are closed by the system, and heard of a moment later.
await until(() => sandbox.stats.openSockets === 0, 'the sockets to be closed').catch(error =>
  faults.push(error.message),
)
if (descriptors() > before) faults.push(`${descriptors() - before} descriptors are left open`)
await sandbox.close()
rmSync(folder, { recursive: true })
for (const fault of faults) console.error(fault)
console.log(`${next} runs of ${kinds.length} kinds, ${faults.length} faults`)
process.exitCode = faults.length === 0 ? 0 : 1
