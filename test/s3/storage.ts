/**
 * A real S3 as the storage of a sandbox: the AWS SDK signs the URLs, and a look at the objects says
 * what is stored, since S3 tells nobody.
 */
import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  NotFound,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import type { StartStorage, Storage, StorageEvents } from '../../lib/sandbox/storage.ts'

/** How a test wants a URL to be wrong. */
export interface Signing {
  /** When the nth URL of a part says it was signed, counted from 1. Default: now. */
  readonly signedAt?: (nth: number) => Date
  /** The URL in place of what the SDK made. Default: the same. */
  readonly alter?: (url: string) => string
}

/** The parts of a sandbox's assets, as objects in a bucket. */
export class Bucket {
  readonly #client: S3Client
  readonly #name: string
  /** Parts with a URL that were not seen yet. */
  readonly #awaited = new Map<string, { assetId: string; number: number; urls: number }>()
  #events: StorageEvents | undefined

  constructor(client: S3Client, name: string) {
    this.#client = client
    this.#name = name
  }

  /**
   * For the sandbox's door.
   *
   * @param signer its endpoint is where the URLs lead to.
   */
  start(
    signer: S3Client,
    { signedAt = () => new Date(), alter = url => url }: Signing = {},
  ): StartStorage {
    return async ({ urlLifetime }, _shared, events): Promise<Storage> => {
      this.#events = events
      return {
        presign: async (assetId, number, filetype) => {
          const key = keyOf(assetId, number)
          const urls = 1 + (this.#awaited.get(key)?.urls ?? 0)
          this.#awaited.set(key, { assetId, number, urls })
          const life = { expiresIn: urlLifetime, signingDate: signedAt(urls) }
          return alter(await this.sign(signer, key, filetype, life))
        },
        assemble: async (assetId, numbers, path) => {
          const hash = createHash('sha256')
          const read = (number: number) => this.#read(keyOf(assetId, number))
          await mkdir(dirname(path), { recursive: true })
          await pipeline(async function* () {
            for (const number of numbers) {
              for await (const chunk of await read(number)) {
                hash.update(chunk)
                yield chunk
              }
            }
          }, createWriteStream(path))
          return { path, sha256: hash.digest('hex') }
        },
        filesOf: () => [],
        remove: async (assetId, numbers) => {
          for (const number of numbers) {
            const Key = keyOf(assetId, number)
            await this.#client.send(new DeleteObjectCommand({ Bucket: this.#name, Key }))
          }
        },
        close: async () => {},
      }
    }
  }

  /** A URL as Frame.io's known samples: `content-type;host;x-amz-acl` are signed. */
  sign(
    signer: S3Client,
    key: string,
    contentType: string,
    life: { expiresIn: number; signingDate?: Date },
  ): Promise<string> {
    const command = new PutObjectCommand({
      Bucket: this.#name,
      Key: key,
      ContentType: contentType,
      ACL: 'private',
    })
    return getSignedUrl(signer, command, {
      ...life,
      signableHeaders: new Set(['host', 'content-type', 'x-amz-acl']),
      // else it would go into the query
      unhoistableHeaders: new Set(['x-amz-acl']),
    })
  }

  /** Tells the sandbox which of the parts with a URL are stored by now, and how large they are. */
  async look(): Promise<void> {
    for (const [key, { assetId, number }] of this.#awaited) {
      const size = await this.sizeOf(key)
      if (size === undefined) continue
      this.#awaited.delete(key)
      this.#events?.stored(assetId, number, size)
    }
  }

  /** Bytes of an object; undefined if there is none. */
  async sizeOf(key: string): Promise<number | undefined> {
    try {
      const command = new HeadObjectCommand({ Bucket: this.#name, Key: key })
      return (await this.#client.send(command)).ContentLength
    } catch (error) {
      if (error instanceof NotFound) return undefined
      throw error
    }
  }

  async bytesOf(key: string): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of await this.#read(key)) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  async #read(key: string): Promise<AsyncIterable<Uint8Array>> {
    const { Body } = await this.#client.send(new GetObjectCommand({ Bucket: this.#name, Key: key }))
    if (!Body) throw new Error(`S3 gave no body for ${key}`)
    return Body as AsyncIterable<Uint8Array>
  }
}

export const keyOf = (assetId: string, number: number): string => `parts/${assetId}/${number}`
