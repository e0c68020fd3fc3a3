/**
 * A real network on one machine: the kernel's own TCP over a veth pair whose rate, losses and resets
 * a test commands. Linux, root, iproute2, nftables and util-linux are needed.
 *
 *     uploader ── wire 192.0.2.1 ═══ veth pair ═══ wire 192.0.2.2 ── sandbox
 *     namespace of one process                     namespace of another, 127.0.0.1
 *
 * The sandbox listens on 127.0.0.1, and the library would speak plain HTTP to nothing else. So in the
 * uploader's namespace, which has no loopback of its own, 127.0.0.1 is an address behind the wire
 * (`route_localnet`): nothing stands between the library's sockets and the sandbox's but the kernel.
 *
 * Neither namespace has a name. Each lives as long as its process, which ends when the channel to
 * this one closes, and the wire goes with it: nothing is left over, even after a SIGKILL.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { RealtimeUploadOptions } from '../../lib/index.ts'
import { within } from './servers.ts'

const run = promisify(execFile)

interface Teardown {
  teardown(fn: () => unknown): void
}

/** Where to upload to: options of an upload. */
export type Destination = Required<
  Pick<RealtimeUploadOptions, 'assetId' | 'filetype'> & { token: string; baseUrl: string }
>

export interface Delivery {
  /** Bytes, random ones. */
  readonly size: number
  readonly destination: Destination
  readonly options: Pick<RealtimeUploadOptions, 'stallTimeout' | 'concurrency' | 'retry'>
}

/** What a peer can be told to do, one thing at a time. */
export type Order =
  | { readonly do: 'create' }
  | { readonly do: 'upload'; readonly delivery: Delivery }
  | { readonly do: 'report'; readonly assetId: string }

/** An upload that finished, as its own side saw it. */
export interface Outcome {
  /** From the first byte to `finish`, in seconds. */
  readonly seconds: number
  /** Of what was uploaded. */
  readonly sha256: string
}

/** What became of an asset, as the sandbox saw it. */
export interface Report {
  /** Of what arrived. */
  readonly sha256: string | undefined
  readonly finals: number
  readonly parts: number
  readonly storedBytes: number
  /** PUTs whose headers arrived. */
  readonly puts: number
  /** Bytes of bodies that arrived, those of failed PUTs included. */
  readonly receivedBytes: number
}

/** Another try that an upload told of. */
export interface Retry {
  readonly stage: string
  readonly partNumbers: readonly number[]
  readonly attempt: number
  /** The code of what the network did, or else of the library's error. */
  readonly reason: string
  /** Seconds since the upload began. */
  readonly at: number
}

/** What a peer says. */
export type FromPeer =
  | { readonly event: 'ready' }
  | { readonly event: 'done'; readonly reply: Destination | Outcome | Report }
  | { readonly event: 'failed'; readonly reason: string }
  | { readonly event: 'stored'; readonly bytes: number }
  | ({ readonly event: 'retry' } & Retry)

const WIRE = 'wire'
const [NEAR, FAR] = ['192.0.2.1', '192.0.2.2'] // TEST-NET-1: routed nowhere

/** Everything that a scenario asks of the kernel, in a namespace that ends with the command. */
const PROBE = `
  ip link add ${WIRE} type veth peer name far
  ip link set ${WIRE} gso_max_segs 1 up
  echo 1 > /proc/sys/net/ipv4/conf/${WIRE}/route_localnet
  tc qdisc replace dev ${WIRE} root tbf rate 1mbit burst 32kb latency 100ms
  nft add table ip weather
  nft 'add chain ip weather input { type filter hook input priority 0; }'
  nft add rule ip weather input numgen random mod 1000 '<' 1 drop
  nft add rule ip weather input tcp flags '&' rst != rst reject with tcp reset`

