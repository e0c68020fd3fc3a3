/**
 * Everything a user of the sandbox writes or reads.
 */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import type { SandboxDevices } from './device-types.ts'

/** How to start a sandbox. Every field has a default. */
export interface SandboxOptions {
  /**
   * Folder for what is stored. Made if missing, and kept on `close()`, with the parts of what was not
   * completed, or could not be assembled: see `SandboxAsset.files`. Only for `storage: 'disk'`.
   * Default: a fresh temporary folder, removed on `close()` with all that is in it.
   */
  readonly dir?: string
  /**
   * `'disk'` keeps every byte and assembles the file. `'discard'` counts bytes and forgets them, at
   * the least possible cost: for benchmarks and for uploads larger than the disk; there is no file,
   * no download and no SHA-256 then. Default: `'disk'`.
   */
  readonly storage?: 'disk' | 'discard'
  /**
   * Time in ms before each answer, for both sides or for each. It passes after the body was
   * received and the work was done. Default: 0.
   */
  readonly latency?: number | { readonly api?: number; readonly storage?: number }
  /**
   * The leaky bucket over all API calls that bear the token: it holds `limit` calls and runs empty
   * in `window` ms; a call that finds no room is answered with 429. Default: 1,000 calls in 1,000 ms,
   * which is far more than Frame.io grants (5 to 10).
   */
  readonly rateLimit?: { readonly limit: number; readonly window: number }
  /** Life of a presigned URL in seconds, 1 to 604,800. Default: 86,400. */
  readonly urlLifetime?: number
  /**
   * Life of a bearer token in seconds. Default: 28,800, as that of a C2C device; of a server-to-server
   * token 86,400.
   */
  readonly tokenLifetime?: number
  /** How long the body of a PUT may stand still, in ms, before 400 `RequestTimeout`. Default: 20,000. */
  readonly bodyTimeout?: number
  /**
   * How devices are paired: life of a code, and the least time between two polls, in seconds.
   * Default: `{ expiresIn: 120, interval: 5 }`, as Frame.io's.
   */
  readonly pairing?: { readonly expiresIn?: number; readonly interval?: number }
  /**
   * Least time between two heartbeats of a device (429 before), and how long after its last call it
   * counts as offline, in seconds. Default: `{ heartbeatEvery: 60, offlineAfter: 300 }`, as Frame.io's.
   */
  readonly presence?: { readonly heartbeatEvery?: number; readonly offlineAfter?: number }
  /**
   * V4: greatest size of a slice in bytes, which its sizes and number follow from, by default
   * 2,000,000,000; and in place of Frame.io's own limits (5 calls in 1,000 ms of each kind, of
   * `'children'` 100 in a minute) another leaky bucket for each kind.
   */
  readonly v4?: {
    readonly sliceSize?: number
    readonly rateLimit?: { readonly limit: number; readonly window: number }
  }
  /** Faults in force from the start. More can be added to `sandbox.faults`. Default: none. */
  readonly faults?: readonly Fault[]
}

/** A local Frame.io and its S3, each an HTTP server on a port of its own on 127.0.0.1. */
export interface Sandbox {
  /** Base URL of the API, `http://127.0.0.1:<port>`. */
  readonly url: string
  /** The bearer token in force. Random for each sandbox. */
  readonly token: string
  /**
   * What gets the next bearer token from `POST /v2/auth/token`. The refresh token rotates. The secret is
   * that of devices too, each of which has a client id of its own. Id and secret get a server-to-server
   * token from `POST /ims/token/v3`.
   */
  readonly credentials: {
    readonly clientId: string
    readonly clientSecret: string
    readonly refreshToken: string
  }
  /** A folder in which assets can be created: `POST /v2/assets/<parentId>/children`. */
  readonly parentId: string
  /**
   * Folder of what is stored; a finished file is `<dir>/<asset id>/<name>`, its name cut to 255 bytes.
   * None with `'discard'`.
   */
  readonly dir: string | undefined
  /**
   * Camera to Cloud devices, and the person who pairs them. A device's token may create and register
   * on the device paths, and nothing else (403); `token` may do all.
   */
  readonly devices: SandboxDevices
  /** V4: an account, a folder in it, and the files that are there. `token` is accepted. */
  readonly v4: SandboxV4
  /** The faults in force. */
  readonly faults: Faults
  /** Every call and every PUT so far, in order of arrival. */
  readonly requests: readonly SandboxRequest[]
  /** Live counters. */
  readonly stats: SandboxStats
  /**
   * A new real-time asset, without a request. The rules of the API hold: `name` with an extension,
   * or `extension` alone.
   *
   * @throws {TypeError} naming the rule that was broken, or if the disk takes no file of this name.
   */
  createAsset(options: {
    readonly name?: string
    readonly extension?: string
    readonly filetype: string
  }): SandboxAsset
  /** A live view of an asset, or undefined if there is none (any more). */
  asset(id: string): SandboxAsset | undefined
  /** Puts a new token in force and returns it. The old one gets 401 from now on. */
  renewToken(): string
  /**
   * Ends every socket, waits for files that are being assembled, and removes the temporary folder; one
   * that was given is left with every byte that was stored. A second call waits for the first.
   */
  close(): Promise<void>
}

