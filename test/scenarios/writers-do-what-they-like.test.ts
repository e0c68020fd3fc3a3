/**
 * What a writer may do to its file, as a list that is carried out; and what becomes of the asset.
 */
import { execFile, spawnSync } from 'node:child_process'
import { type FileHandle, mkdtemp, open, readFile, rm, utimes } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import t from 'tap'
import { RealtimeUpload, uploadFrom } from '../../lib/index.ts'
import type { Fault, Sandbox, SandboxRequest } from '../../lib/sandbox/index.ts'
import {
  bytes,
  optionsFor,
  QUICK,
  record,
  SMALL,
  sandboxFor,
  sha256,
  targetIn,
  until,
} from '../support/sandboxes.ts'

const run = promisify(execFile)

type Act =
  | 'touch'
  /** Says that it is over. */
  | 'tell'
  | { readonly append: number | Buffer }
  | { readonly patch: number; readonly size: number }
  | { readonly fallocate: number }
  | { readonly truncate: number }
  | { readonly pause: number }
  /** Waits until so many parts are stored. */
  | { readonly stored: number }
  /** Waits until a PUT of this part has arrived whole, and is held. */
  | { readonly held: number }

interface Writer {
  readonly acts: readonly Act[]
  /** Opens its file for each act, and closes it again. Default: it has it open until its end. */
  readonly opensEachTime?: boolean
  /** How long nothing may change where nobody is seen, in ms. */
  readonly idle?: number
  /** What it does as changed parts are sent again, for the first time, and so on. */
  readonly whileChecked?: readonly (readonly Act[])[]
  /** What it does once the head is on its way. */
  readonly whileHeadGoes?: readonly Act[]
  readonly faults?: readonly Fault[]
  /** What must become of it. Numbers of the parts that are sent again, in turn. */
  readonly changed?: readonly (readonly number[])[]
  readonly warnings?: readonly string[]
  /** `'over'`: nobody told; by what it is found depends on whether somebody was seen in the act. */
  readonly end: 'over' | 'told' | 'unfinished' | { readonly code: string }
}

/** Nothing may change for so long, in ms, where nobody tells. */
const IDLE = 1_000
/** Holds the second PUT of a part, so that something can happen meanwhile. */
const slow = (part: number): Fault => ({ on: 'put', part, nth: 2, do: { delay: 1_000 } })
/** Bytes of which the last is no zero: that would be room that was made beforehand. */
const written = (size: number) => bytes(size).fill(1, Math.max(0, size - 1))
/** A WAV whose head leaves its size open. */
const wav = (size: number) => {
  const file = written(size)
  file.write('RIFF')
  file.writeUInt32LE(0xffffffff, 4)
  file.write('WAVEfmt ', 8)
  return file
}

