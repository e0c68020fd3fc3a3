/**
 * A link of a known rate between a contestant and a sink: a wire between two network namespaces,
 * shaped by the kernel; where there can be none, a proxy that lets so many bytes a second through.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { lay, namespaceOf, refusal, shape } from '../test/support/network.ts'
import { type Sink, startSink } from './measure.ts'

export interface Link {
  readonly sink: Sink
  /** What takes a contestant to its end of the link. */
  readonly prefix: readonly string[]
  /** Bytes a second of what is uploaded, without what TCP, IP and Ethernet add. */
  readonly rate: number
  /** What it is made of. */
  readonly made: string
  /** Makes it carry so many Mbit/s from now on. */
  narrow(mbit: number): Promise<void>
  close(): Promise<void>
}

/** A TCP segment's bytes of data, and the frame that it travels in. */
const [SEGMENT, FRAME] = [1_448, 1_514]

export const openLink = async (mbit: number): Promise<Link> => {
  const reason = refusal()
  return reason === false ? openWire(mbit) : openProxy(mbit, reason)
}

const openWire = async (mbit: number): Promise<Link> => {
  const enter = ['unshare', '--net', 'sh', '-c', 'ip link set lo up; exec "$0" "$@"']
  const sink = await startSink({}, enter)
  // Ends with its stdin, and so with this process, whatever ends that.
  const holder = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'pipe', 'inherit'] })
  holder.stdin.write('.')
  await once(holder.stdout, 'data') // Now it is in its namespace.
  const near = namespaceOf(holder.pid)
  await lay(near, namespaceOf(sink.pid))
  await shape(near, mbit)
  return {
    sink,
    prefix: ['nsenter', '--target', near.pid, '--net'],
    rate: ((mbit * 1e6) / 8) * (SEGMENT / FRAME),
    made: 'two network namespaces and tbf',
    narrow: mbit => shape(near, mbit),
    close: async () => {
      holder.stdin.end()
      await sink.close()
    },
  }
}

const openProxy = async (mbit: number, reason: string): Promise<Link> => {
  const sink = await startSink()
  let rate = (mbit * 1e6) / 8
  const target = Number(new URL(sink.url).port)
  let free = 0
  const through = async (chunk: Buffer, out: Socket) => {
    free = Math.max(free, performance.now()) + (chunk.length / rate) * 1_000
    await wait(free - performance.now())
    if (!out.write(chunk)) await once(out, 'drain')
  }
  const server = createServer(async near => {
    const far = connect(target, '127.0.0.1')
    far.pipe(near)
    for await (const chunk of near) await through(chunk, far)
    far.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    // The sink names itself in presigned URLs by the host it was asked by, and so the proxy.
    sink: { ...sink, url: `http://127.0.0.1:${port}` },
    prefix: [],
    rate,
    made: `a proxy that holds bytes back, since ${reason}`,
    narrow: async mbit => {
      rate = (mbit * 1e6) / 8
    },
    close: async () => {
      server.close()
      await sink.close()
    },
  }
}
