/**
 * Which proxy a request goes through, as the environment says and curl reads it: a lower-case name
 * goes before the same in capitals, what is for one scheme before `ALL_PROXY`, and one that is empty
 * means none. User and password are taken out of the URL here, so that no error can have them.
 */
import { BlockList, isIP } from 'node:net'
import { refusal } from '../checks.ts'

export interface ProxyServer {
  readonly kind: 'http' | 'socks'
  /** Without user and password. */
  readonly url: string
  /** With its port, where it has one: what people are told of it. */
  readonly host: string
  /** Decoded; '' where there is none. */
  readonly user: string
  readonly password: string
}

/** The proxy for a URL; undefined where it is reached directly. */
export type ProxyFor = (url: URL) => ProxyServer | undefined

type Environment = Readonly<Record<string, string | undefined>>

/**
 * What the environment says of proxies; undefined where it names none.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`, naming the variable, and never what it holds
 */
export const readProxies = (env: Environment): ProxyFor | undefined => {
  const http = proxyIn(env, ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'])
  // curl does not fall back on the one for HTTP. Agents of undici do, and this command always did.
  const https = proxyIn(env, [
    ...['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'],
    ...['http_proxy', 'HTTP_PROXY'],
  ])
  if (!http && !https) return undefined
  const isExempt = readExemptions(env.no_proxy ?? env.NO_PROXY ?? '')
  return url => (isExempt(url) ? undefined : url.protocol === 'https:' ? https : http)
}

/** The proxy that the first of these variables names. */
const proxyIn = (env: Environment, variables: readonly string[]): ProxyServer | undefined => {
  const variable = variables.find(name => env[name] !== undefined) ?? ''
  const value = env[variable]?.trim() ?? ''
  return value === '' ? undefined : readProxy(variable, value)
}

const KINDS: Readonly<Record<string, ProxyServer['kind']>> = {
  'http:': 'http',
  'https:': 'http',
  'socks:': 'socks',
  'socks5:': 'socks',
  'socks5h:': 'socks',
}

const readProxy = (variable: string, value: string): ProxyServer => {
  const text = /^[a-z][a-z\d+.-]*:\/\//i.test(value) ? value : `http://${value}`
  if (!URL.canParse(text)) throw malformed(variable)
  const { protocol, hostname, host, username, password, pathname, search, hash } = new URL(text)
  const kind = KINDS[protocol]
  if (kind === undefined) {
    throw refusal(variable, protocol.slice(0, -1), 'a proxy of the kind http, https or socks5')
  }
  // A password with a slash ends the host too early: what is left of it must not pass for a path.
  if (hostname === '' || !['', '/'].includes(pathname) || search || hash) throw malformed(variable)
  try {
    return {
      kind,
      url: `${kind === 'socks' ? 'socks5:' : protocol}//${host}`,
      host,
      user: decodeURIComponent(username),
      password: decodeURIComponent(password),
    }
  } catch {
    throw malformed(variable)
  }
}

const malformed = (variable: string) =>
  refusal(
    variable,
    'another text (hidden: it may hold a password)',
    'http://host:port or socks5://host:port, with user:password@ before the host where it needs them, in which / ? # @ : and % are written as %2F %3F %23 %40 %3A and %25',
  )

/**
 * `NO_PROXY`: names, which stand for what is below them as well, addresses, and networks such as
 * 10.0.0.0/8; each but a network with a port perhaps. A single `*` stands for all.
 */
const readExemptions = (list: string): ((url: URL) => boolean) => {
  if (list.trim() === '*') return () => true
  const exemptions = list
    .split(/[,\s]+/)
    .filter(Boolean)
    .map(exemptionOf)
  return ({ protocol, hostname, port }) => {
    const host = bare(hostname)
    const at = port === '' ? DEFAULT_PORTS[protocol] : Number(port)
    return exemptions.some(holds => holds(host, at))
  }
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 }

type Exemption = (host: string, port: number | undefined) => boolean

const exemptionOf = (entry: string): Exemption => {
  const [, network = '', prefix] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? []
  if (isIP(network)) return within(network, Number(prefix))
  const isAddress = isIP(entry) !== 0 // Of which the last part would look like a port.
  const [, name = entry, port] = (!isAddress && /^(.+?)(?::(\d+))?$/.exec(entry)) || []
  const wanted = bare(name.replace(/^\*?\./, ''))
  return (host, at) =>
    (port === undefined || Number(port) === at) && (host === wanted || host.endsWith(`.${wanted}`))
}

/** Is an address of this network? */
const within = (network: string, prefix: number): Exemption => {
  const family = isIP(network)
  if (prefix > (family === 4 ? 32 : 128)) return () => false
  const type = family === 4 ? 'ipv4' : 'ipv6'
  const addresses = new BlockList()
  addresses.addSubnet(network, prefix, type)
  return host => isIP(host) === family && addresses.check(host, type)
}

/** As it is compared: a URL has IPv6 in brackets. */
const bare = (host: string) => host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
