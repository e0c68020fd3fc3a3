/**
 * What the uploads of a client share.
 *
 * | | of the client, unless the upload was given |
 * |---|---|
 * | connections, options of calls | an option of the connection: then an `Api` with it, on the same connections |
 * | token | `token` |
 * | rate gate | `token` or `baseUrl`: Frame.io counts calls by user |
 * | memory, and turns to fill it | `memoryLimit` |
 * | cap on PUTs in flight | – |
 */
import pLimit, { type LimitFunction } from 'p-limit'
import type { Api } from '../frameio/api.ts'
import { apiOf, FrameioClient } from '../frameio/client.ts'
import { DEFAULT_CAP, type FrameioClientOptions } from '../frameio/options.ts'
import { LIMITS_DOOR } from '../frameio/protocol.ts'
import { BlockPool } from './blocks.ts'
import type { ResolvedUploadOptions } from './options.ts'

export interface Shared {
  readonly api: Api
  readonly pool: BlockPool
  /** The cap on PUTs in flight. */
  readonly cap: LimitFunction
  /** Ends a client that was made for this upload alone. */
  close(): Promise<void>
}

type OfClient = Pick<Shared, 'pool' | 'cap'>

/** By the client's own `Api`, of whichever version it speaks. */
const shares = new WeakMap<Api, OfClient>()

export const sharesOf = (api: Api): OfClient => {
  const known = shares.get(api)
  if (known) return known
  const { memoryLimit, concurrency, limits } = api.options
  const shared = {
    pool: new BlockPool(memoryLimit, limits.blockSize),
    cap: pLimit(concurrency),
  }
  shares.set(api, shared)
  return shared
}

/** @throws {RealtimeUploadError} `ERR_INVALID_OPTION`, or `ERR_CLIENT_CLOSED` */
export const sharedFor = (options: ResolvedUploadOptions): Shared => {
  const { client, connection } = options
  if (!client) {
    const own = ownClient(options)
    const api = apiOf(own)
    return { api, ...sharesOf(api), close: () => own.close() }
  }
  const api = apiOf(client, connection)
  const { pool, cap } = sharesOf(apiOf(client))
  const { memoryLimit } = connection
  return {
    api,
    pool: memoryLimit === undefined ? pool : new BlockPool(memoryLimit, pool.blockSize),
    cap,
    close: async () => {},
  }
}

/** A client for one upload. Its cap is never below what the upload asks for. */
const ownClient = ({ connection, concurrency, limits }: ResolvedUploadOptions): FrameioClient =>
  new FrameioClient({
    ...(connection as FrameioClientOptions),
    concurrency: Math.max(concurrency, DEFAULT_CAP),
    [LIMITS_DOOR]: limits,
  } as FrameioClientOptions)
