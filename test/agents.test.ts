import { spawn } from 'node:child_process'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import dns from 'node:dns'
import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RealtimeUpload } from '../lib/index.ts'
import { type OwnAgent, openAgent } from '../lib/net/agents.ts'
import { type Exchange, exchange } from '../lib/net/http.ts'
import { readProxies } from '../lib/net/proxies.ts'
import { openProxyAgent } from '../lib/net/proxy-agent.ts'
import { endOf } from './support/sandboxes.ts'
import { clientFor, failureOf, serve, serveRaw, within } from './support/servers.ts'

/** One request by an agent of ours. */
const ask = ({ dispatcher }: OwnAgent, url: string, options: Partial<Exchange> = {}) =>
  exchange({
    dispatcher,
    method: 'GET',
    url,
    headers: {},
    body: null,
    signal: new AbortController().signal,
    allowed: () => 20_000,
    readAtMost: 1_000,
    what: 'Asking failed',
    details: {},
    ...options,
  })

/** Names are looked up by `lookup` while the test runs. */
const lookUpBy = (t: Test, lookup: (found: (addresses: dns.LookupAddress[]) => void) => void) => {
  const { lookup: original } = dns
  t.teardown(() => {
    dns.lookup = original
  })
  dns.lookup = ((_name: string, _options: object, found: LookUp) =>
    lookup(addresses => found(null, addresses))) as typeof dns.lookup
}
type LookUp = (error: null, addresses: dns.LookupAddress[]) => void

/** What an agent's connections are made with, while the test runs. */
const connectingOf = (t: Test) => {
  const seen: net.TcpNetConnectOpts[] = []
  const { connect } = net
  t.teardown(() => {
    net.connect = connect
  })
  net.connect = ((options: net.TcpNetConnectOpts) => {
    seen.push(options)
    return connect(options)
  }) as typeof net.connect
  return seen
}

const PATIENT = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 2_000 }

t.test('every agent of ours gives an address two seconds to connect', async t => {
  const { url } = await serve(t, res => res.end())
  const proxy = await serveRaw(t, socket => {
    socket.once('data', () => socket.end('HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n'))
  })
  const proxyFor = readProxies({ http_proxy: proxy.url, no_proxy: 'direct.test' })
  lookUpBy(t, found => found([{ address: '127.0.0.1', family: 4 }]))
  const [own, proxied] = [openAgent(), openProxyAgent(proxyFor ?? (() => undefined))]
  t.teardown(() => Promise.all([own.close(), proxied.close()]))
  const seen = connectingOf(t)
  await ask(own, url)
  t.match(seen, [{ ...PATIENT, port: new URL(url).port }])
  await ask(proxied, url.replace('127.0.0.1', 'direct.test'))
  t.match(seen[1], { ...PATIENT, host: 'direct.test' }, 'past the proxy')
  await failureOf(ask(proxied, url))
  t.match(seen[2], { ...PATIENT, port: new URL(proxy.url).port }, 'to the proxy')
})

/**
 * A server whose kernel answers nobody for the moment: it is stopped, and its queue of connections
 * is full. Once it goes on, the kernel takes who asks again, which a kernel does after a second.
 */
const deafServer = async (t: Test) => {
  const program = `
    const server = require('node:net').createServer(socket => {
      socket.on('error', () => {})
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\\r\\ncontent-length: 0\\r\\n\\r\\n'))
    })
    server.listen({ port: 0, host: '127.0.0.2', backlog: 1 }, () => console.log(server.address().port))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  const fillers: net.Socket[] = []
  t.teardown(() => {
    child.kill('SIGKILL')
    for (const filler of fillers) filler.destroy()
  })
  const [line] = await once(child.stdout, 'data')
  const port = Number(line)
  child.kill('SIGSTOP')
  for (let isFull = false; !isFull; ) {
    const filler = net.connect(port, '127.0.0.2').on('error', () => {})
    fillers.push(filler)
    isFull = await Promise.race([once(filler, 'connect').then(() => false), wait(150, true)])
    if (isFull) filler.destroy()
  }
  return { port, resume: () => child.kill('SIGCONT') }
}

const skip = process.platform !== 'linux' && 'it needs the queue of connections of Linux'

t.test(
  'an address that takes a second is not left for one that leads nowhere',
  { skip },
  async t => {
    lookUpBy(t, found =>
      found([
        { address: '127.0.0.2', family: 4 },
        { address: '127.0.0.3', family: 4 },
      ]),
    )
    // On a busy machine the server may go on too late for the kernel's second question.
    for (let left = 5; ; left--) {
      const { port, resume } = await deafServer(t)
      const agent = openAgent()
      const answer = ask(agent, `http://two.test:${port}`).catch((error: Error) => error)
      setTimeout(resume, 400)
      const end = await within(20_000, answer)
      await agent.close()
      if (end instanceof Error && left > 1) continue
      t.match(end, { status: 200 })
      return
    }
  },
)

