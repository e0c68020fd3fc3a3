/**
 * Where the command has its token from.
 *
 * What was read once is used until Frame.io refuses it. Then a file is read again until it holds
 * another; a pipe (`<(…)`, `/dev/stdin`) has been read to its end, and to open it again would give
 * nothing, or wait for ever.
 */
import { constants, createReadStream, fstatSync, openSync, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { RealtimeUploadError } from '../errors.ts'
import type { RefreshingToken, Token } from '../frameio/token.ts'
import { checkBearer } from './bearer.ts'
import type { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import { UsageError } from './usage.ts'

export interface Tokens {
  /** For the questions before the take: a wrong one fails at once. */
  readonly first: Token
  /** For the take: another is had where it can be. */
  readonly renewing: Token
}

/** @throws {UsageError} */
export const tokensOf = async (
  {
    tokenFile,
    producer,
    follow,
    upload,
  }: Pick<Settings, 'tokenFile' | 'producer' | 'follow'> & {
    readonly upload?: Pick<Settings['upload'], 'device'>
  },
  secrets: Secrets,
): Promise<Tokens> => {
  const { FRAMEIO_TOKEN } = process.env
  if (tokenFile !== undefined) {
    const isStdinFree = producer !== undefined || follow !== undefined
    return tokensIn(tokenFile, isStdinFree, secrets)
  }
  if (!FRAMEIO_TOKEN) {
    const own = upload?.device ? '; a paired device has its own in --credentials FILE' : ''
    throw new UsageError(`There is no token: set FRAMEIO_TOKEN, or give --token-file FILE${own}`)
  }
  secrets.keep(FRAMEIO_TOKEN)
  checkBearer('FRAMEIO_TOKEN', FRAMEIO_TOKEN)
  return { first: FRAMEIO_TOKEN, renewing: FRAMEIO_TOKEN }
}

const tokensIn = async (file: string, isStdinFree: boolean, secrets: Secrets): Promise<Tokens> => {
  const readNext = async () => {
    const found = await readToken(file, isStdinFree)
    secrets.keep(found.token)
    if (found.token === '') throw new Error(`${file} is empty`)
    return found
  }
  const first = await readNext().catch(error => {
    if (error instanceof UsageError) throw error
    throw new UsageError(`--token-file cannot be read: ${error.message}`)
  })
  let { token } = first
  checkBearer(file, token)
  const renew = async (refused?: string) => {
    if (token !== refused) return token
    if (!first.isFile) throw usedUp(file)
    const next = await readNext()
    // Whoever writes the next token into the file may be late, or halfway through.
    if (next.token === refused) throw new Error(`${file} holds no new token yet`)
    // The library takes what is no token for a fault of its caller's, which would end the take.
    checkBearer(file, next.token)
    token = next.token
    return token
  }
  // Never ahead of expiry: nobody knows when that is.
  const renewing: RefreshingToken = Object.assign(renew, { renewAt: Number.POSITIVE_INFINITY })
  return { first: token, renewing }
}

const usedUp = (file: string) =>
  new RealtimeUploadError(
    'ERR_UNAUTHORIZED',
    `The token was refused, and there is no other: ${file} is no regular file, so it is read only once. A file is read again`,
  )

interface Found {
  readonly token: string
  /** Can it be read again? */
  readonly isFile: boolean
}

const readToken = async (file: string, isStdinFree: boolean): Promise<Found> => {
  const stats = await stat(file)
  const isStdin = isSame(stats, fstatSync(0))
  if (isStdin && !isStdinFree) {
    throw new UsageError('--token-file is stdin, and so is the recording: give -- and a program')
  }
  const text = await readText(isStdin ? process.stdin : openStream(file, stats.isFIFO()))
  return { token: text.trim(), isFile: stats.isFile() && !isStdin }
}

/** Are both the same pipe, socket or file? Windows knows no number of a pipe. */
const isSame = (one: Stats, other: Stats): boolean =>
  one.ino !== 0 && one.ino === other.ino && one.dev === other.dev

/**
 * A FIFO is opened without waiting for whoever writes to it, and waited for as sockets are: a thread
 * that waits in `open` or `read` would keep the process from ending.
 */
const openStream = (file: string, isFifo: boolean): Readable => {
  if (!isFifo) return createReadStream(file)
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK)
  return new Socket({ fd, readable: true, writable: false })
}

/** Characters that a token may have, with what stands around it. */
const LONGEST = 64 * 2 ** 10

const readText = async (stream: Readable): Promise<string> => {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) {
    text += chunk
    if (text.length > LONGEST) throw new Error(`it has more than ${LONGEST} characters`)
  }
  return text
}