const WRITERS: Record<string, Writer> = {
  'pauses for longer than idle, with its file open': {
    acts: [
      { append: 4_500 },
      { stored: 3 },
      { pause: 2 * IDLE },
      { append: 2_000 },
      { stored: 5 },
      'tell',
    ],
    end: 'told',
  },
  'opens its file for each piece': {
    opensEachTime: true,
    idle: 4_000,
    acts: Array.from({ length: 12 }, (): Act[] => [{ append: 700 }, { pause: 150 }]).flat(),
    end: 'over',
  },
  'makes its file large by fallocate, and cuts it at its end': {
    acts: [
      { fallocate: 60_000 },
      { append: 4_500 },
      { stored: 3 },
      { append: 3_000 },
      { stored: 6 },
      { truncate: 7_500 },
      'tell',
    ],
    end: 'told',
  },
  'makes it large as a hole, and cuts it at its end': {
    acts: [{ truncate: 60_000 }, { append: 4_500 }, { stored: 3 }, { truncate: 4_500 }, 'tell'],
    end: 'told',
  },
  'patches the middle while it grows': {
    acts: [
      { append: 4_500 },
      { stored: 3 },
      { patch: 2_100, size: 50 },
      { append: 3_000 },
      { stored: 6 },
      'tell',
    ],
    changed: [[3]],
    warnings: ['SOURCE_REWRITTEN'],
    end: 'told',
  },
  'patches all of it at its end, as faststart does': {
    acts: [{ append: 6_500 }, { stored: 5 }, { patch: 0, size: 6_500 }, 'tell'],
    changed: [[2, 3, 4, 5, 6]],
    warnings: ['SOURCE_REWRITTEN'],
    end: 'told',
  },
  'patches its head, as most do': {
    acts: [{ append: 6_500 }, { stored: 5 }, { patch: 4, size: 44 }, 'tell'],
    end: 'told',
  },
  'patches again during the check': {
    acts: [{ append: 30_500 }, { stored: 29 }, { patch: 2_100, size: 50 }],
    whileChecked: [[{ held: 3 }, { patch: 4_100, size: 50 }]],
    faults: [slow(3)],
    changed: [[3], [5]],
    end: 'over',
  },
  'appends during the check': {
    acts: [{ append: 30_500 }, { stored: 29 }, { patch: 2_100, size: 50 }],
    whileChecked: [[{ held: 3 }, { append: 3_000 }]],
    faults: [slow(3)],
    changed: [[3]],
    end: 'over',
  },
  'patches again at each check': {
    acts: [{ append: 30_500 }, { stored: 29 }, { patch: 2_100, size: 50 }],
    whileChecked: Array(3).fill([{ held: 3 }, { patch: 2_100, size: 50 }]),
    faults: [{ ...slow(3), times: 3 }],
    changed: [[3], [3], [3]],
    end: { code: 'ERR_SOURCE_CHANGED' },
  },
  'patches what was sent while the head goes': {
    acts: [{ append: 4_500 }],
    whileHeadGoes: [{ patch: 2_100, size: 50 }],
    faults: [{ on: 'put', part: 1, do: { delay: 1_000 } }],
    end: { code: 'ERR_SOURCE_CHANGED' },
  },
  'touches its file while the head goes': {
    acts: [{ append: 4_500 }],
    whileHeadGoes: ['touch'],
    faults: [{ on: 'put', part: 1, do: { delay: 1_000 } }],
    end: 'over',
  },
  'writes byte by byte': {
    acts: [...Array.from({ length: 1_200 }, (): Act => ({ append: 1 })), 'tell'],
    end: 'told',
  },
  'ends exactly on a part': { acts: [{ append: 4_000 }, { stored: 2 }, 'tell'], end: 'told' },
  'writes one byte': { acts: [{ append: 1 }], end: 'over' },
  'writes nothing': { acts: [], end: { code: 'ERR_EMPTY_STREAM' } },
  'makes room and writes nothing': {
    acts: [{ truncate: 5_000 }, 'tell'],
    end: { code: 'ERR_EMPTY_STREAM' },
  },
  'is through before anybody follows': {
    acts: [{ append: 5_500 }],
    opensEachTime: true,
    end: 'over',
  },
  'cuts what was sent': {
    acts: [{ append: 5_500 }, { stored: 4 }, { truncate: 2_500 }, 'tell'],
    end: { code: 'ERR_SOURCE_TRUNCATED' },
  },
  'is killed before it finished its head': {
    acts: [{ append: wav(4_500) }],
    warnings: ['SOURCE_UNFINISHED'],
    end: 'unfinished',
  },
}

interface Following {
  tell(): void
  stored(count: number): Promise<void>
  held(part: number): Promise<void>
}

/** Does to a file what its writer does; `leave` closes it, and what is done then opens it for each act. */
const handOf = async (path: string, following: Following) => {
  let mine: FileHandle | undefined = await open(path, 'w')
  const inFile = async (work: (file: FileHandle) => Promise<unknown>) => {
    const file = mine ?? (await open(path, 'r+'))
    await work(file)
    if (!mine) await file.close()
  }
  let end = 0
  const act = async (what: Act): Promise<void> => {
    if (what === 'tell') return following.tell()
    if (what === 'touch') return utimes(path, new Date(), new Date())
    if ('stored' in what) return following.stored(what.stored)
    if ('held' in what) return following.held(what.held)
    if ('pause' in what) return wait(what.pause)
    if ('truncate' in what) return inFile(file => file.truncate(what.truncate))
    if ('fallocate' in what) {
      await run('fallocate', ['-l', String(what.fallocate), path])
      return
    }
    if ('patch' in what)
      return inFile(file => file.write(written(what.size), 0, what.size, what.patch))
    const chunk = typeof what.append === 'number' ? written(what.append) : what.append
    await inFile(file => file.write(chunk, 0, chunk.length, end))
    end += chunk.length
  }
  return {
    does: async (acts: readonly Act[]) => {
      for (const one of acts) await act(one)
    },
    leave: async () => {
      await mine?.close()
      mine = undefined
    },
  }
}

