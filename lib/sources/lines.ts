/**
 * Bytes of text become whole lines, however they are cut. Of a line that is drawn again and again,
 * as programs show their progress, only the last is one: `frame=1 ␍ frame=2 ␍ frame=3 ␊`.
 */
import { StringDecoder } from 'node:string_decoder'

/** Characters of a line that has no end yet which are kept: there may never be one. */
const LONGEST = 4_096

export class Lines {
  readonly #decoder = new StringDecoder('utf8')
  #begun = ''

  /** Takes the next bytes. The lines that they end. */
  push(chunk: Buffer | string): string[] {
    const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
    const lines = (this.#begun + text).split('\n').map(lastDrawn)
    this.#begun = (lines.pop() ?? '').slice(0, LONGEST)
    return lines.map(withoutReturn)
  }

  /** The line that has begun, and may never end. */
  get begun(): string {
    return withoutReturn(this.#begun)
  }
}

/** Its last character may be half of a line's end: `␍␊`. */
const lastDrawn = (line: string): string => line.slice(line.lastIndexOf('\r', line.length - 2) + 1)

const withoutReturn = (line: string): string => (line.endsWith('\r') ? line.slice(0, -1) : line)
