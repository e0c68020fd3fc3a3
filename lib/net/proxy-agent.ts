/**
 * An agent that goes through proxies. Whatever goes wrong on the way says its host: between here and
 * an HTTP proxy the server that was asked for has no part in that, and behind it the proxy may have
 * one. User and password are never in what undici is given as a URL, and so in no error.
 */
import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent, Socks5ProxyAgent } from 'undici'
import { CONNECT, type OwnAgent, Sockets } from './agents.ts'
import type { ProxyFor, ProxyServer } from './proxies.ts'

type Connector = buildConnector.connector

/** Requests go through the proxy for their URL, or directly where there is none. */
export const openProxyAgent = (proxyFor: ProxyFor): OwnAgent => {
  const sockets = new Sockets()
  const agent = new Agent({
    connect: sockets.watch(buildConnector(CONNECT)),
    factory: (origin, options) => {
      const proxy = proxyFor(new URL(origin))
      if (!proxy) return new Pool(origin, options)
      return proxy.kind === 'socks' ? throughSocks(proxy, sockets) : throughHttp(proxy, sockets)
    },
  })
  return sockets.agent(agent)
}

const throughHttp = ({ url, host, user, password }: ProxyServer, sockets: Sockets): Dispatcher => {
  const credentials = Buffer.from(`${user}:${password}`).toString('base64')
  return new ProxyAgent({
    uri: url,
    ...((user || password) && { token: `Basic ${credentials}` }),
    proxyTls: CONNECT,
    clientFactory: (proxy, options) => {
      const connect = sockets.watch((options as { connect: Connector }).connect)
      return new Pool(proxy, { ...options, connect: named(host, connect) })
    },
    factory: (origin, options) => {
      const { connect } = options as { connect: Connector }
      return new Pool(origin, { ...options, connect: tunnelled(host, connect) })
    },
  })
}

const throughSocks = ({ url, host, user, password }: ProxyServer, sockets: Sockets): Dispatcher => {
  const connect = named(host, sockets.watch(buildConnector(CONNECT)))
  const options = { connect, ...((user || password) && { username: user, password }) }
  // undici warns on stderr that this is experimental: there people read what becomes of a take, and
  // programs read one object a line.
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return new Socks5ProxyAgent(url, options)
  } finally {
    process.emitWarning = emitWarning
  }
}

/** The connection to a proxy: where it fails the proxy is named. */
const named = (host: string, connect: Connector): Connector =>
  onError(connect, error => {
    error.message = `proxy ${host}: ${error.message || (error as NodeJS.ErrnoException).code}`
    return error
  })

/**
 * The connection through a proxy: where the proxy refuses it, or hangs up, that is said of the proxy.
 * With the code that undici has for the latter it would ask the proxy again at once, thousands of
 * times a second, for as long as the request lasts.
 */
const tunnelled = (host: string, connect: Connector): Connector =>
  onError(connect, error => {
    const [, status] = /^Proxy response \((\d+)\)/.exec(error.message) ?? []
    const hasHungUp = /^UND_ERR_(SOCKET|INFO)$/.test((error as NodeJS.ErrnoException).code ?? '')
    if (status === undefined && !hasHungUp) {
      // One that did not even connect has been named; else who broke it off cannot be told.
      const isNamed = error.message.startsWith(`proxy ${host}`)
      if (!isNamed) error.message = `through proxy ${host}: ${error.message}`
      return error
    }
    const why = status === '407' ? ': it wants a user and a password, or others' : ''
    const what = hasHungUp ? 'closed the connection' : `refused the connection with ${status}${why}`
    return Object.assign(new Error(`proxy ${host} ${what}`), { code: 'ERR_PROXY_REFUSED' })
  })

const onError =
  (connect: Connector, translate: (error: Error) => Error): Connector =>
  (options, callback) =>
    connect(options, (...[error, socket]) =>
      error
        ? callback(translate(error), null)
        : callback(null, socket as NonNullable<typeof socket>),
    )
