/**
 * The commands that a Camera to Cloud device is paired, asked and let go with: which flags they have, and
 * what they say of themselves.
 */
import { asTyped, type Flag, listingOf, readWith } from '../flag.ts'
import type { Hints } from '../parse.ts'
import { UsageError } from '../usage.ts'

export type DeviceCommand = 'pair' | 'unpair' | 'devices'

export interface DeviceSettings {
  readonly command: DeviceCommand
  /** The file. */
  readonly credentials: string
  readonly baseUrl: string | undefined
  /** Of the client, as Frame.io wants it with every call. */
  readonly clientVersion: string | undefined
  readonly json: boolean
}

const FLAGS = [
  {
    name: 'credentials',
    value: 'FILE',
    help: "JSON: clientId, clientSecret, and the pairing's tokens",
    option: 'file',
    read: asTyped,
  },
  {
    name: 'device',
    value: 'VERSION',
    help: "your client's version (0.0.0)",
    option: 'clientVersion',
    read: asTyped,
  },
  {
    name: 'base-url',
    value: 'URL',
    help: 'of the API (https://api.frame.io)',
    option: 'baseUrl',
    read: asTyped,
  },
  { name: 'json' },
  { name: 'help', short: 'h' },
] as const satisfies readonly Flag[]

const WORDS: Readonly<Record<DeviceCommand, string>> = {
  pair: `\
pair: lets this device into a project of Frame.io's

It shows a code, a new one each time it expires, until a person has entered it
in the project's C2C Connections. Then the tokens are kept in FILE, which is
made where it is missing, for you alone to read. Films with them:
  frameio-upload --device 1.0.0 --credentials FILE --name A001.mp4 -- ffmpeg …`,
  unpair: `\
unpair: ends a pairing

Frame.io ends the tokens in FILE, and then they leave it. What else stands
there stays. Uploads that use them fail.`,
  devices: `\
devices: who this device is

Its name and project, whether it is online, paused or offline, and until when
it is authorised.`,
}

/** The command that stands first, if one does. */
export const deviceCommandIn = ([first]: readonly string[]): DeviceCommand | undefined =>
  first !== undefined && Object.hasOwn(WORDS, first) ? (first as DeviceCommand) : undefined

const NO_HINTS: Hints = { unknown: '', misplaced: () => '' }

/** @throws {UsageError} */
export const readDeviceArguments = (
  command: DeviceCommand,
  argv: readonly string[],
): DeviceSettings | 'help' => {
  const values = readWith(FLAGS, argv, NO_HINTS)
  if (values.help) return 'help'
  const { credentials, device: clientVersion, 'base-url': baseUrl, json = false } = values
  if (credentials === undefined) {
    throw new UsageError(`${command} needs --credentials FILE, which holds what it is paired with`)
  }
  return { command, credentials, clientVersion, baseUrl, json }
}

export const deviceHelp = (command: DeviceCommand): string => `\
frameio-upload ${WORDS[command]}

${listingOf(FLAGS)}

Where FILE does not have them, the client's id and secret are taken from
FRAMEIO_CLIENT_ID and FRAMEIO_CLIENT_SECRET. Frame.io gives the secret to the
maker of a device. An id is made, and kept in FILE, where there is none.

Exit codes: 0 done, 1 failed, 2 usage, 130 aborted.`
