import { spawnSync } from 'node:child_process'
import type { Name } from '../contestant.ts'
import { programOf } from '../job.ts'
import {
  cpuOf,
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  type Run,
  rateOf,
  runContestant,
  runProgram,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { COSTS, costsOf, type Outcome } from '../report.ts'

const PART = 16

/** What reads its stdin, and how to ask whether it is there. */
const programs = (url: string) => ({
  'curl -T -': { command: ['curl', '-sS', '-T', '-', `${url}/bucket/key`], env: {} },
  'rclone rcat': {
    command: [
      'rclone',
      'rcat',
      `:s3,provider=Other,access_key_id=key,secret_access_key=secret,no_check_bucket,endpoint="${url}",chunk_size=${PART}Mi,upload_concurrency=4:bucket/key`,
      '--config=/dev/null',
    ],
    env: { AWS_CA_BUNDLE: undefined },
  },
  'aws s3 cp -': {
    command: ['aws', 's3', 'cp', '-', 's3://bucket/key', '--endpoint-url', url],
    env: {
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_DEFAULT_REGION: 'us-east-1',
    },
  },
})

export const fromAChild = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink()
  const size = (gibibytes: number) => (gibibytes / (pace.quick ? 8 : 1)) * GiB
  const turnOf = (name: Name, gibibytes: number): Turn => {
    const bytes = size(gibibytes)
    const sizes = { chunkSize: 64 * KiB, partSize: PART * MiB, memoryLimit: 96 * MiB }
    const job = { url: sink.url, bytes, child: true, ...sizes }
    return { sink, bytes, run: () => runContestant(name, job) }
  }
  const turns: Record<string, Turn> = {
    'this library, uploadFrom': turnOf('upload-from', 4),
    'this library, pipeline': turnOf('library', 2),
    'lib-storage': turnOf('lib-storage', 1),
    'lib-storage, CRC32': turnOf('lib-storage-crc32', 1),
    'naive loop': turnOf('naive-loop', 1),
    'stream-chunker, p-limit': turnOf('stream-chunker', 1 / 8),
  }
  const missing: string[] = []
  for (const [name, { command, env }] of Object.entries(programs(sink.url))) {
    if (spawnSync(command[0] ?? '', ['--version']).error) {
      missing.push(name)
      continue
    }
    const bytes = size(name.startsWith('curl') ? 4 : 1)
    turns[name] = { sink, bytes, run: () => runProgram(command, programOf(bytes), env) }
  }
  const runs = await inTurn(turns, pace)
  await sink.close()

  const { 'this library, uploadFrom': ours = [], 'curl -T -': curl = [], ...others } = runs
  const ahead = (other: readonly Run[]) => ({
    rate: median(ours, rateOf) > median(other, rateOf),
    cpu: median(ours, cpuOf) < median(other, cpuOf),
  })
  const figures = (samples: readonly Run[]) =>
    `${median(samples, rateOf).toFixed(0)} MiB/s, ${median(samples, cpuOf).toFixed(2)} s/GiB`
  const behind = Object.entries(others)
    .filter(([, other]) => !(ahead(other).rate && ahead(other).cpu))
    .map(([name]) => name)
  return {
    title: "From a child's stdout",
    about:
      'The source is the stdout of `dd bs=32k`: a named pipe that uploadFrom makes, and for the others a socket, as Node makes it for every child; 16 MiB parts, four lanes. What curl, rclone and aws take includes their start.',
    tables: [
      {
        title: 'HTTP',
        columns: ['', ...COSTS],
        rows: [
          ...Object.entries(runs).map(([name, samples]) => [name, ...costsOf(samples)]),
          ...missing.map(name => [name, 'not installed', '', '']),
        ],
      },
    ],
    chart: {
      title: "Throughput from a child's stdout",
      unit: 'MiB/s',
      bars: Object.entries(runs).map(([label, samples]) => ({
        label,
        value: sample(samples, rateOf),
        ours: label.startsWith('this library'),
      })),
    },
    goals: [
      {
        goal: 'uploadFrom: ahead of `curl -T -` in CPU or rate',
        measured: `${figures(ours)}; curl ${curl.length > 0 ? figures(curl) : 'is not installed'}`,
        met: ahead(curl).rate || ahead(curl).cpu,
      },
      {
        goal: 'uploadFrom: ahead of every other in both',
        measured: behind.length > 0 ? `not of ${behind.join(', ')}` : 'of all',
        met: behind.length === 0,
      },
    ],
  }
}
