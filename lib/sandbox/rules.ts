/**
 * The rules of Frame.io for what is sent to it: its own, and where they are not known, the strictest
 * that a careful client keeps.
 */
import type { Limits, WirePart } from '../frameio/protocol.ts'

/** A request that Frame.io would refuse, and why. */
export class Refusal extends Error {
  readonly status: number
  /** Instead of the status in words. */
  readonly title: string | undefined
  /** In the form `{ error }`, which tokens are refused in. */
  readonly isShort: boolean
  /** What is wrong in a body, as V4 says it: a JSON pointer. */
  readonly pointer: string | undefined

  constructor(
    status: number,
    detail: string,
    {
      title,
      isShort = false,
      pointer,
    }: { title?: string; isShort?: boolean; pointer?: string } = {},
  ) {
    super(detail)
    this.status = status
    this.title = title
    this.isShort = isShort
    this.pointer = pointer
  }
}

/** What is asked for in a registration. */
export interface Registration {
  readonly parts: readonly WirePart[]
  readonly filesize: number | undefined
  readonly name: string | undefined
}

/** What a new asset is to be. */
export interface NewAsset {
  readonly name: string
  /** Whether the name is only the default one, so that a registration may change it. */
  readonly unnamed: boolean
  readonly filetype: string
  /** Of a device: seconds since the media was made, and the device's channel; as they were sent. */
  readonly offset: number | undefined
  readonly channel: number | undefined
}

type Fields = Readonly<Record<string, unknown>>

const demand = (holds: boolean, detail: string) => {
  if (!holds) throw new Refusal(400, detail)
}

/** The greatest length of `parts` is unknown; a list of all parts there can be is certainly too long. */
const MAX_PARTS_PER_CALL = 10_000

/** The body of a registration. */
export const readRegistration = (body: Fields, limits: Limits): Registration => {
  const { parts, asset_filesize: filesize, asset_name: name } = body
  if (!Array.isArray(parts) || parts.length === 0 || parts.length > MAX_PARTS_PER_CALL) {
    throw new Refusal(400, `parts must be a list of 1 to ${MAX_PARTS_PER_CALL} parts`)
  }
  for (const part of parts) checkPart(part, limits)
  const numbers = new Set(parts.map(({ number }) => number))
  demand(numbers.size === parts.length, 'parts must not name a number twice')
  demand(parts.filter(part => part.is_final).length <= 1, 'only one part may be final')

  const hasFinal = parts.some(part => part.is_final)
  demand(
    filesize === undefined ? !hasFinal : isInteger(filesize, 1, limits.maxFilesize),
    `asset_filesize must be an integer from 1 to ${limits.maxFilesize}, and is required with the final part`,
  )
  demand(
    name === undefined || (typeof name === 'string' && /.\../.test(name)),
    'asset_name must be a string with an extension',
  )
  return {
    parts,
    filesize: hasFinal ? Number(filesize) : undefined,
    name: name === undefined ? undefined : String(name),
  }
}

const checkPart = (part: unknown, { maxParts, minPartSize, maxPartSize }: Limits) => {
  const { number, size, is_final: final } = readObject(part, 'a part')
  demand(isInteger(number, 1, maxParts), `number must be an integer from 1 to ${maxParts}`)
  demand(typeof final === 'boolean', 'is_final must be true or false')
  const least = final ? 1 : minPartSize
  demand(
    isInteger(size, least, maxPartSize),
    `size must be an integer from ${least} to ${maxPartSize}${final ? '' : ' unless is_final'}`,
  )
}

/** The body of a creation. `device`: on the path for devices. */
export const readNewAsset = (body: Fields, device: boolean): NewAsset => {
  const { type, name, extension, filetype, filesize, offset, channel } = body
  demand(device || type === 'file', 'type must be "file"')
  demand(body.is_realtime_upload === true, 'is_realtime_upload must be true')
  demand(filesize === undefined || filesize === null, 'filesize must be left out, or null')
  demand(device || offset === undefined, 'offset is for devices only')
  demand(device || channel === undefined, 'channel is for devices only')
  demand(offset === undefined || isNumber(offset, 0), 'offset must be a number of seconds')
  demand(channel === undefined || isInteger(channel, 0), 'channel must be an integer')
  return {
    filetype: readFiletype(filetype),
    ...readName(name, extension),
    offset: offset === undefined ? undefined : Number(offset),
    channel: channel === undefined ? undefined : Number(channel),
  }
}

const readFiletype = (filetype: unknown): string => {
  if (typeof filetype !== 'string' || !/^[\w.+-]+\/[\w.+-]+(;[ -~]*)?$/.test(filetype)) {
    throw new Refusal(400, 'filetype must be a media type such as "video/mp4"')
  }
  return filetype
}

const readName = (name: unknown, extension: unknown) => {
  const suffix = extension === undefined ? '' : String(extension)
  demand(
    extension === undefined || (typeof extension === 'string' && /^\.\w+$/.test(extension)),
    'extension must be a string such as ".mp4"',
  )
  if (name === undefined) {
    demand(extension !== undefined, 'name or extension is required')
    return { name: `[new file]${suffix}`, unnamed: true }
  }
  if (typeof name !== 'string' || !/.\.\w+$/.test(name)) {
    throw new Refusal(400, 'name must be a string with an extension')
  }
  demand(
    name.toLowerCase().endsWith(suffix.toLowerCase()),
    'name and extension must agree, where both are given',
  )
  return { name, unnamed: false }
}

export const readObject = (value: unknown, what: string, status = 400): Fields => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Refusal(status, `${what} must be an object`)
  }
  return value as Fields
}

const isInteger = (value: unknown, least: number, most = Number.MAX_SAFE_INTEGER) =>
  Number.isInteger(value) && isNumber(value, least, most)

const isNumber = (value: unknown, least: number, most = Number.MAX_VALUE) =>
  typeof value === 'number' && value >= least && value <= most
