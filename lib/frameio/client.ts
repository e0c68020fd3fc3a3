/**
 * The only file that speaks to Frame.io: which calls there are, and what they say.
 */
import { invalid } from '../checks.ts'
import { Api, type CallContext } from './api.ts'
import {
  type CreateAssetOptions,
  checkRegistration,
  checkWait,
  creationOf,
  type PartInfo,
  type RegisterOptions,
  type WaitOptions,
} from './arguments.ts'
import { deleteBy } from './deletion.ts'
import { askDevice, type DeviceInfo } from './device-info.ts'
import { DEVICE_GONE, FOR_CALLERS } from './dialect.ts'
import {
  type CallRetry,
  type ConnectionOptions,
  type FrameioClientOptions,
  resolveClientOptions,
} from './options.ts'
import {
  type Asset,
  checkId,
  type RegisterPartsBody,
  readAsset,
  readUploadUrls,
} from './protocol.ts'
import { untilUploaded } from './until-uploaded.ts'
import { within } from './within.ts'

export type { CreateAssetOptions, PartInfo, RegisterOptions, WaitOptions } from './arguments.ts'

/**
 * How uploads reach the inside of a client, with what is given on them instead of its own. Not
 * exported from the package.
 */
export let apiOf: (client: FrameioClient, overrides?: ConnectionOptions) => Api

/**
 * Frame.io's API, as far as real-time uploads need it. One client may serve many uploads: they
 * share its connections, token, rate-limit gate, memory, and cap on PUTs in flight.
 *
 * @throws {RealtimeUploadError} `ERR_INVALID_OPTION`
 */
export class FrameioClient {
  readonly #api: Api

  static {
    apiOf = (client, overrides = {}) => {
      const api = client.#api
      return Object.values(overrides).every(value => value === undefined)
        ? api
        : new Api(resolveClientOptions(overrides, api.options), api, overrides)
    }
  }

  constructor(options: FrameioClientOptions) {
    this.#api = new Api(resolveClientOptions(options))
  }

  /**
   * Creates a real-time asset. Not idempotent: where an answer is lost this fails, and never tries
   * blindly again, since there might then be two.
   *
   * @throws {RealtimeUploadError} as the README's table says; an `AbortError` when the signal aborts
   */
  async createRealtimeAsset(options: CreateAssetOptions): Promise<Asset> {
    const isDevice = this.#api.options.device !== undefined
    const create = () => creationOf(options, isDevice)
    const { path } = create()
    const request = {
      method: 'POST',
      path,
      body: () => create().body,
      read: readAsset,
      idempotent: false,
      what: 'Creating the asset failed',
      details: {},
      advice: { ERR_ASSET_NOT_FOUND: isDevice ? DEVICE_GONE : FOR_CALLERS.parent },
    } as const
    const context = this.#context('createRealtimeAsset')
    return within(this.#api.closing, options.signal, signal =>
      this.#api.call(request, { ...context, signal }),
    )
  }

  /** Registers parts and returns a presigned URL for each, in their order. */
  async registerParts(
    assetId: string,
    parts: readonly PartInfo[],
    options: RegisterOptions = {},
  ): Promise<string[]> {
    checkRegistration(assetId, parts, options, this.#api.options.limits)
    const context = this.#context('registerParts', assetId)
    return registerParts(this.#api, assetId, parts, options, context)
  }

  /** Reads an asset. C2C device tokens are probably not allowed to. */
  async getAsset(assetId: string): Promise<Asset> {
    return this.#getAsset(assetId, this.#context('getAsset', assetId))
  }

  #getAsset(assetId: string, context: CallContext): Promise<Asset> {
    return this.#api.call(
      {
        method: 'GET',
        path: `/v2/assets/${checkId('assetId', assetId)}`,
        read: readAsset,
        idempotent: true,
        what: `Reading asset ${assetId} failed`,
        details: { assetId },
      },
      context,
    )
  }

  /**
   * Deletes an asset, for example one whose upload was given up: else it eats quota for ever. Where
   * the answer to a first try is lost, and the next finds no such asset, the first has deleted it.
   */
  async deleteAsset(assetId: string): Promise<void> {
    const request = {
      path: `/v2/assets/${checkId('assetId', assetId)}`,
      what: `Deleting asset ${assetId} failed`,
      details: { assetId },
    }
    await deleteBy(this.#api, request, this.#context('deleteAsset', assetId))
  }

  /**
   * Waits until Frame.io says that it has every byte (`upload_completed_at`), and returns the asset.
   *
   * @throws {RealtimeUploadError} `ERR_TIMEOUT`, or `ERR_UPLOAD_FAILED` where Frame.io says so; an
   *   `AbortError` when the signal aborts
   */
  async waitUntilUploaded(assetId: string, options: WaitOptions = {}): Promise<Asset> {
    const wait = checkWait(assetId, options)
    return untilUploaded(this.#api.closing, wait, {
      id: assetId,
      what: 'asset',
      look: async signal => {
        const context = { ...this.#context('waitUntilUploaded', assetId), signal }
        const asset = await this.#getAsset(assetId, context)
        const { upload_completed_at: completed, upload_failed_at: failed } = asset
        return { found: asset, state: completed ? 'uploaded' : failed ? 'failed' : 'open' }
      },
    })
  }

  /** Of a call that belongs to no upload. */
  #context(call: CallRetry['call'], assetId?: string): CallContext {
    const { onRetry } = this.#api.options
    return { ...this.#api.alone, onRetry: retry => onRetry({ call, assetId, ...retry }) }
  }

  /**
   * Who a Camera to Cloud device is, and in which project: to be asked before a take (Frame.io's C2C guide).
   *
   * @throws {RealtimeUploadError} `ERR_INVALID_OPTION` on a client without `device`
   */
  async getDevice(): Promise<DeviceInfo> {
    if (!this.#api.options.device) {
      throw invalid('device', undefined, 'given to the client: the platform has no devices')
    }
    return askDevice(this.#api, this.#context('getDevice'))
  }

  /** Ends all connections, but for those of a dispatcher that was given. What still runs fails. */
  async close(): Promise<void> {
    await this.#api.close()
  }
}

/** The registration that `FrameioClient` and uploads share. */
export const registerParts = (
  api: Api,
  assetId: string,
  parts: readonly PartInfo[],
  { assetFilesize, assetName }: RegisterOptions,
  context: CallContext,
): Promise<string[]> => {
  const { device, baseUrl } = api.options
  const body: RegisterPartsBody = {
    parts: parts.map(({ number, size, final }) => ({ number, size, is_final: final })),
    ...(assetFilesize !== undefined && { asset_filesize: assetFilesize }),
    ...(assetName !== undefined && { asset_name: assetName }),
  }
  return api.call(
    {
      method: 'POST',
      path: `/v2/${device ? 'devices/' : ''}assets/${assetId}/realtime_upload/parts`,
      body,
      read: answer => readUploadUrls(answer, parts.length, baseUrl.protocol === 'https:'),
      // A lost answer may have been carried out; the same numbers and sizes again are the only way on.
      idempotent: true,
      what: `Registering part ${numbersOf(parts)} of asset ${assetId} failed`,
      details: { assetId, partNumber: parts.length === 1 ? parts[0]?.number : undefined },
      advice: { ERR_ASSET_NOT_FOUND: FOR_CALLERS.asset },
    },
    context,
  )
}

/** Most parts that a message names. */
const MOST_NAMED = 10

const numbersOf = (parts: readonly PartInfo[]): string => {
  const named = parts.slice(0, MOST_NAMED).map(({ number }) => number)
  const more = parts.length - named.length
  return `${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
