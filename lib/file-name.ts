/**
 * Names for files, of names that people give to assets.
 */
import { extname } from 'node:path'

/** Most bytes of a name on the file systems in use, as UTF-8. */
const LONGEST = 255

/**
 * A name that stays in its folder and fits on a disk: what would lead elsewhere is replaced, and what is
 * too long is cut before the extension, between two characters as people see them.
 *
 * @param spare bytes that are left, for what is put behind it
 */
export const fileNameOf = (name: string, spare = 0): string => {
  const safe = name.replace(/[\p{Cc}<>:"/\\|?*]/gu, '_').replace(/^\.+/, '_')
  const longest = LONGEST - spare
  if (bytesOf(safe) <= longest) return safe
  const extension = extname(safe)
  // One that leaves no room for anything before it is none.
  const kept = bytesOf(extension) < longest ? extension : ''
  const stem = safe.slice(0, safe.length - kept.length)
  return (cut(stem, longest - bytesOf(kept)) || '_') + kept
}

const cut = (text: string, room: number): string => {
  let end = 0
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    room -= bytesOf(segment)
    if (room < 0) break
    end += segment.length
  }
  return text.slice(0, end)
}

const bytesOf = (text: string): number => Buffer.byteLength(text)
