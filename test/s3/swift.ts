/**
 * A real S3 for the tests: OpenStack Swift with its S3 API, in processes of their own. See swift.sh.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'

interface Teardown {
  teardown(undo: () => unknown): void
}

/** How to reach an S3. */
export type Connection = S3ClientConfig & { readonly endpoint: string }

/** Starts Swift, which ends with the test, or with this process. */
export const startSwift = async (t: Teardown): Promise<Connection> => {
  const ports = await freePorts(4)
  const script = fileURLToPath(new URL('swift.sh', import.meta.url))
  // Not in our process group: a Ctrl-C ends us, and our end ends it, once it has cleaned up.
  const swift = spawn('bash', [script, 'run', ...ports.map(String)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const exited = once(swift, 'exit')
  t.teardown(async () => {
    swift.stdin.end()
    await exited
  })
  const up = await Promise.race([once(swift.stdout, 'data'), exited.then(() => undefined)])
  if (!up) throw new Error('Swift did not start: it says above why')
  return {
    endpoint: `http://127.0.0.1:${ports[0]}`,
    region: 'us-east-1',
    forcePathStyle: true,
    credentials: { accessKeyId: 'test:tester', secretAccessKey: 'testing' },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  }
}

/** A client that closes with the test. */
export const clientOf = (t: Teardown, connection: Connection): S3Client => {
  const client = new S3Client(connection)
  t.teardown(() => client.destroy())
  return client
}

/** Ports that nobody listens on: all held at once, so that they differ, then let go. */
const freePorts = async (count: number): Promise<number[]> => {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => {
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new Error('A server has no port')
    return address.port
  })
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}
