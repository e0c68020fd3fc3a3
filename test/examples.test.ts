/**
 * Each example runs as it stands, with nothing but what the README says it needs.
 */
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startSandbox } from '../lib/sandbox/index.ts'

/** A guard against hanging, and no more. */
const PATIENCE = 300_000
t.setTimeout(2 * PATIENCE)

const temporary = t.testdir()

/** Runs an example, with no FRAMEIO_ variables but those that are given. */
const run = (name: string, account: Record<string, string> = {}) => {
  const file = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url))
  const own = Object.entries(process.env).filter(([key]) => !key.startsWith('FRAMEIO_'))
  const env = { ...Object.fromEntries(own), TMPDIR: temporary, TEMP: temporary, ...account }
  return new Promise<{ code: unknown; stdout: string; stderr: string }>(resolve => {
    const options = { env, timeout: PATIENCE }
    execFile(process.execPath, ['--import=tsx', file], options, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, stdout, stderr }),
    )
  })
}

const uploaded = /^uploaded \{\s+assetId: '[-0-9a-f]{36}',\s+bytes: \d{7,8},\s+parts: [1-9]\s+\}\n$/

for (const [name, says] of [
  ['ffmpeg-stdout', uploaded],
  ['pipeline', uploaded],
  ['create-then-upload', /^clip\.mp4 was complete at 20\d\d-\S+Z\n$/],
  ['web-stream', uploaded],
] as const) {
  t.test(`${name} runs alone, without an account`, async t => {
    const { code, stdout, stderr } = await run(name)
    t.equal(stderr, '')
    t.match(stdout, says)
    t.equal(code, 0)
  })
}

