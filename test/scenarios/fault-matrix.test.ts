import pLimit from 'p-limit'
import t from 'tap'
import type { RealtimeUploadError } from '../../lib/index.ts'
import { FaultList } from '../../lib/sandbox/faults.ts'
import {
  CELLS,
  type Cell,
  cellsOf,
  HASTY,
  MATRIX,
  type Mishap,
  mishapDispatcher,
  PARTS,
  REPETITIONS,
  type Strike,
  sampleOf,
} from '../support/matrix.ts'
import {
  bytes,
  endOf,
  SMALL,
  sandboxFor,
  sha256,
  shown,
  smallUpload,
  until,
} from '../support/sandboxes.ts'
import { within } from '../support/servers.ts'

/** A guard against hanging, in ms. */
const HANGS = 400_000

/** Within what the sandbox has assembled an asset that is complete, in ms: a guard as well. */
const SOON = 60_000

/** The budget where a fault passes in the end, and where it does not. */
const PATIENT = { giveUpAfter: 600_000, minDelay: 1, maxDelay: 5 }
/**
 * Dead PUTs in a row are each waited for three times as long as the one before, up to this: what six come to
 * where a busy machine takes a fifth of a second for a part.
 */
const SILENT = { ...PATIENT, giveUpAfter: 200_000 }
const IMPATIENT = { giveUpAfter: 30, minDelay: 1, maxDelay: 5 }

const CONCURRENCY = 2

/** Cells at once. */
const atOnce = pLimit(12)

/** `LONG=1` runs every cell, as `npm run test:long` does. */
const chosen = process.env.LONG ? cellsOf : sampleOf

type Tap = Parameters<typeof sandboxFor>[0]

const problems: unknown[] = []
process.on('unhandledRejection', reason => problems.push(reason))
process.on('warning', warning => problems.push(warning))

t.setTimeout(1_200_000)
t.jobs = 4 // Some rows only wait; all together play no more cells at once than one alone.

for (const row of MATRIX) {
  t.test(row.fault, async t => {
    await Promise.all(
      chosen(row).map(cell =>
        atOnce(async () => {
          const name = `${cell.way.name}, ${cell.way.stage}, ${cell.way.position}, ${cell.repetition}`
          const wrong = await within(HANGS, play(t, cell)).catch(error => [String(error)])
          t.strictSame(wrong, [], name)
        }),
      ),
    )
  })
}

// Not beside the rows, but after them.
t.test('no cell left an unhandled rejection or a warning', { buffered: false }, async t => {
  await new Promise(resolve => setTimeout(resolve, 50))
  t.strictSame(problems, [])
  t.comment(`${MATRIX.flatMap(chosen).length} of ${CELLS.length} cells`)
})

