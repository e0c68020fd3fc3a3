/**
 * `--follow DIR`: each file that comes into a folder becomes an asset of its own.
 */
import { resolveFollow } from '../follow/options.ts'
import { creationOf } from '../frameio/arguments.ts'
import { resolveClientOptions } from '../frameio/options.ts'
import { type FolderEvent, followFolder } from '../sources/follow-folder.ts'
import type { Progress } from '../upload/events.ts'
import { resolveUploadOptions } from '../upload/options.ts'
import { Display } from './display.ts'
import { adviceOn, causesOf, messageOf } from './failures.ts'
import { type FolderAccount, openFolderAccount } from './folder-account.ts'
import { sumOf } from './folder-progress.ts'
import { leave } from './leave.ts'
import { Output } from './output.ts'
import { Secrets } from './secrets.ts'
import type { FolderSettings } from './settings.ts'
import { onSignals } from './signals.ts'
import { checkSpool } from './unfinished.ts'
import { showSize } from './units.ts'
import { UsageError } from './usage.ts'

/** How it ended: with all files well, one that failed, one that its writer did not finish, or by force. */
export type FolderEnd = 'done' | 'failed' | 'producerFailed' | 'aborted'

/** In place of what is not known yet, and will be checked when it is. */
const UNKNOWN = 'unknown'

/** @throws {UsageError} */
export const followFiles = async (settings: FolderSettings): Promise<FolderEnd> => {
  checkOptions(settings)
  await checkSpool(settings.upload.spool?.dir ?? '')
  const secrets = new Secrets()
  const display = new Display(process.stderr, settings, secrets)
  const [ending, aborting] = [new AbortController(), new AbortController()]
  const patience = {
    leaving: aborting.signal,
    get isHurried() {
      return ending.signal.aborted || aborting.signal.aborted
    },
  }
  const output = new Output(settings.json, display, secrets, patience)
  const watch = new FolderWatch(settings, display, output)
  let isBegun = false
  onSignals(
    signal => {
      // Nothing that hears of it: a token is waited for.
      if (!isBegun) void leave(130)
      const text = `${signal}: no file is begun any more, and those under way count as over now. Once more aborts.`
      display.say('ending', text, { signal })
      ending.abort()
    },
    () => {
      if (!isBegun) void leave(130)
      aborting.abort()
    },
  )
  try {
    const account = await openFolderAccount(settings, secrets, display)
    isBegun = true
    try {
      const signals = { ended: ending.signal, signal: aborting.signal }
      return await watch.run(account, signals)
    } finally {
      await account.close()
    }
  } catch (error) {
    if (error instanceof UsageError) throw error
    const { code } = error as { code?: unknown }
    if (code === 'ERR_INVALID_OPTION' && !isBegun) throw new UsageError(messageOf(error))
    display.stop()
    if (aborting.signal.aborted) {
      const text = 'aborted; what is not done goes on at the next start'
      display.say('aborted', text, {}, 'bad')
      return 'aborted'
    }
    const lines = [
      messageOf(error),
      adviceOn(error, settings.credentials),
      ...(settings.verbose ? causesOf(error) : []),
    ]
    const text = lines.filter(line => line !== undefined).join('\n  ')
    display.say('error', text, { code }, 'bad')
    return 'failed'
  } finally {
    await display.settle(aborting.signal, patience.isHurried)
  }
}

/** What is said of a folder while it is followed. */
class FolderWatch {
  readonly #settings: FolderSettings
  readonly #display: Display
  readonly #output: Output
  /** Under way, by the name of the file. */
  readonly #uploads = new Map<string, { readonly progress: Progress }>()
  /** Of those that are over. */
  #past: readonly Progress[] = []
  /** Results reach stdout one after the other. */
  #told: Promise<boolean> = Promise.resolve(true)

  constructor(settings: FolderSettings, display: Display, output: Output) {
    this.#settings = settings
    this.#display = display
    this.#output = output
  }