t.test('c2c-device pairs by itself, films, and is let go', async t => {
  const { code, stdout, stderr } = await run('c2c-device')
  t.equal(stderr, '')
  const [shown = '', paired, ...rest] = stdout.split('\n')
  t.match(shown, /^enter \d{6} in the project's C2C Connections, or at https:\S+$/)
  t.equal(paired, 'paired as Cam A in Sandbox project')
  t.match(rest.join('\n'), uploaded)
  t.equal(code, 0)
})

t.test('follow sends the head with the final part', async t => {
  const { code, stdout, stderr } = await run('follow')
  t.equal(stderr, '')
  const parts = [...stdout.matchAll(/^part (\d) is stored$/gm)].map(([, number]) => number)
  t.strictSame(parts.toSorted(), ['1', '2', '3', '4'])
  t.ok(parts.indexOf('1') > 1, `in this order: ${parts}`)
  t.match(stdout, /^uploaded \{\s+assetId: '[-0-9a-f]{36}',\s+bytes: \d{8},\s+parts: 4\s+\}$/m)
  t.equal(code, 0)
})

t.test('record-to-v4 records three files, and uploads each', async t => {
  const { code, stdout, stderr } = await run('record-to-v4')
  t.equal(stderr, '')
  t.match(stdout, /A001_001\.mp4 is recorded\n[\s\S]*the recording is over\n/)
  t.match(stdout, /^A001_002\.mp4 is uploaded$/m)
  const files = [...stdout.matchAll(/^A001_00(\d)\.mp4 \d{6,7} https:\S+$/gm)]
  t.strictSame(
    files.map(([, number]) => number),
    ['1', '2', '3'],
  )
  t.equal(code, 0)
})

t.test('progress shows every event there is to show', async t => {
  const { code, stdout, stderr } = await run('progress')
  t.equal(stderr, '')
  t.match(stdout, /^stall /m)
  t.match(stdout, /^resume /m)
  t.match(stdout, /^retry {5}put of part 2 in \d+ ms, after ERR_SERVER$/m)
  t.match(stdout, /^part {6}2 \(5242880 bytes\) is stored, attempts: 2$/m)
  const last = stdout.match(/^progress .*$/gm)?.at(-1)
  const [, received, stored, parts] = /(\d+) bytes in, (\d+) in (\d+) parts/.exec(last ?? '') ?? []
  t.equal(received, stored, 'the last progress has it all')
  t.match(stdout, new RegExp(`bytes: ${stored},\\s+parts: ${parts}\\s`))
  t.equal(code, 0)
})

t.test('no example leaves a file behind', async t => {
  const left = await readdir(temporary)
  t.same(
    left.filter(name => name.startsWith('frameio')),
    [],
  )
})

t.test('with an account', async t => {
  const sandbox = await startSandbox({ pairing: { interval: 0.1 } })
  t.teardown(() => sandbox.close())
  const account = { FRAMEIO_TOKEN: sandbox.token, FRAMEIO_BASE_URL: sandbox.url }

  t.test('ffmpeg-stdout uploads to the asset in FRAMEIO_ASSET_ID', async t => {
    const asset = sandbox.createAsset({ name: 'live.mp4', filetype: 'video/mp4' })
    const { code, stdout } = await run('ffmpeg-stdout', { ...account, FRAMEIO_ASSET_ID: asset.id })
    t.equal(code, 0)
    await asset.whenUploaded()
    t.match(stdout, `bytes: ${asset.filesize},`)
  })

  t.test('create-then-upload creates in the folder in FRAMEIO_PARENT_ID', async t => {
    const more = { FRAMEIO_PARENT_ID: sandbox.parentId }
    const { code } = await run('create-then-upload', { ...account, ...more })
    t.equal(code, 0)
    const created = sandbox.requests.find(({ operation }) => operation === 'create')
    t.equal(created?.path, `/v2/assets/${sandbox.parentId}/children`)
  })

  t.test('c2c-device speaks as a device, and names the clip at its end', async t => {
    const before = sandbox.requests.length
    const enterAll = () => {
      for (const waiting of sandbox.devices.waiting) sandbox.devices.enter(waiting)
    }
    const person = setInterval(enterAll, 20)
    t.teardown(() => clearInterval(person))
    const { clientSecret } = sandbox.credentials
    const { code, stdout } = await run('c2c-device', {
      FRAMEIO_CLIENT_ID: 'my-camera',
      FRAMEIO_CLIENT_SECRET: clientSecret,
      FRAMEIO_BASE_URL: sandbox.url,
    })
    t.equal(code, 0)
    t.equal(sandbox.devices.paired[0]?.clientId, 'my-camera')
    const asset = sandbox.asset(/assetId: '(.+)'/.exec(stdout)?.[1] ?? '')
    await asset?.whenUploaded()
    t.equal(asset?.name, 'A001_C002.mp4')
    const calls = sandbox.requests.slice(before).filter(({ side }) => side === 'api')
    t.strictSame(
      [...new Set(calls.map(({ operation }) => operation))],
      ['code', 'poll', 'device', 'create', 'register', 'revoke'],
    )
    t.ok(calls.every(({ headers }) => headers['x-client-version'] === '1.0.0'))
  })

  t.test('record-to-v4 uploads to the folder in FRAMEIO_FOLDER_ID', async t => {
    const { accountId, folderId } = sandbox.v4
    const more = { FRAMEIO_ACCOUNT_ID: accountId, FRAMEIO_FOLDER_ID: folderId }
    const { code, stdout } = await run('record-to-v4', { ...account, ...more })
    t.equal(code, 0)
    t.equal(sandbox.v4.files.length, 3)
    for (const { name, id } of sandbox.v4.files)
      t.match(stdout, new RegExp(`^${name} .*${id}$`, 'm'))
  })

  t.test('an example says which variable it misses', async t => {
    const { code, stdout, stderr } = await run('web-stream', account)
    t.equal(code, 1)
    t.equal(stdout, '')
    t.match(stderr, /^Set FRAMEIO_ASSET_ID to .+\n$/)
  })
})