/** Uploads with the fault of a cell, and says in what the upload did not end as it must. */
const play = async (t: Tap, { row, way, repetition, end }: Cell): Promise<string[]> => {
  const wrong: string[] = []
  const expect = (holds: boolean, rule: string) => {
    if (!holds) wrong.push(rule)
  }
  const sandbox = await sandboxFor(t, {}, SMALL)
  const { options, mishaps } = prepare(way.strike, way.stage, repetition, sandbox.token)
  const fault = 'sandbox' in way.strike ? way.strike.sandbox : undefined
  if (fault) sandbox.faults.add({ on: way.stage, ...REPETITIONS[repetition], do: fault })
  const data = bytes((PARTS - 1) * 1_000 + 500)
  const { upload, asset, seen } = smallUpload(sandbox, {
    concurrency: CONCURRENCY,
    retry: end !== 'survives' ? IMPATIENT : row.silent ? SILENT : PATIENT,
    ...row.options,
    ...(row.silent && HASTY[way.stage]),
    ...options,
  })
  upload.end(data)
  const error = (await endOf(upload)) as RealtimeUploadError | undefined

  const carriedOut = fault && ('loseAnswer' in fault || 'reset' in fault || 'hang' in fault)
  if (end === 'survives') {
    expect(error === undefined, `it must survive: ${shown(error)}`)
    if (!error) {
      await within(SOON, asset.whenUploaded())
      expect(asset.sha256 === sha256(data), 'the content must be identical')
      const numbers = asset.parts.map(part => part.number).join()
      expect(numbers === '1,2,3,4,5,6', `parts must be 1 to 6: ${numbers}`)
      expect(asset.finals === 1, 'there must be one final part')
      expect(asset.filesize === data.length, 'the total must be right')
      const { bytesUploaded, partsUploaded, retries } = upload.progress
      expect(bytesUploaded === data.length, `a retry must not count twice: ${bytesUploaded}`)
      expect(partsUploaded === PARTS, `each part must count once: ${partsUploaded}`)
      expect(retries === seen.retry.length, 'each retry must be told')
      expect(upload.result?.bytes === data.length && upload.result.parts === PARTS, 'the result')
      const events = seen.part.map(part => part.number).sort()
      expect(events.join() === numbers, `each part must be told once: ${events}`)
      expect(row.told === undefined || seen.retry.length > 0, 'it must have been tried again')
      if (repetition === 'six times on one part' && row.told && !('token' in way.strike)) {
        const most = Math.max(...seen.retry.map(({ attempt }) => attempt))
        expect(most >= 6, `the part must have failed six times: ${most}`)
      }
      expect(seen.order.at(-1) === 'close', 'close must be last')
      expect(!seen.order.includes('error'), 'no error')
    }
  } else {
    expect(error?.name === 'RealtimeUploadError', `it must fail: ${shown(error)}`)
    expect(
      error?.code === end.code,
      `the code must be ${end.code}: ${error?.code} ${error?.message}`,
    )
    const attempts = error?.attempts ?? 0
    // Of parts that are cut in turn, the last may have been cut but once.
    const least = row.silent && way.stage === 'put' ? 1 : 3
    if (end.attempts === 'budget')
      expect(attempts >= least, `the budget must be spent: ${attempts}`)
    // What the token function returned was never sent, so it is no attempt.
    else if (end.code !== 'ERR_INVALID_OPTION') {
      expect(attempts === end.attempts, `attempts must be ${end.attempts}: ${attempts}`)
    }
    if (way.stage === 'put') expect(Number(error?.partNumber) >= 1, 'the part must be named')
    if (end.code !== 'ERR_INVALID_OPTION') {
      expect(error?.assetId === asset.id, 'the asset must be named')
    }
    expect(seen.order.filter(event => event === 'error').length === 1, 'one error')
    expect(seen.order.slice(-2).join() === 'error,close', `error, close: ${seen.order}`)
    expect(upload.result === undefined, 'there must be no result')
    if (!carriedOut) expect(asset.status === 'created', 'the asset must not be finalised')
  }
  for (const { stage, error } of seen.retry) {
    expect(stage === way.stage, `only the ${way.stage} must be tried again: ${stage}`)
    // Where silence is found out soon, a busy machine's own answers may come too late as well.
    const isLate = row.silent && error.code === 'ERR_TIMEOUT'
    expect(
      isLate || error.code === row.told,
      `retries must be told with ${row.told}: ${shown(error)}`,
    )
  }
  const lasting = row.ends['for ever']
  const isDenial =
    row.told === 'ERR_STORAGE_REJECTED' && typeof lasting === 'object' && lasting.attempts === 2
  if (row.told === 'ERR_URL_EXPIRED' || isDenial) {
    const again = (number: number) =>
      seen.retry.filter(({ partNumbers }) => partNumbers.includes(number)).length
    const renewed = asset.parts.every(
      part => error || part.registrations === 1 + again(part.number),
    )
    expect(renewed, 'each try must have a URL of its own')
  }
  if (!row.silent) {
    // The sandbox may see for a moment a PUT that was given up beside the one that follows it.
    const { maxPutsInFlight, maxRegistrationsInFlight } = sandbox.stats
    expect(maxPutsInFlight <= CONCURRENCY, `PUTs at once: ${maxPutsInFlight}`)
    expect(maxRegistrationsInFlight <= 1, `registrations at once: ${maxRegistrationsInFlight}`)
  }
  const told = [error, ...seen.retry].map(shown).join('\n')
  expect(!told.includes(sandbox.token), 'the token must not be told')
  expect(!/X-Amz-(Signature|Credential)=(?!\[redacted\])/i.test(told), 'no URL must be told')

  // A dispatcher that was given closes as soon as no request is in flight.
  await mishaps?.close()
  await until(() => sandbox.stats.openSockets === 0, 'the sockets to close')
  await sandbox.close()
  return wrong
}

/** The options by which a fault strikes that is not the sandbox's. */
const prepare = (
  strike: Strike,
  on: 'register' | 'put',
  repetition: keyof typeof REPETITIONS,
  token: string,
) => {
  if ('token' in strike) {
    let left = { once: 1, 'six times on one part': 6 }[repetition as string] ?? Infinity
    return { options: { token: () => (left-- > 0 ? strike.token() : token) } }
  }
  const options = { token: () => token }
  if (!('wire' in strike)) return { options }
  const due = new FaultList()
  // What it does is of no account here; that it is due is.
  due.add({ on, ...REPETITIONS[repetition], do: { loseAnswer: true } })
  const mishap: Mishap = strike.wire
  const mishaps = mishapDispatcher(request => due.due(request) && mishap)
  return { options: { ...options, dispatcher: mishaps.dispatcher }, mishaps }
}