/** What V4 has. */
export interface SandboxV4 {
  readonly accountId: string
  /** A folder in which files can be created. */
  readonly folderId: string
  /** Accepted where the header `x-frameio-legacy-token-auth: true` stands beside it. */
  readonly legacyToken: string
  /** Files that were created and not deleted, in order of creation. Their slices are `parts`. */
  readonly files: readonly SandboxAsset[]
}

/** An asset, as the sandbox sees it. The fields are live. */
export interface SandboxAsset {
  readonly id: string
  readonly name: string
  /** Media type, such as `video/mp4`. Every PUT must bear it as its `content-type`. */
  readonly filetype: string
  /** Of a device's: seconds since the media was made, as it was sent. */
  readonly offset: number | undefined
  /** Of a device's: its channel, as it was sent. */
  readonly channel: number | undefined
  /** `'uploaded'` once the final part is registered and all bytes are stored and assembled. */
  readonly status: 'created' | 'uploaded'
  /** When it became `'uploaded'`, as an ISO 8601 date. */
  readonly uploadCompletedAt: string | undefined
  /** The `asset_filesize` of the final registration, in bytes. */
  readonly filesize: number | undefined
  /** How many part numbers were registered as final: 0 or 1. */
  readonly finals: number
  /** The registered parts, in number order. */
  readonly parts: readonly SandboxPart[]
  /** Bytes stored for registered parts. A part that is replaced counts once. */
  readonly storedBytes: number
  /** The assembled file, once `'uploaded'`. None with `'discard'`. */
  readonly path: string | undefined
  /** SHA-256 of the assembled file in hex, once `'uploaded'`. None with `'discard'`. */
  readonly sha256: string | undefined
  /**
   * Paths of the files that hold what is stored, in the order of the bytes: its parts, and once it is
   * `'uploaded'` the assembled file. If assembly fails, joining them gives the file. None with
   * `'discard'`.
   */
  readonly files: readonly string[]
  /**
   * Resolves when the asset is `'uploaded'`. Rejects if it cannot be assembled, is deleted, or the
   * sandbox closes first; the message names the files that were kept.
   */
  whenUploaded(): Promise<void>
}

/** A registered part. */
export interface SandboxPart {
  readonly number: number
  /** Registered size in bytes. */
  readonly size: number
  readonly final: boolean
  /** Whether a PUT has stored it. */
  readonly stored: boolean
  /** How many times it was registered. */
  readonly registrations: number
  /** How many PUTs arrived for it, whatever became of them. */
  readonly puts: number
}

/**
 * What a request can ask for. `'code'`, `'poll'` (a `'token'` for a device code) and `'revoke'` are those
 * of pairing, `'device'` is `GET /v2/devices/me`. V4's are `'create'`, `'status'`, `'delete'`, `'children'`
 * (what lies in a folder), `'me'` and `'accounts'`; `'token'` is also that of server-to-server tokens.
 */
export const OPERATIONS = [
  'create',
  'register',
  'get',
  'delete',
  'download',
  'put',
  'token',
  'code',
  'poll',
  'device',
  'heartbeat',
  'revoke',
  'status',
  'children',
  'me',
  'accounts',
] as const

/** What a request asks for. */
export type Operation = (typeof OPERATIONS)[number]

/** A request, from the moment its headers arrived. */
export interface SandboxRequest {
  readonly side: 'api' | 'storage'
  /** `'other'` is whatever fits no route. */
  readonly operation: Operation | 'other'
  readonly method: string
  /** Path without its query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly assetId: string | undefined
  /** The part of a PUT, the parts of a registration (once its body was read), else empty. */
  readonly partNumbers: readonly number[]
  /** Did this registration bring part 1 after others, as where the head of a file is written last? */
  readonly headLast: boolean
  /** Status of the answer; undefined while there is none, and for ever if the connection was cut. */
  readonly status: number | undefined
  /** Bytes of the body received. */
  readonly bytes: number
  /** When the headers arrived, in ms on the clock of `performance.now()`. */
  readonly startedAt: number
  /** When the answer left, or the connection was cut; undefined while in flight. */
  readonly endedAt: number | undefined
}

