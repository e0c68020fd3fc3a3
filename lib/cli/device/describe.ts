/**
 * What Frame.io says of a device, in words. Only name, status and project are documented; of all else, what
 * is there is shown.
 */
import type { DeviceInfo } from '../../frameio/device-info.ts'
import { withoutControls } from '../display.ts'
import { showTime } from '../units.ts'

/** As JSON. */
export const factsOf = ({ name, status, project, authorization, channels }: DeviceInfo) => ({
  name,
  project,
  status,
  authorizedUntil: authorization?.expires_at,
  channels,
})

/** In a line. */
export const describe = (device: DeviceInfo): string => {
  const { status, authorization } = device
  const until = Date.parse(authorization?.expires_at ?? '')
  const paused = pausedChannelsOf(device)
  return [
    nameOf(device),
    ...(status === undefined ? [] : [plain(status)]),
    ...(paused.length === 0 ? [] : [`channel ${paused.join(', ')} paused`]),
    ...(Number.isNaN(until) ? [] : [`authorised until ${dateOf(until)}`]),
  ].join('  ')
}

/** Who it is, and where. */
export const nameOf = ({ name, project }: DeviceInfo): string =>
  typeof project?.name === 'string'
    ? `device ${plain(name)}, project ${plain(project.name)}`
    : `device ${plain(name)}`

/** By their numbers, counted from 0. How Frame.io says that one is paused is not documented. */
export const pausedChannelsOf = ({ channels }: DeviceInfo): readonly string[] => {
  if (!Array.isArray(channels)) return []
  return channels.flatMap((channel: Record<string, unknown> | null, at) =>
    channel?.status === 'paused' || channel?.paused === true
      ? [plain(channel.channel ?? channel.number ?? at)]
      : [],
  )
}

/** Names are what people typed: in one line, and no escapes. */
const plain = (value: unknown) => withoutControls(String(value)).replace(/\s+/g, ' ')

/** To the minute, in UTC, and how far off. */
const dateOf = (time: number): string => {
  const date = `${new Date(time).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const left = time - Date.now()
  if (left <= 0) return `${date}, which is past`
  const days = Math.floor(left / 86_400_000)
  return `${date} (${days > 1 ? `${days} days` : showTime(left / 1_000)} left)`
}
