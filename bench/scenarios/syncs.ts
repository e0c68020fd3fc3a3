import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Job } from '../job.ts'
import { GiB, KiB, MiB, type Pace, runContestant, startSink } from '../measure.ts'
import { figure, type Outcome } from '../report.ts'

const PART = 5 * MiB
const CALLS = ['fdatasync', 'fsync'] as const

export const syncs = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const spoolDir = await mkdtemp(resolve('.bench', 'spool-'))
  const isThere = !spawnSync('strace', ['--version']).error
  const size = (mebibytes: number) => mebibytes * MiB - ((mebibytes * MiB) % PART)
  const sources: Record<string, Partial<Job> & { bytes: number }> = {
    'always ready': { bytes: size(pace.quick ? 100 : 1_024) },
    '200 Mbit/s': { bytes: size(pace.quick ? 50 : 200), rate: 200e6 / 8 },
    '20 Mbit/s': { bytes: size(pace.quick ? 10 : 20), rate: 20e6 / 8 },
  }
  const rows = []
  for (const [name, source] of Object.entries(isThere ? sources : {})) {
    const job = { url: sink.url, chunkSize: 64 * KiB, partSize: PART, spoolDir, ...source }
    rows.push({ name, bytes: job.bytes, ...(await count(job, join(spoolDir, 'calls'))) })
    process.stderr.write('.')
  }
  process.stderr.write('\n')
  await sink.close()
  await rm(spoolDir, { recursive: true })
  const all = rows.map(row => ({ ...row, calls: row.fdatasync + row.fsync }))
  return {
    title: 'Syncs',
    about: `How often the disk is told to make something durable, counted by strace, once each: fdatasync is of a part's file or the journal, fsync of a folder. Parts of 5 MiB.${isThere ? '' : ' strace is not installed.'}`,
    tables: [
      {
        title: 'Calls',
        columns: ['source', ...CALLS, 'a part', 'a GiB', 'a second'],
        rows: all.map(({ name, bytes, fdatasync, fsync, calls, seconds }) => [
          name,
          ...[fdatasync, fsync].map(String),
          ...[calls / (bytes / PART), calls / (bytes / GiB), calls / seconds].map(figure),
        ]),
      },
    ],
    chart: {
      title: 'Syncs a part of 5 MiB',
      unit: 'calls',
      bars: all.map(({ name, bytes, calls }) => {
        const each = calls / (bytes / PART)
        return { label: name, value: { median: each, min: each, max: each }, ours: true }
      }),
    },
    goals: [],
  }
}

/** Lets the library do a job under strace, which writes into a file what it counted. */
const count = async (job: Job, file: string) => {
  const strace = ['strace', '-f', '-qq', '-c', '-o', file, '-e', `trace=${CALLS.join()}`]
  const { seconds } = await runContestant('library', job, strace)
  const lines = (await readFile(file, 'utf8')).split('\n').map(line => line.trim().split(/\s+/))
  // Share of the time, seconds, μs a call, calls, errors where there were any, name.
  const of = (name: string) => Number(lines.find(line => line.at(-1) === name)?.[3] ?? 0)
  return { seconds, fdatasync: of('fdatasync'), fsync: of('fsync') }
}
