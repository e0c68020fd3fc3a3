/**
 * A code on a screen: large, with a link that a phone can read, and the time that is left. Where there is
 * no terminal, one line.
 */
import { styleText } from 'node:util'
import type { PairingCode } from '../../frameio/pairing-options.ts'
import type { Display } from '../display.ts'
import { largely } from './digits.ts'

/** What is known of a terminal. */
export type Screen = NonNullable<Display['screen']>

/** Shows it until it is over. @param isNext is it in place of one that has expired? */
export const showCode = async (
  display: Display,
  code: PairingCode,
  isNext: boolean,
): Promise<void> => {
  const { userCode, verificationUri, verificationUriComplete, expiresIn, signal } = code
  const end = performance.now() + expiresIn
  const { screen } = display
  const drawn = screen && (await draw(code, screen))
  if (signal.aborted) return
  if (isNext) display.say('expired', 'that code has expired: this is the next')
  // It is there to be seen by others, so nothing of it is hidden.
  const links = { verificationUri, verificationUriComplete }
  const details = { userCode, ...links, expiresIn: Math.floor(expiresIn) }
  display.showWhole('code', tell(code), details, drawn)
  const count = () => display.live(`${leftOf(end - performance.now())} left; Ctrl-C gives up`)
  count()
  const timer = setInterval(count, 1_000)
  const stop = () => {
    clearInterval(timer)
    display.stop()
  }
  signal.addEventListener('abort', stop, { once: true })
}

const HERE = "in the project's C2C Connections"

const tell = ({ userCode, verificationUri, verificationUriComplete, expiresIn }: PairingCode) => {
  const end = `it is good for ${leftOf(expiresIn)}`
  if (verificationUriComplete !== undefined) {
    return `open ${verificationUriComplete}, or enter the code ${userCode} ${HERE}: ${end}`
  }
  const or = verificationUri === undefined ? '' : `at ${verificationUri}, or `
  return `enter the code ${userCode} ${or}${HERE}: ${end}`
}

const draw = async (code: PairingCode, screen: Screen): Promise<string> => {
  const { userCode, verificationUri: place, verificationUriComplete: link } = code
  const picture = link === undefined ? undefined : await pictureOf(link, screen)
  const large = largely(userCode, screen.columns) ?? [userCode]
  const or = place === undefined || link !== undefined ? '' : ` at ${place}, or`
  return [
    '',
    ...(picture ? [picture, ''] : []),
    ...(link === undefined ? [] : [`Open ${link}`]),
    `${link === undefined ? 'Enter' : 'Or enter'} this code${or} ${HERE}:`,
    '',
    ...large,
    '',
  ].join('\n')
}

/** Modules of white around a QR code. Four are asked for (ISO/IEC 18004); phones do with two. */
const BORDER = 2

/** A QR code; undefined where the terminal is too narrow for it. */
const pictureOf = async (
  link: string,
  { columns, hasColors }: Screen,
): Promise<string | undefined> => {
  const { renderUnicodeCompact } = await import('uqr')
  const lines = renderUnicodeCompact(link, { border: BORDER }).split('\n')
  if (lines.some(line => line.length >= columns)) return undefined
  // White is what is drawn: it must not become black on a terminal with a white ground.
  const paint = (line: string) =>
    hasColors ? styleText(['whiteBright', 'bgBlack'], line, { validateStream: false }) : line
  return lines.map(paint).join('\n')
}

/** As a clock shows it. */
const leftOf = (ms: number): string => {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
