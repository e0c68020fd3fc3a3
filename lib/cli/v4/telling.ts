/**
 * What happens to a take for V4, said as it happens, and the words for what went wrong.
 */
import type { RealtimeUploadError } from '../../errors.ts'
import { FOR_CALLERS } from '../../frameio/dialect.ts'
import type { FileRetry } from '../../v4/events.ts'
import type { TakeEvent } from '../../v4/take-events.ts'
import { describeRetry } from '../describe.ts'
import type { Display } from '../display.ts'
import { adviceOn, messageOf } from '../failures.ts'
import { showSize } from '../units.ts'

/** @param isFollowed is it a file of somebody else's? */
export const tell = (event: TakeEvent, display: Display, isFollowed: boolean): void => {
  const { type } = event
  if (type === 'begin') {
    const { folder } = event
    display.say('recording', `records to ${folder} until Frame.io has it`, { folder })
  } else if (type === 'piece') {
    const { name, bytes, number } = event
    display.say('piece', `${name} is recorded: ${showSize(bytes)}`, { name, bytes, number })
  } else if (type === 'end' && isFollowed) {
    display.say('over', 'the file is over: it is uploaded now')
  } else if (type === 'file') {
    const { type: _, ...file } = event
    const where = file.viewUrl === undefined ? '' : `: ${file.viewUrl}`
    display.say('file', `${file.name} is uploaded${where}`, file)
  } else if (type === 'retry') tellOfRetry(event, display)
  else if (type === 'warning') {
    const { code, message, name } = event
    display.say('warning', `${name === undefined ? '' : `${name}: `}${message}`, { code, name })
  } else if (type === 'stall') display.say('stall', 'the disk is full: the source is held')
  else if (type === 'resume') display.say('resume', 'the source flows again')
}

const STAGES: Readonly<Record<FileRetry['stage'], string>> = {
  create: 'its creation',
  status: 'asking for its status',
  delete: 'its deletion',
  put: 'PUT',
  read: 'reading the file',
}

const tellOfRetry = (event: TakeEvent & { readonly type: 'retry' }, display: Display): void => {
  const { name, stage, partNumbers, attempt, delay, giveUpIn, error } = event
  const which = stage === 'put' ? ` of part ${partNumbers.join(', ')}` : ''
  const text = `${name}: ${describeRetry(`${STAGES[stage]}${which}`, event)}`
  const { code } = error
  display.say('retry', text, { name, stage, partNumbers, attempt, delay, giveUpIn, code })
}

/** What the library calls the way on: here it is a line to be typed. */
const WAY_ON = /\b(?:resumeV4|the same call)\b/g

/** What an error says, with the line that goes on in place of a call; without either where there is none. */
export const messageIn = (error: unknown, line: string | undefined): string => {
  const text = messageOf(error)
  if (line !== undefined) return text.replace(WAY_ON, () => line)
  return text.replace(/: (?:resumeV4|the same call)\b.*/s, '')
}

/** Two limits have one code. */
const tooLarge = ({ message }: Error): string =>
  `Raise ${message.includes('spool.maxBytes') ? '--spool-max' : '--max-size'}, or cut it with --segment.`

/** What to do about it, where it is another thing than elsewhere. */
export const adviceFor = (error: unknown, isLegacy: boolean): string | undefined => {
  const { code, cause, message = '' } = error as Partial<RealtimeUploadError>
  if (code === 'ERR_ASSET_NOT_FOUND') {
    // Of whom a token is has no id: its message says what to check.
    return message.includes(FOR_CALLERS.base) ? undefined : 'Check --v4 ACCOUNT/FOLDER.'
  }
  if (code === 'ERR_STORAGE_REJECTED') return undefined
  if (code === 'ERR_STREAM_TOO_LARGE') return tooLarge(error as Error)
  const advice = adviceOn(error)
  if (code !== 'ERR_UNAUTHORIZED' || cause !== undefined || isLegacy) return advice
  return `${advice} A legacy developer token needs --legacy-token.`
}