/** Live counters of a sandbox. */
export interface SandboxStats {
  /** Registration calls that arrived. */
  readonly registrations: number
  /** PUTs that arrived. */
  readonly puts: number
  /** Registrations that arrived and have no answer yet. */
  readonly registrationsInFlight: number
  readonly maxRegistrationsInFlight: number
  /**
   * PUTs that arrived and have no answer yet. One whose body the sandbox was told not to read
   * (`hang: 'headers' | 'body'`) may count until `close()`: who does not read cannot see the client
   * leave.
   */
  readonly putsInFlight: number
  readonly maxPutsInFlight: number
  /** Bytes of bodies that arrived at the storage, those of failed PUTs included. */
  readonly bytesReceived: number
  /** Connections open now, of both servers. */
  readonly openSockets: number
}

/** The faults in force. */
export interface Faults {
  /** Faults that have acted, with the requests they hit, in order. */
  readonly fired: readonly { readonly fault: Fault; readonly request: SandboxRequest }[]
  /**
   * Puts faults in force. Each counts from here on. Where several are due for a request, the one
   * added first acts; the others count that request all the same.
   *
   * @throws {TypeError} naming the field that is wrong.
   */
  add(...faults: Fault[]): void
  /** Takes all faults out of force. `fired` stays. */
  clear(): void
}

/**
 * What is to go wrong, and when.
 *
 * @example
 * // S3 is busy at the first attempt of every part
 * { on: 'put', perPart: true, do: { status: 503 } }
 * // the answer to the second registration gets lost
 * { on: 'register', nth: 2, do: { loseAnswer: true } }
 * // part 2 is taken once, and not again
 * { on: 'put', part: 2, nth: 2, times: Infinity, do: { status: 403 } }
 * // part 3 never gets through
 * { on: 'put', part: 3, times: Infinity, do: { reset: 'during' } }
 */
export interface Fault {
  /** Which requests: one operation, or `'api'` for every call that is not a PUT. */
  readonly on: Operation | 'api'
  /** Only requests that concern this part number. */
  readonly part?: number
  /** Only requests that concern this asset. */
  readonly assetId?: string
  /** The first matching request to hit, counted from 1. Default: 1. */
  readonly nth?: number
  /** How many matching requests to hit from there on; `Infinity` for ever. Default: 1. */
  readonly times?: number
  /** Count `nth` and `times` for each part number on its own. Default: false. */
  readonly perPart?: boolean
  /** What happens to a request that is hit. */
  readonly do: FaultAction
}

/**
 * What happens to a request that is hit. The API reads every body before a fault acts, since the
 * body names the parts; so there, what is said to happen before or in the body happens after it.
 */
export type FaultAction =
  | {
      /** Answer with this status, 200 to 599; nothing is carried out. */
      readonly status: number
      /** Its body; an object is sent as JSON. Default: an error in the manner of Frame.io or S3. */
      readonly body?: string | object
      readonly headers?: OutgoingHttpHeaders
      /** Before the body is read, closing the connection, or after it was. Default: `'body'`. */
      readonly at?: 'headers' | 'body'
    }
  | {
      /** Wait so many ms after the body was received, then go on as usual. */
      readonly delay: number
    }
  | {
      /**
       * Cut the connection (TCP reset): `'before'` the body is read; `'during'`, after half of it;
       * `'after'` the whole body, with nothing carried out; in the middle of the `'answer'`, with
       * everything carried out.
       */
      readonly reset: 'before' | 'during' | 'after' | 'answer'
    }
  | {
      /** Carry the request out, then cut the connection without an answer. */
      readonly loseAnswer: true
    }
  | {
      /**
       * Never answer, until the client leaves or the sandbox closes. `'headers'`: the body is not
       * read. `'body'`: reading stops after half of it. `'answer'`: the body is read, nothing is
       * carried out. `'answering'`: all is carried out, then half of the answer is sent.
       */
      readonly hang: 'headers' | 'body' | 'answer' | 'answering'
    }
  | {
      /** Answer a PUT as if its URL had expired: 403 `AccessDenied`, "Request has expired". */
      readonly expire: true
    }
