import { mkdtemp, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  cpuOf,
  GiB,
  inTurn,
  KiB,
  MiB,
  median,
  type Pace,
  rateOf,
  runContestant,
  sample,
  startSink,
  type Turn,
} from '../measure.ts'
import { atLeast, atMost, COSTS, costsOf, type Outcome } from '../report.ts'

const PART = 5 * MiB

export const spool = async (pace: Pace): Promise<Outcome> => {
  const sink = await startSink({})
  const bytes = pace.quick ? 320 * MiB : 2 * GiB - ((2 * GiB) % PART)
  const disk = await mkdtemp(resolve('.bench', 'spool-'))
  const shm = (await stat('/dev/shm').catch(() => undefined))?.isDirectory()
  const tmpfs = shm ? await mkdtemp('/dev/shm/spool-') : undefined
  const job = { url: sink.url, bytes, chunkSize: 64 * KiB, partSize: PART }
  const turn = (run: Turn['run']): Turn => ({ sink, bytes, run })
  const turns: Record<string, Turn> = {
    'without a spool': turn(() => runContestant('library', job)),
    'spool on the disk': turn(() => runContestant('library', { ...job, spoolDir: disk })),
    'the disk alone': {
      ...turn(() => runContestant('disk-loop', { ...job, spoolDir: join(disk, 'bare') })),
      isElsewhere: true,
    },
    ...(tmpfs && {
      'spool on a tmpfs': turn(() => runContestant('library', { ...job, spoolDir: tmpfs })),
    }),
  }
  const runs = await inTurn(turns, pace)
  await sink.close()
  for (const dir of [disk, tmpfs]) if (dir) await rm(dir, { recursive: true })
  const of = (name: string) => runs[name] ?? []
  const rate = (name: string) => median(of(name), rateOf)
  const cpu = (name: string) => median(of(name), cpuOf)
  const more = cpu('spool on the disk') - cpu('without a spool') - cpu('the disk alone')
  return {
    title: 'Spool',
    about:
      'A source that is always ready, 64 KiB chunks, parts of 5 MiB, defaults; every byte durable on the disk before its part is registered. The disk alone: parts that are ready are hashed (CRC-32), written to a file each, synced and removed, two at a time, by a bare loop.',
    tables: [
      {
        title: 'Costs',
        columns: ['', ...COSTS],
        rows: Object.keys(turns).map(name => [name, ...costsOf(of(name))]),
      },
    ],
    chart: {
      title: 'Throughput with a spool',
      unit: 'MiB/s',
      bars: Object.keys(turns).map(name => ({
        label: name,
        value: sample(of(name), rateOf),
        ours: name !== 'the disk alone',
      })),
    },
    goals: [
      atLeast(
        'spool on the disk: ≥ 0.7 of the disk alone',
        rate('spool on the disk') / rate('the disk alone'),
        0.7,
      ),
      ...(tmpfs
        ? [
            atLeast(
              'spool on a tmpfs: ≥ 0.5 of the rate without',
              rate('spool on a tmpfs') / rate('without a spool'),
              0.5,
            ),
          ]
        : []),
      atMost('spool: CPU ≤ without + the disk alone + 0.15 s/GiB', more, 0.15, ' s/GiB more'),
    ],
  }
}
