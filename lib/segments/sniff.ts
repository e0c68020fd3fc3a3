/**
 * What a stream is, told by its first bytes.
 */

export type Sniffed =
  | { readonly container: 'mp4' | 'unknown' }
  | { readonly container: 'mpegts'; readonly packet: 188 | 192 }

/** Bytes that tell in any case: three packets, whichever byte of a packet is the first. */
export const LONGEST_SNIFF = 3 * 192 + 192

/** Boxes that an MP4 or MOV may begin with. */
const FIRST_BOX = /^(ftyp|styp|moov|moof|mdat|free|skip|wide|uuid|pdin|sidx|emsg|prft)$/

/** Undefined where more bytes are needed. */
export const sniff = (first: Buffer, isAll: boolean): Sniffed | undefined => {
  if (FIRST_BOX.test(first.toString('latin1', 4, 8))) return { container: 'mp4' }
  if (first.length < LONGEST_SNIFF && !isAll) return undefined
  for (const packet of [188, 192] as const) {
    if (isInStep(first, packet)) return { container: 'mpegts', packet }
  }
  return { container: 'unknown' }
}

/** Is there a sync byte a packet? A receiver may have come in the middle of one. */
const isInStep = (first: Buffer, packet: number): boolean => {
  for (let at = 0; at < packet && at + 2 * packet < first.length; at++) {
    if ([0, 1, 2].every(n => first[at + n * packet] === 0x47)) return true
  }
  return false
}