/** Why there can be no such network here; false where there can. */
export const refusal = (): string | false => {
  if (process.platform !== 'linux')
    return `a network namespace takes Linux, not ${process.platform}`
  if (process.getuid?.() !== 0) return 'a network namespace takes root'
  for (const tool of ['unshare', 'nsenter', 'ip', 'tc', 'nft']) {
    if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) {
      return `${tool} is missing: install iproute2, nftables and util-linux`
    }
  }
  const { status, stderr } = spawnSync('unshare', ['--net', 'sh', '-ec', PROBE])
  return status !== 0 && `the kernel refuses: ${String(stderr).trim().split('\n')[0]}`
}

/** A network namespace, which lives as long as a process in it. */
export interface Namespace {
  /** Of that process. */
  readonly pid: string
  /** Runs a command in it and returns what it printed. */
  run(command: string, ...args: string[]): Promise<string>
}

export const namespaceOf = (pid: number | undefined): Namespace => ({
  pid: String(pid),
  run: async (command, ...args) =>
    (await run('nsenter', ['--target', String(pid), '--net', command, ...args])).stdout,
})

/** A process in a network namespace of its own. */
class Peer extends EventEmitter<{ stored: [number]; retry: [Retry]; answer: [FromPeer] }> {
  readonly namespace: Namespace
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>

  constructor() {
    super()
    const script = fileURLToPath(new URL('./network-peer.ts', import.meta.url))
    this.#child = spawn('unshare', ['--net', process.execPath, '--import=tsx', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.namespace = namespaceOf(this.#child.pid)
    this.#exited = once(this.#child, 'exit')
    this.#exited.then(() => this.emit('answer', { event: 'failed', reason: 'The peer is gone' }))
    this.#child.on('message', (message: FromPeer) => {
      if (message.event === 'stored') this.emit('stored', message.bytes)
      else if (message.event === 'retry') this.emit('retry', message)
      else this.emit('answer', message)
    })
  }

  /** Carries an order out; without one, waits until the peer is up. */
  async ask<Answer>(order?: Order): Promise<Answer> {
    const answer = once(this, 'answer')
    if (order) this.#child.send(order)
    const [message] = (await answer) as [FromPeer]
    if (message.event === 'failed') throw new Error(message.reason)
    return (message.event === 'done' ? message.reply : undefined) as Answer
  }

  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await within(5_000, this.#exited).catch(() => this.#child.kill('SIGKILL'))
  }
}

/** An upload that finished, as both sides saw it. */
export interface Arrival {
  readonly outcome: Outcome
  readonly report: Report
  /** When it finished, on the clock of `performance.now()`. */
  readonly endedAt: number
}

/** An upload over the wire. */
export interface Journey {
  /** What it told of other tries, so far. */
  readonly retries: readonly Retry[]
  /** Resolves when so many bytes are stored. Rejects if the upload ends before. */
  reached(bytes: number): Promise<void>
  /** Both sides' account of it, once it has finished. Rejects if it fails. */
  readonly end: Promise<Arrival>
}

export interface Network {
  /** Shapes what the uploader sends, to so many Mbit/s. */
  rate(mbit: number): Promise<void>
  /** Loses packets both ways, in percent. */
  lose(percent: number): Promise<void>
  /** Swallows all packets both ways. */
  swallow(): Promise<void>
  /** Answers every packet of TCP with a reset, both ways: what stood is cut, what is new is refused. */
  reset(): Promise<void>
  /** No more losses, holes or resets. */
  clear(): Promise<void>
  /** Takes the uploader's end of the wire down, and its routes with it. */
  down(): Promise<void>
  up(): Promise<void>
  /** Bytes that left the uploader's end of the wire, headers and retransmissions included. */
  sent(): Promise<number>
  /** Starts an upload to a new asset. One at a time. */
  upload(size: number, options?: Delivery['options']): Promise<Journey>
}