  async run(
    { client, parentId, whenUploaded }: FolderAccount,
    { ended, signal }: { readonly ended: AbortSignal; readonly signal: AbortSignal },
  ): Promise<FolderEnd> {
    const { follow, match, once, upload } = this.#settings
    const { partSize, maxSize, concurrency, integrity, spool } = upload
    const { file: dir, idle, verify } = follow
    const { failed, unfinished, done } = await followFolder({
      client,
      parentId,
      dir,
      match,
      isOnce: once,
      spool: { dir: spool?.dir ?? '' },
      follow: resolveFollow('follow', { idle, verify, appear: 0, ended }) as NonNullable<
        ReturnType<typeof resolveFollow>
      >,
      upload: { partSize, maxSize, concurrency, integrity },
      signal,
      onEvent: event => this.#hear(event, whenUploaded),
    }).finally(() => this.#told)
    this.#display.stop()
    const isTold = await this.#told
    if (failed + unfinished + done === 0) {
      const text = `nothing was to be uploaded: no file in ${dir} matches that was not done before`
      this.#display.say('nothing', text)
    }
    if (failed > 0 || !isTold) return 'failed'
    return unfinished > 0 ? 'producerFailed' : 'done'
  }

  #hear(event: FolderEvent, whenUploaded: FolderAccount['whenUploaded']): void {
    if (event.t === 'begun' || event.t === 'resumed') this.#begin(event)
    else if (event.t === 'done') this.#done(event, whenUploaded)
    else if (event.t === 'failed') this.#failed(event)
    else {
      const { text, isBad = false, ...details } = sayingOf(event, this.#settings.follow.file)
      this.#display.say(event.t, text, details, isBad ? 'bad' : 'plain')
    }
  }

  #begin({ t, name, assetId, upload }: Extract<FolderEvent, { t: 'begun' | 'resumed' }>): void {
    const { bytesReceived, bytesBuffered } = upload.progress
    const left = `${showSize(bytesBuffered)} of ${showSize(bytesReceived)} are to be sent`
    const text = t === 'begun' ? `becomes asset ${assetId}` : `asset ${assetId} goes on: ${left}`
    this.#display.say(t, `${name}: ${text}`, { file: name, assetId })
    this.#display.hear(upload, name)
    this.#uploads.set(name, upload)
    if (this.#uploads.size > 1) return
    const all = () => [...this.#past, ...[...this.#uploads.values()].map(it => it.progress)]
    this.#display.show(() => sumOf(all()), undefined)
  }

  #over(name: string): void {
    const upload = this.#uploads.get(name)
    if (!upload) return
    this.#uploads.delete(name)
    const { progress } = upload
    // What failed is no longer behind.
    const over = { ...progress, bytesReceived: progress.bytesUploaded, bytesBuffered: 0 }
    this.#past = [sumOf([...this.#past, over])]
    if (this.#uploads.size === 0) this.#display.stop()
  }

  #done(
    { name, assetId, bytes, parts, reason, isUnfinished }: Extract<FolderEvent, { t: 'done' }>,
    whenUploaded: FolderAccount['whenUploaded'],
  ): void {
    this.#over(name)
    if (isUnfinished) {
      const text = `${name} was not finished by whoever wrote it: what it holds is uploaded (asset ${assetId})`
      this.#display.say('source-unfinished', text, { file: name, assetId, reason }, 'bad')
    }
    const tell = async () => {
      const path = await whenUploaded(assetId)
      const source = { ok: !isUnfinished, reason }
      const result = { file: name, assetId, bytes, parts, path, source }
      const texts = [assetId, `${bytes} bytes`, `${parts} parts`, name, path]
      return this.#output.tell(result, texts.filter(text => text !== undefined).join('  '))
    }
    this.#tell(tell)
  }

  #failed({ name, assetId, error, left }: Extract<FolderEvent, { t: 'failed' }>): void {
    this.#over(name)
    const { json, verbose } = this.#settings
    const { code } = error as { code?: string }
    const message = messageOf(error)
    const lines = [`${name}: ${message}`, left, ...(verbose ? causesOf(error) : [])]
    const text = lines.filter(line => line !== undefined).join('\n  ')
    this.#display.say('error', text, { file: name, assetId, code }, 'bad')
    if (json) this.#tell(() => this.#output.tell({ file: name, assetId, error: { code, message } }))
  }

  #tell(tell: () => Promise<boolean>): void {
    const failed = (error: unknown) => {
      this.#display.say('error', messageOf(error), {}, 'bad')
      return false
    }
    this.#told = this.#told.then(async wasTold => (await tell().catch(failed)) && wasTold)
  }
}

type Note = Exclude<FolderEvent, { t: 'begun' | 'resumed' | 'done' | 'failed' }>

const sayingOf = (event: Note, dir: string) => {
  if (event.t === 'gone') {
    return { text: `${dir} is gone, and waited for: ${event.error.message}`, isBad: true }
  }
  if (event.t === 'back') return { text: `${dir} is there again`, isBad: true }
  const { t, name: file } = event
  if (t === 'nameless') {
    const text = `${file}: there may be an asset of this name that holds nothing, for this was killed while it was created: delete it in Frame.io`
    return { file, text, isBad: true }
  }
  const { assetId } = event
  if (t === 'missing') {
    const text = `${file} is not there, and its upload (asset ${assetId}) was begun: it goes on once the file is there`
    return { file, assetId, text, isBad: true }
  }
  const text = `${file} was changed since it was uploaded (asset ${assetId}): it is a new take, and becomes a new asset`
  return { file, assetId, text }
}

/** As check-options.ts does for a take. @throws {UsageError} */
const checkOptions = ({ upload, parent, sandbox }: FolderSettings): void => {
  const { partSize, maxSize, concurrency, integrity, baseUrl, device, retry, spool } = upload
  const common = { assetId: UNKNOWN, filetype: 'video/mp4' }
  try {
    resolveUploadOptions({ ...common, partSize, maxSize, concurrency, integrity })
    resolveClientOptions({ token: UNKNOWN, baseUrl, device, retry, spool })
    const parentId = device ? undefined : sandbox === undefined ? parent : UNKNOWN
    creationOf({ parentId, filetype: 'video/mp4', name: 'a.mp4' }, device !== undefined)
  } catch (error) {
    throw new UsageError(messageOf(error))
  }
}
