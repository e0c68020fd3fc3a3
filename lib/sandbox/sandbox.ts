/**
 * A sandbox: an API and a storage that share a log, a list of faults and nothing else but the seam
 * in storage.ts.
 */
import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { startApi } from './api.ts'
import { Asset } from './assets.ts'
import { Credentials } from './credentials.ts'
import { Devices } from './devices.ts'
import { FaultList } from './faults.ts'
import { filesIn, nowhere } from './files.ts'
import { makeFolder, removeEmpty } from './folders.ts'
import { RequestLog } from './log.ts'
import { resolveOptions } from './options.ts'
import { type NewAsset, readNewAsset } from './rules.ts'
import { storageOf } from './storage.ts'
import type { Sandbox, SandboxOptions } from './types.ts'

/**
 * Starts a local Frame.io and S3.
 *
 * @throws {TypeError} naming the option, its rule and the value received.
 *
 * @example
 * const sandbox = await startSandbox()
 * const { id } = sandbox.createAsset({ name: 'A001.mp4', filetype: 'video/mp4' })
 * // upload to sandbox.url with sandbox.token, then
 * await sandbox.asset(id)?.whenUploaded()
 * await sandbox.close()
 */
export const startSandbox = async (options: SandboxOptions = {}): Promise<Sandbox> => {
  const settings = resolveOptions(options)
  const faults = new FaultList()
  faults.add(...settings.faults)
  const log = new RequestLog()
  const assets = new Map<string, Asset>()

  const folder = settings.storage === 'discard' ? undefined : await openFolder(settings.dir)
  const files = folder ? filesIn(folder.parts, folder.isKept) : nowhere
  const storage = await storageOf(options)(
    settings,
    { log, faults, files },
    {
      isOpen: id => assets.get(id)?.isOpen ?? false,
      arrived: (id, number) => assets.get(id)?.arrived(number),
      stored: (id, number, size) => assets.get(id)?.stored(number, size),
    },
  )

  const create = (wanted: NewAsset) => {
    const asset = new Asset(wanted, storage, folder)
    assets.set(asset.id, asset)
    return asset
  }
  const credentials = new Credentials(settings.tokenLifetime, settings.serverTokenLifetime)
  const devices = new Devices(credentials.clientSecret, {
    tokenLifetime: settings.tokenLifetime,
    ...settings.pairing,
    ...settings.presence,
  })
  const account = { credentials, devices, parentId: randomUUID(), assets, create }
  const ids = { accountId: randomUUID(), folderId: randomUUID(), userId: randomUUID() }
  const v4 = { ...ids, credentials, files: new Set<string>(), assets, create }
  const api = await startApi(settings, { log, faults }, { ...account, v4 })

  const shutDown = async () => {
    await Promise.all([api.close(), storage.close()])
    for (const asset of assets.values()) await asset.end()
    if (folder) await leave(folder)
  }
  let closed: Promise<void> | undefined

  return {
    url: api.url,
    parentId: account.parentId,
    dir: folder?.dir,
    faults,
    requests: log.entries,
    stats: log.stats,
    get token() {
      return credentials.token
    },
    credentials,
    devices,
    v4: {
      accountId: v4.accountId,
      folderId: v4.folderId,
      legacyToken: credentials.legacyToken,
      get files() {
        return [...v4.files].flatMap(id => assets.get(id) ?? [])
      },
    },
    createAsset(wanted) {
      try {
        return create(readNewAsset({ ...wanted, is_realtime_upload: true }, true))
      } catch (error) {
        throw new TypeError(`createAsset: ${(error as Error).message}`, { cause: error })
      }
    },
    asset: id => assets.get(id),
    renewToken() {
      return credentials.renew()
    },
    close() {
      closed ??= shutDown()
      return closed
    },
  }
}

/** Where finished files go, and a folder inside for parts that are not yet part of one. */
const openFolder = async (given: string | undefined) => {
  const isKept = given !== undefined
  const dir = isKept ? resolve(given) : await mkdtemp(join(tmpdir(), 'frameio-sandbox-'))
  const made = isKept ? await makeFolder(dir) : [dir]
  try {
    return { dir, parts: await mkdtemp(join(dir, '.parts-')), isKept }
  } catch (error) {
    await removeEmpty(made)
    throw error
  }
}

/** A temporary folder goes. One that was given keeps what is stored, in files or still in parts. */
const leave = async ({ dir, parts, isKept }: Awaited<ReturnType<typeof openFolder>>) => {
  if (!isKept) await rm(dir, { recursive: true, force: true })
  else if (existsSync(parts) && (await readdir(parts)).length === 0) await rmdir(parts)
}
