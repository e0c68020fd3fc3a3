/**
 * The agents that are our own: how they connect, and that no connection outlives its use. An agent
 * that was given is used as it is.
 */
import type { Socket } from 'node:net'
import { Agent, buildConnector, type Dispatcher } from 'undici'
import { DEADLINE } from './deadline.ts'

/**
 * Happy Eyeballs (RFC 8305): a name's addresses are tried in turn. Node gives each 250 ms, so where
 * IPv6 leads nowhere and a round trip takes 300 ms or more (a satellite, bonded cellular), each
 * attempt is broken off before its answer can come, and nothing ever connects. With 2,000 ms it does,
 * in whichever order the addresses stand; with 5,000 ms two of them take undici's whole 10 s.
 */
export const CONNECT = {
  autoSelectFamily: true,
  autoSelectFamilyAttemptTimeout: 2_000,
} as buildConnector.BuildOptions

/** An agent, and how it ends. */
export interface OwnAgent {
  readonly dispatcher: Dispatcher
  /** Ends all its connections, those that are being made as well. */
  close(): Promise<void>
}

export const openAgent = (): OwnAgent => {
  const sockets = new Sockets()
  return sockets.agent(new Agent({ connect: sockets.watch(buildConnector(CONNECT)) }))
}

/**
 * A request by one of our own agents. When the last of them has ended, but for one whose deadline
 * passed and that will be made again, nobody waits any more for what is still connecting.
 */
export const requestBy = async <T>(
  dispatcher: Dispatcher,
  signal: AbortSignal,
  answer: Promise<T>,
): Promise<T> => {
  const sockets = known.get(dispatcher)
  if (!sockets) return answer
  sockets.requests++
  try {
    return await answer
  } finally {
    if (--sockets.requests === 0 && signal.reason !== DEADLINE) sockets.endConnecting()
  }
}

/**
 * The sockets of an agent. undici leaves a socket alone until it is connected, whatever becomes of
 * the agent or of the request: for up to 10 s, and until then the process does not end.
 */
export class Sockets {
  /** Requests under way. */
  requests = 0
  readonly #open = new Set<Socket>()
  readonly #connecting = new Set<Socket>()

  watch(connect: buildConnector.connector): buildConnector.connector {
    return (options, callback) => {
      // undici's types keep quiet about it, but what its connectors return is the socket.
      const socket = connect(options, (...result) => {
        this.#connecting.delete(socket)
        callback(...result)
      }) as unknown as Socket
      this.#open.add(socket)
      this.#connecting.add(socket)
      socket.once('close', () => {
        this.#open.delete(socket)
        this.#connecting.delete(socket)
      })
    }
  }

  agent(dispatcher: Dispatcher): OwnAgent {
    known.set(dispatcher, this)
    return {
      dispatcher,
      close: async () => {
        await dispatcher.destroy()
        for (const socket of this.#open) socket.destroy()
      },
    }
  }

  endConnecting(): void {
    for (const socket of this.#connecting) socket.destroy(new Error('Nobody waits for it any more'))
  }
}

const known = new WeakMap<Dispatcher, Sockets>()