/** A network that is taken down with the test. */
export const networkFor = async (t: Teardown): Promise<Network> => {
  const peers = [new Peer(), new Peer()] as const
  const [uploader, sandbox] = peers
  const near = uploader.namespace
  t.teardown(() => Promise.all(peers.map(peer => peer.close())))
  await Promise.all(peers.map(peer => peer.ask()))
  await lay(near, sandbox.namespace)

  const weather = async (...rule: string[]) => {
    const lines = ['flush chain ip weather input']
    if (rule.length > 0) lines.push(`add rule ip weather input ${rule.join(' ')}`)
    await Promise.all(peers.map(peer => peer.namespace.run('nft', lines.join('\n'))))
  }

  return {
    rate: mbit => shape(near, mbit),
    lose: percent => weather(`numgen random mod 1000 < ${percent * 10} drop`),
    swallow: () => weather('drop'),
    // A reset must get through itself.
    reset: () => weather('tcp flags & rst != rst reject with tcp reset'),
    clear: () => weather(),
    down: async () => void (await near.run('ip', 'link', 'set', WIRE, 'down')),
    up: () => raise(near),
    sent: async () => {
      const lines = (await near.run('cat', '/proc/net/dev')).split('\n')
      const [, figures = ''] = lines.find(line => line.includes(`${WIRE}:`))?.split(':') ?? []
      return Number(figures.trim().split(/\s+/)[8])
    },
    upload: async (size, options = {}) => {
      const destination = await sandbox.ask<Destination>({ do: 'create' })
      return journey({ size, destination, options }, uploader, sandbox)
    },
  }
}

/** Lays the wire between two namespaces, and the chains for the weather on it. */
export const lay = async (uploader: Namespace, sandbox: Namespace): Promise<void> => {
  const ends = ['name', WIRE, 'netns', uploader.pid, 'type', 'veth']
  await run('ip', ['link', 'add', ...ends, 'peer', 'name', WIRE, 'netns', sandbox.pid])
  await sandbox.run('ip', 'link', 'set', 'lo', 'up')
  for (const [end, address] of [
    [uploader, NEAR],
    [sandbox, FAR],
  ] as const) {
    // Else 127.0.0.1 would be a martian on the wire.
    await end.run('sh', '-c', `echo 1 > /proc/sys/net/ipv4/conf/${WIRE}/route_localnet`)
    await end.run('ip', 'address', 'add', `${address}/24`, 'dev', WIRE)
    // A veth passes 64 KiB at a time, and one drop would lose it all: packets as on a cable.
    await end.run('ip', 'link', 'set', WIRE, 'gso_max_segs', '1', 'up')
    const chain = 'add chain ip weather input { type filter hook input priority 0; }'
    await end.run('nft', `add table ip weather\n${chain}`)
  }
  await raise(uploader)
}

/** Shapes what the uploader sends, to so many Mbit/s. */
export const shape = async (uploader: Namespace, mbit: number): Promise<void> => {
  const tbf = `tbf rate ${mbit}mbit burst 32kb latency 100ms`.split(' ')
  await uploader.run('tc', 'qdisc', 'replace', 'dev', WIRE, 'root', ...tbf)
}

/** Takes the uploader's end up. A link that goes down loses its routes. */
const raise = async (uploader: Namespace): Promise<void> => {
  await uploader.run('ip', 'link', 'set', WIRE, 'up')
  await uploader.run('ip', 'route', 'replace', '127.0.0.1', 'via', FAR, 'dev', WIRE, 'src', NEAR)
}

const journey = (delivery: Delivery, uploader: Peer, sandbox: Peer): Journey => {
  const retries: Retry[] = []
  const keep = (retry: Retry) => retries.push(retry)
  const finish = async (): Promise<Arrival> => {
    const outcome = await uploader.ask<Outcome>({ do: 'upload', delivery })
    const endedAt = performance.now()
    uploader.off('retry', keep)
    const { assetId } = delivery.destination
    const report = await sandbox.ask<Report>({ do: 'report', assetId })
    return { outcome, report, endedAt }
  }
  uploader.on('retry', keep)
  const end = finish()
  end.catch(() => {}) // Whoever waits hears of it.
  return {
    retries,
    end,
    reached: async bytes => {
      const arrived = new Promise<void>(resolve => {
        uploader.on('stored', stored => stored >= bytes && resolve())
      })
      const early = end.then(() => {
        throw new Error(`It finished before ${bytes} bytes were seen to be stored`)
      })
      await Promise.race([arrived, early])
    },
  }
}
