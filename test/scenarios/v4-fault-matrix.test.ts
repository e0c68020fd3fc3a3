/**
 * The faults of the matrix (test/support/matrix.ts) in the calls and PUTs of V4: a file is uploaded whole,
 * and is the only one then, or there is the one clear error, and none.
 */
import pLimit from 'p-limit'
import t, { type Test } from 'tap'
import { type RealtimeUploadError, uploadFile } from '../../lib/index.ts'
import { FaultList } from '../../lib/sandbox/faults.ts'
import {
  type Cell,
  cellsOf,
  HASTY,
  MATRIX,
  mishapDispatcher,
  PARTS,
  REPETITIONS,
  type Row,
  type Stage,
  sampleOf,
} from '../support/matrix.ts'
import { sha256, shown, until } from '../support/sandboxes.ts'
import { within } from '../support/servers.ts'
import { fileFor, listenTo, v4ClientFor, v4For } from '../support/v4.ts'

/** A guard against hanging, in ms. */
const HANGS = 400_000

/** Of a creation there is one, with all slices: what strikes a part by its number has no meaning there. */
const ONCE_A_CALL = new Set(['once', 'six times on one part', 'for ever'])

const CALLS: Readonly<Record<Stage, 'create' | 'put'>> = { register: 'create', put: 'put' }

/** Every other of the sample: what is behind it is tried on the live path as well. */
const someOf = (row: Row): Cell[] => sampleOf(row).filter((_, at) => at % 2 === 0)

/** `LONG=1` runs every cell, as `npm run test:long` does. */
const chosen = process.env.LONG ? cellsOf : someOf
const cellsFor = (row: Row): Cell[] =>
  chosen(row).filter(({ way, repetition }) => way.stage === 'put' || ONCE_A_CALL.has(repetition))

/** Cells at once. */
const atOnce = pLimit(8)

const problems: unknown[] = []
process.on('unhandledRejection', reason => problems.push(reason))
process.on('warning', warning => problems.push(warning))

t.setTimeout(1_200_000)
t.jobs = 4

for (const row of MATRIX) {
  t.test(row.fault, async t => {
    const cells = cellsFor(row).map(cell =>
      atOnce(async () => {
        const { name, stage, position } = cell.way
        const wrong = await within(HANGS, play(t, cell)).catch(error => [String(error)])
        t.strictSame(wrong, [], `${name}, ${CALLS[stage]}, ${position}, ${cell.repetition}`)
      }),
    )
    await Promise.all(cells)
  })
}

t.test('no cell left an unhandled rejection or a warning', { buffered: false }, async t => {
  t.strictSame(problems, [])
  t.comment(`${MATRIX.flatMap(cellsFor).length} cells`)
})

/** Which codes an upload may end with in this cell; undefined: with none. */
const endsOf = ({ row, repetition, end }: Cell): readonly (string | undefined)[] => {
  // No call renews a URL: the file is created anew, two or three times at most, and all its parts sent once
  // more. How many of them meet the fault at the same time is chance.
  const isOfUrl = row.told === 'ERR_URL_EXPIRED' || row.told === 'ERR_STORAGE_REJECTED'
  if (isOfUrl && end === 'survives' && !repetition.startsWith('once')) return [undefined, row.told]
  return [end === 'survives' ? undefined : end.code]
}

/** Uploads a file with the fault of a cell, and says in what that did not end as it must. */
const play = async (t: Test, cell: Cell): Promise<string[]> => {
  const { row, way, repetition } = cell
  const ends = endsOf(cell)
  const on = CALLS[way.stage]
  const wrong: string[] = []
  const expect = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule)
  }
  const sandbox = await v4For(t)
  const { part: _, ...anyPart } = { part: undefined, ...REPETITIONS[repetition] }
  const times = on === 'create' ? anyPart : REPETITIONS[repetition]
  const { options, mishaps } = prepare(cell, sandbox.token, times)
  if ('sandbox' in way.strike) sandbox.faults.add({ on, ...times, do: way.strike.sandbox })
  const { path, data } = await fileFor(t, (PARTS - 1) * 1_000 + 500)
  const { told, of } = listenTo()
  const isLasting = ends.some(code => code !== undefined)
  const hasty: { apiTimeout?: number; stallTimeout?: number } = row.silent ? HASTY[way.stage] : {}
  const client = v4ClientFor(t, sandbox, {
    retry: {
      giveUpAfter: isLasting ? 30 : row.silent ? 200_000 : 600_000,
      minDelay: 1,
      maxDelay: 5,
    },
    ...(hasty.apiTimeout !== undefined && { apiTimeout: hasty.apiTimeout }),
    ...options,
  })
  const error: RealtimeUploadError | undefined = await uploadFile({
    client,
    folderId: sandbox.v4.folderId,
    file: path,
    concurrency: 2,
    ...(hasty.stallTimeout !== undefined && { stallTimeout: hasty.stallTimeout }),
    ...(row.options.integrity && { integrity: row.options.integrity }),
    ...told,
  }).then(
    () => undefined,
    error => error,
  )
  const { files } = sandbox.v4
  if (error) {
    expect(error.name === 'RealtimeUploadError', `it must fail: ${shown(error)}`)
    expect(ends.includes(error.code), `the code must be ${ends}: ${shown(error)}`)
    // What a lost answer has made may be out of reach as well, while the fault lasts: that is said.
    const isSaid = /may have been left|could not be/.test(error.message) || of('warning').length > 0
    expect(files.length === 0 || isSaid, `${files.length} files are left, and nothing is said`)
  } else {
    expect(ends.includes(undefined), `it must fail with ${ends}`)
    expect(files.length === 1, `there must be one file, not ${files.length}`)
    await within(60_000, files[0]?.whenUploaded() ?? Promise.resolve())
    expect(files[0]?.sha256 === sha256(data), 'the content must be identical')
    const numbers = of('part').map(({ number }) => number)
    expect(new Set(numbers).size === PARTS, `each part must be told: ${numbers}`)
    expect(row.told === undefined || of('retry').length > 0, 'it must have been tried again')
  }
  const secrets = [error, ...of('retry')].map(shown).join('\n')
  expect(!secrets.includes(sandbox.token), 'the token must not be told')
  expect(!/X-Amz-(Signature|Credential)=(?!\[redacted\])/i.test(secrets), 'no URL must be told')
  await client.close()
  await mishaps?.close()
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  await sandbox.close()
  return wrong
}

/** The client's options by which a fault strikes that is not the sandbox's. */
const prepare = (
  { way: { stage, strike }, repetition }: Cell,
  token: string,
  times: Partial<(typeof REPETITIONS)[keyof typeof REPETITIONS]>,
) => {
  if ('token' in strike) {
    let left = { once: 1, 'six times on one part': 6 }[repetition as string] ?? Infinity
    return { options: { token: () => (left-- > 0 ? strike.token() : token) } }
  }
  const options = { token: () => token }
  if (!('wire' in strike)) return { options }
  const due = new FaultList()
  // What it does is of no account here; that it is due is.
  due.add({ on: CALLS[stage], ...times, do: { loseAnswer: true } })
  const mishaps = mishapDispatcher(request => (due.due(request) ? strike.wire : undefined))
  return { options: { ...options, dispatcher: mishaps.dispatcher }, mishaps }
}
