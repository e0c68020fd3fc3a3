/**
 * The calls of V4 that a client and the uploads of it share. Which are made when is others' business.
 */
import type { Api, CallContext } from '../api.ts'
import { deleteBy } from '../deletion.ts'
import { FOR_CALLERS } from '../dialect.ts'
import {
  checkV4Id,
  type Page,
  readFileStatus,
  readPage,
  readUser,
  type V4Entry,
  type V4FileStatus,
  type V4User,
} from './protocol.ts'

/** Whom calls go to. */
export interface V4Account {
  readonly api: Api
  readonly accountId: string
}

/** Most entries of a page (Frame.io's V4 API reference). */
const PAGE_SIZE = 100

/**
 * Below the account. Ids are checked, so that none can change the path, and may hold `:` and `|`: those that lay on a
 * disk as well.
 */
export const pathOf = ({ accountId }: V4Account, kind: 'files' | 'folders', id: string): string => {
  const option = kind === 'files' ? 'fileId' : 'folderId'
  return `/v4/accounts/${encodeURIComponent(accountId)}/${kind}/${encodeURIComponent(checkV4Id(option, id))}`
}

export const getFileStatus = (
  account: V4Account,
  fileId: string,
  context: CallContext,
): Promise<V4FileStatus> =>
  account.api.call(
    {
      method: 'GET',
      path: `${pathOf(account, 'files', fileId)}/status`,
      read: readFileStatus,
      idempotent: true,
      kind: 'status',
      what: `Reading the status of file ${fileId} failed`,
      details: { assetId: fileId },
    },
    context,
  )

/** Where the answer to a first try is lost, and the next finds no such file, the first has deleted it. */
export const deleteFile = (
  account: V4Account,
  fileId: string,
  context: CallContext,
): Promise<void> => {
  const request = {
    path: pathOf(account, 'files', fileId),
    kind: 'delete',
    what: `Deleting file ${fileId} failed`,
    details: { assetId: fileId },
  }
  return deleteBy(account.api, request, context)
}

export const getUser = ({ api }: V4Account, context: CallContext): Promise<V4User> =>
  api.call(
    {
      method: 'GET',
      path: '/v4/me',
      read: readUser,
      idempotent: true,
      kind: 'me',
      what: 'Asking whose token it is failed',
      details: {},
      advice: { ERR_ASSET_NOT_FOUND: FOR_CALLERS.base },
    },
    context,
  )

/** A page of a folder, and when Frame.io said so, by its own clock in ms; NaN where it did not tell. */
export interface DatedPage extends Page {
  readonly date: number
}

/** The pages of a folder, one call each. */
export async function* pagesOf(
  account: V4Account,
  folderId: string,
  context: CallContext,
): AsyncGenerator<DatedPage, void, void> {
  for (let after: string | undefined; ; ) {
    const query = new URLSearchParams({
      page_size: String(PAGE_SIZE),
      ...(after !== undefined && { after }),
    })
    const page: DatedPage = await account.api.call(
      {
        method: 'GET',
        path: `${pathOf(account, 'folders', folderId)}/children?${query}`,
        read: (body, { date }) => ({ ...readPage(body), date: Date.parse(String(date)) }),
        idempotent: true,
        kind: 'children',
        what: `Listing folder ${folderId} failed`,
        details: {},
      },
      context,
    )
    yield page
    // A cursor that leads to itself would never end.
    if (page.after === undefined || page.after === after) return
    after = page.after
  }
}

export async function* entriesOf(
  account: V4Account,
  folderId: string,
  context: CallContext,
): AsyncGenerator<V4Entry, void, void> {
  for await (const { entries } of pagesOf(account, folderId, context)) yield* entries
}