/** A server that takes connections and says nothing: a TLS handshake with it never ends. */
const silentServer = async (t: Test) => {
  const { promise: arrived, resolve: arrive } = signalOf()
  const { promise: gone, resolve: leave } = signalOf()
  const { url } = await serveRaw(t, socket => {
    arrive()
    socket.on('close', leave).resume()
  })
  return { url: url.replace('http:', 'https:'), arrived, gone }
}

const signalOf = () => {
  let resolve = () => {}
  const promise = new Promise<void>(done => {
    resolve = done
  })
  return { promise, resolve }
}

/** Less than the 10 s that undici gives a connection. */
const SOON = 6_000

t.test('a connection that is being made ends with its client', async t => {
  const { url, arrived, gone } = await silentServer(t)
  const client = clientFor(t, url)
  const call = failureOf(client.getAsset('a1'))
  await arrived
  await client.close()
  t.match(await call, { code: 'ERR_CLIENT_CLOSED' })
  await within(SOON, gone)
})

t.test('it ends as early as in the lookup of the name', async t => {
  const { promise: asked, resolve: look } = signalOf()
  lookUpBy(t, look)
  const sockets = socketsOf(t)
  const agent = openAgent()
  const call = failureOf(ask(agent, 'http://slow.test'))
  await asked
  await agent.close()
  await call
  t.strictSame(
    sockets.map(({ destroyed }) => destroyed),
    [true],
  )
})

/** The sockets that are made while the test runs. */
const socketsOf = (t: Test) => {
  const sockets: net.Socket[] = []
  const keep = (message: unknown) => {
    sockets.push((message as { socket: net.Socket }).socket)
  }
  subscribe('net.client.socket', keep)
  t.teardown(() => unsubscribe('net.client.socket', keep))
  return sockets
}

t.test('a connection that is being made ends with its upload', async t => {
  for (const shared of [true, false]) {
    const { url, arrived, gone } = await silentServer(t)
    const token = 'some-token'
    const client = shared ? clientFor(t, url) : undefined
    const upload = new RealtimeUpload({
      assetId: 'a1',
      filetype: 'video/mp4',
      ...(client ? { client } : { token, baseUrl: url }),
    })
    upload.end('some bytes')
    await arrived
    upload.destroy()
    t.equal(await endOf(upload), undefined)
    await within(SOON, gone)
  }
})

t.test('a connection that is being made serves the next try, and other requests', async t => {
  const { url } = await serve(t, res => res.end())
  const slow = url.replace('127.0.0.1', 'slow.test')
  const pending: (() => void)[] = []
  lookUpBy(t, found => pending.push(() => found([{ address: '127.0.0.1', family: 4 }])))
  const agent = openAgent()
  t.teardown(() => agent.close())
  const sockets = socketsOf(t)
  await failureOf(ask(agent, slow, { allowed: () => 20 }))
  t.strictSame(
    sockets.map(({ destroyed }) => destroyed),
    [false],
    'not after a deadline',
  )
  const ending = new AbortController()
  const one = failureOf(ask(agent, slow, { signal: ending.signal }))
  const other = ask(agent, slow)
  ending.abort(new Error('enough'))
  t.match(await one, { message: 'enough' })
  for (const find of pending) find()
  t.match(await within(20_000, other), { status: 200 }, 'nor while another waits')
})
