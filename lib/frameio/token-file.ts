/**
 * The file that a device's tokens are kept in. Its writer and its reader:
 *
 *     { "accessToken": "…", "refreshToken": "…", "lifetime": 28800000, "expiresAt": "2026-12-01T20:00:00.000Z",
 *       … whatever else stands there, which stays }
 *
 * It is replaced as a whole, so it can be read at any time; only who has its lock writes it. `lifetime`
 * is in ms. The wall clock says when the token ends, for others share nothing else with who wrote it;
 * where that clock jumps, a token is replaced too early, or a 401 tells that it is too late.
 */
import { readFile, readlink, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { refusal } from '../checks.ts'
import { replaceDurably } from '../durable-file.ts'
import { RealtimeUploadError } from '../errors.ts'
import { type Lock, lock } from '../lock.ts'
import type { Tokens } from './auth-answers.ts'

/** Tokens as they are kept. */
export interface KeptTokens extends Tokens {
  /** What the access token has left to live, in ms: less than 0 where it is dead. */
  readonly left: number
}

export interface TokenFile {
  /** Whatever stands in it: nothing where there is no file. */
  all(): Promise<Readonly<Record<string, unknown>>>
  /** Undefined where there are none, or no file. */
  read(): Promise<KeptTokens | undefined>
  /** Durable when this is over. Only for who has the lock. */
  write(tokens: Tokens): Promise<void>
  /** Likewise, of fields that are none of the tokens. */
  put(fields: Readonly<Record<string, unknown>>): Promise<void>
  /** Takes the tokens out, likewise. */
  forget(): Promise<void>
  /** Undefined where another has it. */
  tryLock(): Promise<Lock | undefined>
  /** Waits for it; throws the signal's reason where that aborts. */
  lock(signal?: AbortSignal): Promise<Lock>
}

/** Between two looks whether a lock is free, in ms. */
export const LOOK_AGAIN = 50

/** Longest that a lock is waited for, in ms: a refresh may take 30 s, and be tried twice. */
export const LONGEST_WAIT = 120_000

export const tokenFile = (file: string): TokenFile => {
  const real = () => behindLinks(file)
  const content = async () => {
    try {
      // To open a FIFO may take for ever, and would keep the process from ending.
      if (!(await stat(file)).isFile()) throw noFile(file)
      return objectIn(file, await readFile(file, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
      throw error
    }
  }
  const tryLock = async () => {
    try {
      return await lock(`${await real()}.lock`, 'these tokens')
    } catch (error) {
      if ((error as RealtimeUploadError).code === 'ERR_SPOOL_IN_USE') return undefined
      throw error
    }
  }
  const put = async (fields: object) => {
    const kept = { ...(await content()), ...fields }
    await replaceDurably(await real(), `${JSON.stringify(kept, undefined, 2)}\n`)
  }
  return {
    all: content,
    read: async () => tokensIn(await content()),
    async write({ accessToken, refreshToken, lifetime }) {
      const expiresAt = new Date(Date.now() + lifetime).toISOString()
      await put({ accessToken, refreshToken, lifetime, expiresAt })
    },
    put,
    forget: () => put(NO_TOKENS),
    tryLock,
    async lock(signal) {
      for (const start = performance.now(); ; await wait(LOOK_AGAIN)) {
        signal?.throwIfAborted()
        const lock = await tryLock()
        if (lock) return lock
        if (performance.now() - start > LONGEST_WAIT) throw stuck(file)
      }
    },
  }
}

/** Not the link, where it is one: that would be replaced by a file. What it leads to may be missing yet. */
const behindLinks = async (path: string): Promise<string> => {
  try {
    return await realpath(path)
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    const next = isMissing ? await readlink(path).catch(() => undefined) : undefined
    return next === undefined ? resolve(path) : behindLinks(resolve(dirname(path), next))
  }
}

/** JSON leaves out what is undefined. */
const NO_TOKENS = {
  accessToken: undefined,
  refreshToken: undefined,
  lifetime: undefined,
  expiresAt: undefined,
}

/**
 * Works on a file that was given as an option.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` in place of what the system says of it
 */
export const onFile = async <T>(path: string, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    const isSystems = error instanceof Error && 'syscall' in error
    if (!isSystems) throw error
    const message = `file must be one that can be read and written; ${path} cannot: ${error.message}`
    throw new RealtimeUploadError('ERR_INVALID_OPTION', message, { option: 'file', cause: error })
  }
}

export const stuck = (file: string) =>
  new RealtimeUploadError(
    'ERR_TIMEOUT',
    `Another process has been refreshing the tokens in ${file} for too long`,
    { path: file },
  )

const noFile = (file: string) =>
  refusal('file', `${file}, which is none`, 'a regular file: new tokens replace it')

const objectIn = (file: string, text: string): Record<string, unknown> => {
  try {
    // Some editors put a byte order mark before it.
    const value: unknown = JSON.parse(text.replace(/^\ufeff/, ''))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  } catch {
    // Said below, without what it holds: that may be a token.
  }
  throw refusal('file', `${file}, which is none`, 'a file of JSON with an object in it')
}

const tokensIn = (value: Record<string, unknown>): KeptTokens | undefined => {
  const { accessToken, refreshToken, lifetime, expiresAt } = value
  if (typeof accessToken !== 'string' || typeof refreshToken !== 'string') return undefined
  const whole = Number(lifetime) > 0 ? Number(lifetime) : 0
  const left = Date.parse(String(expiresAt)) - Date.now()
  // Never more than a whole life: the clock may have gone back.
  return { accessToken, refreshToken, lifetime: whole, left: Math.min(whole, left || 0) }
}