const isHeld = (
  { assetId, operation, partNumbers, bytes, endedAt }: SandboxRequest,
  id: string,
  part: number,
) =>
  assetId === id &&
  operation === 'put' &&
  partNumbers[0] === part &&
  bytes > 0 &&
  endedAt === undefined

/** Carries out what a writer does while its file is followed, and gives what became of it. */
const play = async (dir: string, sandbox: Sandbox, name: string, writer: Writer) => {
  const {
    acts,
    opensEachTime = false,
    idle = IDLE,
    whileChecked = [],
    whileHeadGoes,
    faults = [],
  } = writer
  const path = join(dir, name.replaceAll(/\W+/g, '-'))
  const { asset } = targetIn(sandbox)
  for (const fault of faults) sandbox.faults.add({ ...fault, assetId: asset.id })
  const limits = { ...SMALL, lookEvery: 5 }
  const upload = new RealtimeUpload(optionsFor({ sandbox, asset }, { retry: QUICK }, limits))
  const { warning } = record(upload)
  const telling = new AbortController()
  const hand = await handOf(path, {
    tell: () => telling.abort(),
    stored: count =>
      until(() => upload.progress.partsUploaded >= count, `${count} parts of ${name}`),
    held: part =>
      until(
        () => sandbox.requests.some(request => isHeld(request, asset.id, part)),
        `part ${part}`,
      ),
  })
  const also: Promise<void>[] = []
  const changed: (readonly number[])[] = []
  upload.on('changed', ({ partNumbers }) => {
    also.push(hand.does(whileChecked[changed.length] ?? []))
    changed.push(partNumbers)
  })
  const headGoes = async () => {
    await until(() => asset.parts.some(({ number, puts }) => number === 1 && puts > 0), 'the head')
    await hand.does(whileHeadGoes ?? [])
  }
  if (whileHeadGoes) also.push(headGoes())
  if (opensEachTime) await hand.leave()
  const follow = { headroom: 0, idle, ended: telling.signal }
  const following = uploadFrom({ file: path, follow }, upload).then(
    ({ source }) => ({ source, error: undefined }),
    (error: { code?: string }) => ({ source: undefined, error }),
  )
  await hand.does(acts)
  await hand.leave()
  const { source, error } = await following
  await Promise.all(also)
  if (!error) await asset.whenUploaded()
  return {
    source,
    error,
    changed,
    asset,
    file: await readFile(path),
    codes: warning.map(({ code }) => code),
  }
}

t.test('whatever a writer does, the asset is its file, or one error tells why', async t => {
  const sandbox = await sandboxFor(t, {}, SMALL)
  const dir = await mkdtemp(join(tmpdir(), 'writers-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const hasFallocate = spawnSync('fallocate', ['--version']).status === 0
  // Side by side: some wait for 10 s, as one that was seen for a moment may open its file again.
  const ends = Object.entries(WRITERS).map(([name, writer]) => {
    const needsIt = writer.acts.some(act => typeof act === 'object' && 'fallocate' in act)
    if (needsIt && !hasFallocate) return { name, writer, playing: undefined }
    return { name, writer, playing: play(dir, sandbox, name, writer) }
  })
  await Promise.allSettled(ends.map(({ playing }) => playing))
  for (const { name, writer, playing } of ends) {
    const skip = playing ? false : 'there is no fallocate here'
    await t.test(name, { skip }, async t => {
      if (!playing) return
      const { end, changed = [], warnings = [] } = writer
      const played = await playing
      t.strictSame(played.changed, changed, 'what was sent again')
      t.strictSame(played.codes, warnings)
      if (typeof end === 'object') {
        t.match(played.error, end)
        const isThere = writer.whileHeadGoes !== undefined
        t.equal(played.asset.status, isThere ? 'uploaded' : 'created')
        return
      }
      t.equal(played.error, undefined)
      t.equal(played.asset.sha256, sha256(played.file), 'the asset is the file')
      t.equal(played.source?.ok, end !== 'unfinished')
      if (end === 'told') t.equal(played.source?.reason, 'told')
      else t.match(played.source?.reason, /^(idle|closed)$/)
    })
  }
})
