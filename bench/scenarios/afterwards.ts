import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openLink } from '../link.ts'
import {
  inTurn,
  KiB,
  MiB,
  type Pace,
  type Run,
  runContestant,
  runProgram,
  sample,
  type Turn,
} from '../measure.ts'
import { type Outcome, spread } from '../report.ts'

const LINK = 80
const SOURCE = 50

/** What takes a file that is finished to S3, each by its defaults. */
const programs = (file: string, url: string) => ({
  'aws s3 cp': {
    command: ['aws', 's3', 'cp', file, 's3://bucket/key', '--endpoint-url', url],
    env: {
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_DEFAULT_REGION: 'us-east-1',
    },
  },
  'rclone copyto': {
    command: [
      'rclone',
      'copyto',
      file,
      `:s3,provider=Other,access_key_id=key,secret_access_key=secret,no_check_bucket,endpoint="${url}":bucket/key`,
      '--config=/dev/null',
    ],
    env: { AWS_CA_BUNDLE: undefined },
  },
  'curl -T': { command: ['curl', '-sS', '-T', file, `${url}/bucket/key`], env: {} },
})

/** Of what goes up while it is recorded, that is the lag; of what goes up afterwards, all of it. */
const afterOf = ({ lag = Number.NaN, seconds }: Run) => (Number.isFinite(lag) ? lag : seconds)

export const afterwards = async (pace: Pace): Promise<Outcome> => {
  const link = await openLink(LINK)
  const dir = await mkdtemp(resolve('.bench', 'spool-'))
  const bytes = (pace.quick ? 10 : 25) * MiB
  const file = join(dir, 'A001.mp4')
  await writeFile(file, Buffer.alloc(bytes, 7))
  const { sink, prefix } = link
  const job = { url: sink.url, bytes, chunkSize: 64 * KiB, rate: (SOURCE * 1e6) / 8 }
  const turn = (run: Turn['run']): Turn => ({ sink, bytes, run })
  const turns: Record<string, Turn> = {
    'this library, without a spool': turn(() => runContestant('library', job, prefix)),
    'this library, with a spool': turn(() =>
      runContestant('library', { ...job, spoolDir: join(dir, 'spool') }, prefix),
    ),
  }
  const missing: string[] = []
  for (const [name, { command, env }] of Object.entries(programs(file, sink.url))) {
    if (spawnSync(command[0] ?? '', ['--version']).error) missing.push(name)
    else turns[name] = turn(() => runProgram([...prefix, ...command], undefined, env))
  }
  // It is as long as a recording, and the figures of a link hardly differ.
  const runs = await inTurn(turns, { ...pace, rounds: Math.min(pace.rounds, 2) })
  await link.close()
  await rm(dir, { recursive: true })
  const all = Object.entries(runs)
  return {
    title: 'While it is recorded, and afterwards',
    about: `Seconds from the end of a recording to the last byte's arrival: ${bytes / MiB} MiB at ${SOURCE} Mbit/s, over a link of ${LINK} Mbit/s (${link.made}). What people do otherwise is \`tee\` to a file, and then one of the programs: each takes longer with every minute that was recorded, by ${Math.round((60 * ((SOURCE * 1e6) / 8)) / link.rate)} s. At most two counted rounds.`,
    tables: [
      {
        title: 'Seconds',
        columns: ['', 'after the recording'],
        rows: [
          ...all.map(([name, samples]) => [name, spread(sample(samples, afterOf))]),
          ...missing.map(name => [name, 'not installed']),
        ],
      },
    ],
    chart: {
      title: 'Seconds from the end of a recording to the end of its upload',
      unit: 's',
      bars: all.map(([label, samples]) => ({
        label,
        value: sample(samples, afterOf),
        ours: label.startsWith('this library'),
      })),
    },
    goals: [],
  }
}
