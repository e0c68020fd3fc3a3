/**
 * Starts sinks and contestants, each in a process of its own, lets contestants run in turn, and
 * keeps what they took.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Name } from './contestant.ts'
import type { Figures, Job } from './job.ts'
import type { Received, SinkOptions } from './sink.ts'

export const KiB = 2 ** 10
export const MiB = 2 ** 20
export const GiB = 2 ** 30

/** What a run took, and what came of it. */
export type Run = Pick<Figures, 'seconds' | 'cpuSeconds' | 'rss'> &
  Partial<Figures> & { readonly bytes: number; readonly received: Received }

/** How often everything is measured. */
export interface Pace {
  /** Counted rounds, after one that is not counted. */
  readonly rounds: number
  /** Just to see whether it works: one round, none for warming up, fewer bytes. */
  readonly quick: boolean
}

export interface Sink {
  readonly url: string
  readonly pid: number | undefined
  /** Forgets what came. */
  begin(): Promise<Received>
  /** What came since. */
  report(): Promise<Received>
  close(): Promise<void>
}

const script = (name: string) => fileURLToPath(new URL(`./${name}.js`, import.meta.url))

/** @param prefix a command to run it with, such as one that takes it to another namespace */
export const startSink = async (
  options: SinkOptions = {},
  prefix: readonly string[] = [],
): Promise<Sink> => {
  const [command = '', ...args] = [
    ...prefix,
    process.execPath,
    script('sink'),
    JSON.stringify(options),
  ]
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const [url] = (await once(child, 'message')) as [string]
  const ask = async (order: 'begin' | 'report') => {
    child.send(order)
    return ((await once(child, 'message')) as [Received])[0]
  }
  return {
    url,
    pid: child.pid,
    begin: () => ask('begin'),
    report: () => ask('report'),
    close: async () => {
      const exited = once(child, 'exit')
      child.disconnect()
      await exited
    },
  }
}

/** Lets a contestant of bench/contestants/ do a job. */
export const runContestant = async (
  name: Name,
  job: Job,
  prefix: readonly string[] = [],
): Promise<Figures> => {
  const [command = '', ...args] = [
    ...prefix,
    process.execPath,
    script('contestant'),
    name,
    JSON.stringify(job),
  ]
  const child = spawn(command, args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    // The certificate of the sink is signed by nobody, and the AWS SDK warns about Node 20.
    env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: '0', NODE_NO_WARNINGS: '1' },
  })
  let figures: Figures | undefined
  child.on('message', (message: Figures) => {
    figures = message
  })
  const [code] = await once(child, 'exit')
  if (!figures) throw new Error(`${name} ended with ${code}, and no figures`)
  return figures
}

/**
 * Runs another program, and watches what it takes. Its start is part of what is measured.
 *
 * @param input a program whose stdout it reads
 */
export const runProgram = async (
  command: readonly string[],
  input?: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<Figures> => {
  const start = performance.now()
  const feeder = input && launch(input, { stdio: ['ignore', 'pipe', 'inherit'] })
  const child = launch(command, {
    stdio: [feeder?.stdout ?? 'ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...env },
  })
  feeder?.stdout?.destroy() // The program has its own end of it.
  let complaint = ''
  child.stderr?.on('data', text => {
    complaint += text
  })
  let usage = { cpuSeconds: 0, rss: 0 }
  const watch = setInterval(() => {
    usage = usageOf(child.pid) ?? usage
  }, 10)
  const [code] = await once(child, 'exit')
  clearInterval(watch)
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${complaint}`)
  const seconds = (performance.now() - start) / 1_000
  const unknown = { heap: Number.NaN, lag: Number.NaN }
  return { ...usage, ...unknown, seconds, start: performance.timeOrigin + start }
}

const launch = ([command = '', ...args]: readonly string[], options: object): ChildProcess =>
  spawn(command, args, options)

/** Processor time and highest resident memory of a running process; undefined when it is gone. */
const usageOf = (pid: number | undefined) => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number)
    const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    if (kib === undefined) return undefined
    return { cpuSeconds: (Number(user) + Number(system)) / 100, rss: Number(kib) / KiB }
  } catch {
    return undefined
  }
}

/** A contestant's turn: what it must bring to the sink, and how. */
export interface Turn {
  readonly sink: Sink
  readonly bytes: number
  /** Nothing of it goes to the sink: a floor of something else. */
  readonly isElsewhere?: boolean
  run(): Promise<Figures>
}

/** Lets all have their turn, again and again: A B C A B C …, one round for warming up. */
export const inTurn = async <K extends string>(
  turns: Readonly<Record<K, Turn>>,
  { rounds, quick }: Pace,
): Promise<Record<K, Run[]>> => {
  const names = Object.keys(turns) as K[]
  const runs = Object.fromEntries(names.map(name => [name, [] as Run[]])) as Record<K, Run[]>
  for (let round = quick ? 1 : 0; round <= rounds; round++) {
    for (const name of names) {
      const { sink, bytes, run, isElsewhere = false } = turns[name]
      await sink.begin()
      const figures = await run()
      const received = await sink.report()
      if (!isElsewhere && received.stored !== bytes) {
        throw new Error(`${name}: ${received.stored} of ${bytes} bytes were stored`)
      }
      process.stderr.write('.')
      if (round > 0) runs[name].push({ ...figures, bytes, received })
    }
  }
  process.stderr.write('\n')
  return runs
}

export const rateOf = ({ bytes, seconds }: Run) => bytes / MiB / seconds
export const cpuOf = ({ bytes, cpuSeconds }: Run) => cpuSeconds / (bytes / GiB)
export const rssOf = ({ rss }: Run) => rss

/** A figure over several runs. */
export interface Sample {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const sample = (runs: readonly Run[], figure: (run: Run) => number): Sample => {
  const sorted = runs.map(figure).toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return {
    median: ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
  }
}

export const median = (runs: readonly Run[], figure: (run: Run) => number) =>
  sample(runs, figure).median
