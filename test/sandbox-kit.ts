/**
 * What the tests of the sandbox share: clients that follow the protocol by hand.
 */
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { connect } from 'node:net'
import { request } from 'undici'
import { LIMITS_DOOR, type Limits } from '../lib/frameio/protocol.ts'
import { type Sandbox, type SandboxOptions, startSandbox } from '../lib/sandbox/index.ts'

interface Teardown {
  teardown(undo: () => unknown): void
}

/** Limits low enough for parts of a few bytes. */
export const LOW: Partial<Limits> = {
  minPartSize: 4,
  maxPartSize: 200_000,
  maxParts: 20,
  maxFilesize: 1_000_000,
}

/** A sandbox for small parts that closes with its test. */
export const boot = async (t: Teardown, options: SandboxOptions = {}) => {
  const sandbox = await startSandbox({ ...options, ...{ [LIMITS_DOOR]: LOW } })
  t.teardown(() => sandbox.close())
  return sandbox
}

export const mp4 = (sandbox: Sandbox) =>
  sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })

/** A call to the API, with token and JSON unless told otherwise; a header undefined is left out. */
export const call = async (
  sandbox: Sandbox,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Record<string, string | undefined> = {},
) => {
  const all = {
    authorization: `Bearer ${sandbox.token}`,
    ...(body !== undefined && { 'content-type': 'application/json' }),
    ...headers,
  }
  const sent = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const answer = await request(sandbox.url + path, {
    method,
    headers: Object.fromEntries(sent),
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await answer.body.text()
  const isJson = /json/.test(String(answer.headers['content-type']))
  const json = isJson ? JSON.parse(text) : undefined
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    json,
    detail: json?.errors?.[0].detail as string | undefined,
  }
}

export const partsPath = (id: string) => `/v2/assets/${id}/realtime_upload/parts`

/** Registers parts given as [number, size, final?]. */
export const register = async (
  sandbox: Sandbox,
  id: string,
  parts: readonly (readonly [number, number, boolean?])[],
  more: object = {},
) => {
  const answer = await call(sandbox, 'POST', partsPath(id), {
    parts: parts.map(([number, size, final = false]) => ({ number, size, is_final: final })),
    ...more,
  })
  return { ...answer, urls: (answer.json?.upload_urls ?? []) as string[] }
}

/** The URL of a single part. */
export const urlFor = async (sandbox: Sandbox, id: string, number = 1, size = 4) => {
  const { urls } = await register(sandbox, id, [[number, size]])
  return String(urls[0])
}

/** A PUT as a presigned URL wants it. */
export const put = async (
  url: string,
  body: string | Buffer,
  headers: Record<string, string | undefined> = {},
) => {
  const all = { 'content-type': 'video/mp4', 'x-amz-acl': 'private', ...headers }
  const sent = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const answer = await request(url, { method: 'PUT', body, headers: Object.fromEntries(sent) })
  const text = await answer.body.text()
  return {
    status: answer.statusCode,
    headers: answer.headers,
    text,
    code: /<Code>(.*)<\/Code>/.exec(text)?.[1],
    message: /<Message>(.*)<\/Message>/.exec(text)?.[1],
  }
}

/** The head of a PUT as bytes. */
export const putHead = (url: string, length: number, headers = '') => {
  const { host, pathname, search } = new URL(url)
  return `PUT ${pathname}${search} HTTP/1.1\r\nhost: ${host}\r\ncontent-type: video/mp4\r\nx-amz-acl: private\r\ncontent-length: ${length}\r\n${headers}\r\n`
}

/** A connection by hand: what came back so far, and how it ended. */
export const dial = async (url: string) => {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  const line = { socket, received: '', error: '' }
  socket.setEncoding('utf8').on('data', text => {
    line.received += text
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    line.error = error.code ?? error.message
  })
  return line
}

/** Files of parts, finished or not, that are in no assembled file. */
export const looseFiles = async ({ dir = '' }: Sandbox) => {
  const paths = await readdir(dir, { recursive: true })
  return paths.filter(path => /^\.parts.*[/\\]/.test(path))
}

/** Waits until something is true; the test's own time-out is the guard against waiting for ever. */
export const until = async (isTrue: () => boolean | Promise<boolean>) => {
  while (!(await isTrue())) await new Promise(resolve => setTimeout(resolve, 2))
}
