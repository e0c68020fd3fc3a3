/**
 * What may go wrong while a finished file is uploaded: in the end there is one file, whole, or a clear error
 * and none.
 */
import t, { type Test } from 'tap'
import { uploadFile } from '../../lib/index.ts'
import type { Fault, SandboxOptions } from '../../lib/sandbox/index.ts'
import { sha256, shown, until } from '../support/sandboxes.ts'
import { failureOf, within } from '../support/servers.ts'
import { fileFor, listenTo, putsOf, v4ClientFor, v4For } from '../support/v4.ts'

const xml = (code: string) => `<Error><Code>${code}</Code><Message>…</Message></Error>`

/** An upload of eight slices while these faults are in force. */
const upload = async (t: Test, faults: readonly Fault[], options: SandboxOptions = {}) => {
  const sandbox = await v4For(t, { faults, ...options })
  const isLasting = faults.some(({ times }) => times === Infinity)
  const retry = { giveUpAfter: isLasting ? 500 : 60_000, minDelay: 1, maxDelay: 10 }
  const client = v4ClientFor(t, sandbox, { apiTimeout: 500, retry })
  const { path, data } = await fileFor(t, 7_777)
  const { told, of } = listenTo()
  const { folderId } = sandbox.v4
  const settings = { stallTimeout: 300, integrity: 'md5' as const, ...told }
  const uploading = uploadFile({ client, folderId, file: path, ...settings })
  return { sandbox, data, of, uploading: within(60_000, uploading) }
}

/** Each part or call meets it once, or a few times in a row. */
const SURVIVED: Readonly<Record<string, Omit<Fault, 'on'>>> = {
  'a 500': { do: { status: 500 } },
  'a 503 SlowDown': { do: { status: 503 } },
  'a 429': { do: { status: 429 } },
  'a 429 with a wait': { do: { status: 429, headers: { 'retry-after': '0' } } },
  'a 502 in HTML': { do: { status: 502, body: '<html>' } },
  'an answer of somebody else': { do: { status: 200, body: '<html>Welcome</html>' } },
  'a redirect': { do: { status: 302, headers: { location: 'http://127.0.0.1:9/' } } },
  'a 500 before the body': { do: { status: 500, at: 'headers' } },
  'a reset before the body': { do: { reset: 'before' } },
  'a reset in the body': { do: { reset: 'during' } },
  'a reset after the body': { do: { reset: 'after' } },
  'a reset in the answer': { do: { reset: 'answer' } },
  'a lost answer': { do: { loseAnswer: true } },
  'no answer': { do: { hang: 'answer' } },
  'half an answer': { do: { hang: 'answering' } },
  'nobody who reads': { do: { hang: 'body' } },
}

t.test('a PUT meets it: every part is stored all the same', async t => {
  const only: Readonly<Record<string, Omit<Fault, 'on'>>> = {
    'a 400 RequestTimeout': { do: { status: 400, body: xml('RequestTimeout') } },
    'a 400 BadDigest': { do: { status: 400, body: xml('BadDigest') } },
    "a portal's 403": { do: { status: 403, body: '<html>' } },
    'an expired URL': { part: 4, do: { expire: true } },
    'a denial': { part: 4, do: { status: 403, body: xml('AccessDenied') } },
  }
  for (const [name, fault] of Object.entries({ ...SURVIVED, ...only })) {
    // Of silence a few are enough: each is waited for.
    const isSilent = 'hang' in fault.do
    const where = 'part' in fault ? {} : isSilent ? { times: 2 } : { perPart: true }
    const { sandbox, data, of, uploading } = await upload(t, [{ on: 'put', ...where, ...fault }])
    const { fileId } = await uploading
    const [file, ...others] = sandbox.v4.files
    t.equal(others.length, 0, `${name}: one file`)
    t.equal(file?.id, fileId)
    await file?.whenUploaded()
    t.equal(file?.sha256, sha256(data), name)
    const least = 'part' in fault ? 1 : isSilent ? 2 : 8
    t.ok(of('retry').length >= least, `${name}: it was met and told`)
    t.equal(new Set(putsOf(sandbox, fileId)).size, 8)
  }
})

t.test('a creation meets it: there is one file in the end', async t => {
  for (const [name, fault] of Object.entries(SURVIVED)) {
    const { sandbox, data, of, uploading } = await upload(t, [{ on: 'create', times: 2, ...fault }])
    const { fileId } = await uploading
    const [file, ...others] = sandbox.v4.files
    t.equal(others.length, 0, `${name}: one file`)
    t.equal(file?.id, fileId)
    await file?.whenUploaded()
    t.equal(file?.sha256, sha256(data), name)
    t.ok(of('retry').some(({ stage }) => stage === 'create'))
  }
})

t.test('the deletion of a file whose URLs expired meets it: it is gone', async t => {
  for (const [name, fault] of Object.entries(SURVIVED)) {
    const { sandbox, uploading } = await upload(t, [
      { on: 'put', part: 8, do: { expire: true } },
      { on: 'delete', ...fault },
    ])
    const { fileId } = await uploading
    t.strictSame(
      sandbox.v4.files.map(({ id }) => id),
      [fileId],
      name,
    )
  }
})

t.test('what does not pass ends it with its code, and leaves nothing', async t => {
  const always = { times: Infinity }
  const cases: readonly (readonly [string, Fault, code: string])[] = [
    ['5xx for ever', { on: 'put', part: 3, ...always, do: { status: 500 } }, 'ERR_SERVER'],
    ['resets', { on: 'put', part: 3, ...always, do: { reset: 'during' } }, 'ERR_NETWORK'],
    [
      'a refusal',
      { on: 'put', do: { status: 400, body: xml('InvalidRequest') } },
      'ERR_STORAGE_REJECTED',
    ],
    ['a 501', { on: 'put', do: { status: 501 } }, 'ERR_SERVER'],
    [
      'damage',
      { on: 'put', part: 1, ...always, do: { status: 400, body: xml('BadDigest') } },
      'ERR_CORRUPTED',
    ],
    ['a portal', { on: 'put', ...always, do: { status: 403, body: '<html>' } }, 'ERR_BAD_RESPONSE'],
    ['401', { on: 'create', ...always, do: { status: 401 } }, 'ERR_UNAUTHORIZED'],
    ['402', { on: 'create', do: { status: 402 } }, 'ERR_PLAN_LIMIT'],
    ['403', { on: 'create', do: { status: 403 } }, 'ERR_FORBIDDEN'],
    ['404', { on: 'create', do: { status: 404 } }, 'ERR_ASSET_NOT_FOUND'],
    ['422', { on: 'create', do: { status: 422 } }, 'ERR_REQUEST_REJECTED'],
    ['5xx of the API', { on: 'create', ...always, do: { status: 500 } }, 'ERR_SERVER'],
  ]
  for (const [name, fault, code] of cases) {
    const { sandbox, uploading } = await upload(t, [fault])
    const error = await failureOf(uploading)
    t.match(error, { name: 'RealtimeUploadError', code }, name)
    t.notMatch(shown(error), /X-Amz-Signature=(?!\[redacted\])/)
    t.notMatch(shown(error), sandbox.token)
    t.equal(sandbox.v4.files.length, 0, `${name}: nothing is left`)
    await until(() => sandbox.requests.every(({ endedAt }) => endedAt !== undefined), name)
  }
})
