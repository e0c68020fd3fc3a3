/**
 * Who films, and may it? Asked before the take (Frame.io's C2C guide): a device that is no longer paired
 * would be found out by the first clip, and one that is paused by nobody.
 */
import { RealtimeUploadError } from '../errors.ts'
import { FrameioClient } from '../frameio/client.ts'
import type { DeviceInfo } from '../frameio/device-info.ts'
import type { FrameioClientOptions } from '../frameio/options.ts'
import { isTokenLate } from '../sources/passing.ts'
import { nameOf, pausedChannelsOf } from './device/describe.ts'
import type { Display } from './display.ts'
import { messageOf } from './failures.ts'

/**
 * Says who it is, and what is paused. That is no end: it may be resumed at any time, and where Frame.io
 * takes no clip it says so itself.
 *
 * @throws {RealtimeUploadError} where Frame.io does not know the device any more, or cannot be asked
 */
export const checkDevice = async (client: FrameioClient, display: Display): Promise<void> => {
  const device = await client.getDevice().catch(error => {
    if (!isNoAnswer(error)) throw error
    const text = `who this device is could not be learnt: ${messageOf(error)}`
    display.say('device-unknown', text, { code: error.code })
  })
  if (device) tellOf(device, display)
}

/** How long it is asked for a folder, in ms. */
const PATIENCE = { apiTimeout: 5_000, retry: { giveUpAfter: 15_000 } }

/**
 * Likewise, before a folder is followed: that is done whatever the network does.
 *
 * @throws {RealtimeUploadError} where Frame.io does not know the device any more
 */
export const checkForFolder = async (
  connection: FrameioClientOptions,
  display: Display,
): Promise<void> => {
  const client = new FrameioClient({ ...connection, ...PATIENCE })
  try {
    await checkDevice(client, display)
  } catch (error) {
    const { code } = error as { code?: unknown }
    const isDead = code === 'ERR_NOT_PAIRED' || code === 'ERR_UNAUTHORIZED'
    if (isDead && !isTokenLate(error)) throw error
    const text = `${messageOf(error)}; the folder is followed all the same`
    display.say('device-unknown', text, { code })
  } finally {
    await client.close()
  }
}

/** It is allowed to ask, says Frame.io, whose answer to a real one nobody has published. */
const isNoAnswer = (error: unknown): error is RealtimeUploadError =>
  error instanceof RealtimeUploadError &&
  (error.code === 'ERR_FORBIDDEN' || error.code === 'ERR_BAD_RESPONSE')

const tellOf = (device: DeviceInfo, display: Display): void => {
  const { name, status, project } = device
  const who = nameOf(device)
  const details = { name, status, project }
  const refused =
    "is paused: what is recorded is refused until it is resumed in the project's C2C Connections"
  if (status === 'paused') {
    display.say('device-paused', `${who}, ${refused}`, details, 'bad')
    return
  }
  display.say('device', who, details)
  const channels = pausedChannelsOf(device)
  if (channels.length === 0) return
  const which = `channel ${channels.join(', ')} of this device`
  display.say('channel-paused', `${which} ${refused}`, { channels }, 'bad')
}
