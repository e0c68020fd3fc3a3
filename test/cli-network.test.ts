/**
 * What stands between the command and Frame.io: proxies, and certificates that nobody trusts.
 */
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { type AddressInfo, connect, createServer as createRawServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { accountFor } from './support/account.ts'
import { run } from './support/command.ts'
import { SELF_SIGNED } from './support/self-signed.ts'
import { closedPort } from './support/servers.ts'

t.setTimeout(300_000)
t.jobs = 4

/** No opinion of the machine's own on proxies. */
const NONE = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap(name => [
    [name, undefined],
    [name.toUpperCase(), undefined],
  ]),
)

const PASSWORD = 'hush/hush'
const USER = `me:${encodeURIComponent(PASSWORD)}`
const BASIC = Buffer.from(`me:${PASSWORD}`).toString('base64')

const portOf = (server: { address(): AddressInfo | string | null }) =>
  (server.address() as AddressInfo).port

/** Joins what came in by a proxy to where it is to go. */
const relay = (near: Socket, port: number) => {
  const far = connect(port, '127.0.0.1')
  for (const socket of [near, far]) socket.on('error', () => {}) // Either may leave first.
  near.pipe(far).pipe(near)
}

/** An HTTP proxy, and what was asked of it. */
const httpProxy = async (t: Test, refusal?: string) => {
  const asked: { host: string | undefined; authorization: string | undefined }[] = []
  const server = createServer().on('connect', ({ url, headers }, near: Socket) => {
    asked.push({ host: url, authorization: headers['proxy-authorization'] })
    near.on('error', () => {})
    if (refusal !== undefined) return near.end(`HTTP/1.1 ${refusal}\r\ncontent-length: 0\r\n\r\n`)
    near.write('HTTP/1.1 200 OK\r\n\r\n')
    return relay(near, Number(new URL(`http://${url}`).port))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return { host: `127.0.0.1:${portOf(server)}`, asked }
}

/** A SOCKS 5 proxy (RFC 1928) that wants a password (RFC 1929). */
const socksProxy = async (t: Test) => {
  const sockets = new Set<Socket>()
  const asked: string[] = []
  const server = createRawServer(async near => {
    sockets.add(near.on('error', () => {}))
    const next = async (): Promise<Buffer> => (await once(near, 'data'))[0]
    await next()
    near.write(Buffer.from([5, 2]))
    const login = await next()
    const user = login.subarray(2, 2 + (login[1] ?? 0))
    asked.push(`${user}:${login.subarray(3 + user.length)}`)
    near.write(Buffer.from([1, 0]))
    const target = await next()
    near.pause()
    near.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]))
    relay(near, target.readUInt16BE(target.length - 2))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return { host: `127.0.0.1:${portOf(server)}`, asked }
}

t.test('a proxy is used, however it is named', async t => {
  for (const named of [
    (host: string) => ({ http_proxy: host }),
    (host: string) => ({ HTTP_PROXY: `http://${USER}@${host}/` }),
    (host: string) => ({ ALL_PROXY: `${USER}@${host}`, no_proxy: '10.0.0.0/8,frame.io' }),
  ]) {
    const { sandbox, asset, env, to } = await accountFor(t)
    const { host, asked } = await httpProxy(t)
    const variables = named(host)
    const outcome = await run(to, { input: 'x', env: { ...NONE, ...env, ...variables } })
    t.match(outcome, { code: 0, stderr: '' })
    await asset.whenUploaded()
    t.ok(asked.some(({ host }) => host === new URL(sandbox.url).host))
    const expected = JSON.stringify(variables).includes('@') ? `Basic ${BASIC}` : undefined
    t.ok(asked.every(({ authorization }) => authorization === expected))
  }
})

t.test('a SOCKS proxy is used, without a word on stderr', async t => {
  const { asset, env, to } = await accountFor(t)
  const { host, asked } = await socksProxy(t)
  const variables = { all_proxy: `socks5h://${USER}@${host}` }
  const outcome = await run(to, { input: 'x', env: { ...NONE, ...env, ...variables } })
  t.match(outcome, { code: 0, stderr: '' })
  await asset.whenUploaded()
  t.ok(asked.length > 0)
  t.ok(asked.every(login => login === `me:${PASSWORD}`))
})

t.test('NO_PROXY goes past it', async t => {
  const { asset, env, to } = await accountFor(t)
  const { host, asked } = await httpProxy(t)
  for (const list of ['127.0.0.0/8', '*']) {
    const variables = { ALL_PROXY: host, NO_PROXY: list }
    const more = list === '*' ? ['--no-check'] : []
    await run([...to, ...more], { input: 'x', env: { ...NONE, ...env, ...variables } })
  }
  await asset.whenUploaded()
  t.equal(asked.length, 0)
})

t.test('a variable that is no proxy ends with 2 and its name', async t => {
  const { sandbox, env, to } = await accountFor(t)
  for (const [variable, value] of [
    ['HTTPS_PROXY', `http://me:${PASSWORD}@proxy:1`],
    ['http_proxy', 'http://proxy:port'],
    ['ALL_PROXY', `ftp://${USER}@proxy`],
  ] as const) {
    for (const more of [[], ['--verbose', '--json']]) {
      const variables = { [variable]: value }
      const outcome = await run([...to, ...more], { env: { ...NONE, ...env, ...variables } })
      t.equal(outcome.code, 2)
      t.match(outcome.stderr, new RegExp(`${variable} must be `))
      t.notMatch(outcome.stderr + outcome.stdout, /hush/)
    }
  }
  t.equal(sandbox.requests.length, 0)
})

t.test('a proxy that refuses is named by its host, and its password is not shown', async t => {
  const closed = new URL((await closedPort(t, () => {})).url).host
  const wanting = await httpProxy(t, '407 Proxy Authentication Required')
  const broken = await httpProxy(t, '502 Bad Gateway')
  for (const [host, says] of [
    [wanting.host, `proxy ${wanting.host} refused the connection with 407: it wants a user and a`],
    [broken.host, `proxy ${broken.host} refused the connection with 502`],
    [closed, `proxy ${closed}: connect ECONNREFUSED`],
  ] as const) {
    for (const scheme of ['http', ...(host === closed ? ['socks5'] : [])]) {
      const { env, toNew } = await accountFor(t)
      const variables = { ALL_PROXY: `${scheme}://${USER}@${host}` }
      const args = [...toNew, '--verbose', '--json', '--give-up-after', '1s']
      const { code, stdout, stderr } = await run(args, { env: { ...NONE, ...env, ...variables } })
      t.equal(code, 1)
      t.match(stderr, says)
      t.notMatch(stderr, /may have been carried out/, 'it surely was not')
      for (const text of [stdout, stderr]) {
        t.notMatch(text, /hush/)
        t.notMatch(text, BASIC)
      }
    }
  }
})

t.test(
  'a proxy that hangs up, or refuses a login, is named, and not asked without a pause',
  async t => {
    const sockets = new Set<Socket>()
    const server = createRawServer(near => {
      sockets.add(near.on('error', () => {}))
      near.once('data', ([version]) => {
        if (version !== 5) return hangUp(near)
        near.write(Buffer.from([5, 2]))
        return near.once('data', () => near.end(Buffer.from([1, 1])))
      })
    })
    let hangUp = (near: Socket): unknown => near.destroy()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    const host = `127.0.0.1:${portOf(server)}`
    for (const [scheme, says, end] of [
      ['http', `proxy ${host} closed the connection`, (near: Socket) => near.destroy()],
      ['http', `through proxy ${host}: read ECONNRESET`, (near: Socket) => near.resetAndDestroy()],
      ['socks5', 'SOCKS proxy: Authentication failed', hangUp],
    ] as const) {
      hangUp = end
      sockets.clear()
      const { env, toNew } = await accountFor(t)
      const variables = { ALL_PROXY: `${scheme}://${USER}@${host}` }
      const args = [...toNew, '--give-up-after', '1s']
      const { code, stderr } = await run(args, { env: { ...NONE, ...env, ...variables } })
      t.equal(code, 1)
      t.match(stderr, says)
      t.notMatch(stderr, /hush/)
      t.ok(sockets.size < 10, `${sockets.size} connections`)
    }
  },
)

t.test('a certificate that nobody trusts', async t => {
  const server = createSecureServer(SELF_SIGNED)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  const base = ['--base-url', `https://127.0.0.1:${portOf(server)}`, '--asset', 'a1']
  const args = [...base, '--name', 'a.mp4', '--give-up-after', '1s']
  const env = { ...NONE, FRAMEIO_TOKEN: 'token' }

  t.test('is told with where to name whom to trust', async t => {
    const { code, stderr } = await run(args, { env })
    t.match(stderr, /self-signed certificate/)
    t.match(stderr, /NODE_EXTRA_CA_CERTS/)
    t.notMatch(stderr, /give-up-after/)
    t.equal(code, 1)
  })

  t.test('and where it is another server that answers, with that', async t => {
    const file = join(t.testdir(), 'captive-portal.pem')
    await writeFile(file, SELF_SIGNED.cert)
    const { code, stderr } = await run(args, { env: { ...env, NODE_EXTRA_CA_CERTS: file } })
    t.match(stderr, /Another server answers than the one that was asked: check --base-url/)
    t.notMatch(stderr, /NODE_EXTRA_CA_CERTS|give-up-after/)
    t.equal(code, 1)
  })
})
