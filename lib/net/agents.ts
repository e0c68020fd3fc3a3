/**
 * The agents that are our own: how they connect. An agent that was given is used as it is.
 */
import { Agent, type buildConnector, type Dispatcher, EnvHttpProxyAgent } from 'undici'

/**
 * Happy Eyeballs (RFC 8305): a name's addresses are tried in turn. Node gives each 250 ms, so where
 * IPv6 leads nowhere and a round trip takes 300 ms or more (a satellite, bonded cellular), each
 * attempt is broken off before its answer can come, and nothing ever connects. With 2,000 ms it does,
 * in whichever order the addresses stand; with 5,000 ms two of them take undici's whole 10 s.
 */
const CONNECT = {
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: 2_000,
} as buildConnector.BuildOptions

/** An agent, and how it ends. */
export interface OwnAgent {
  readonly dispatcher: Dispatcher
  /** Ends all its connections. */
  close(): Promise<void>
}

export const openAgent = (): OwnAgent => ownAgent(new Agent({ connect: CONNECT }))

/** One that goes through the proxies that the environment names. */
export const openProxyAgent = (): OwnAgent =>
  ownAgent(new EnvHttpProxyAgent({ connect: CONNECT, proxyTls: CONNECT }))

const ownAgent = (dispatcher: Dispatcher): OwnAgent => ({
  dispatcher,
  close: () => dispatcher.destroy(),
})
