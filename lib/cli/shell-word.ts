/**
 * Lines that people paste into their shell.
 */

/** A word as a shell reads it: as it is where that does no harm, in single quotes elsewhere. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** How Frame.io was reached, as it was given: who finishes a take gives it again. */
export interface Reach {
  readonly tokenFile?: string | undefined
  readonly credentials?: string | undefined
  readonly legacyToken?: boolean | undefined
  readonly upload: {
    readonly baseUrl?: string | URL | undefined
    readonly device?: { readonly clientVersion?: string | undefined } | undefined
  }
}

/** The command that finishes what lies in a spool. @param account of V4 */
export const resumeLine = (
  dir: string,
  { tokenFile, credentials, legacyToken, upload: { baseUrl, device } }: Reach,
  account?: string,
): string => {
  const given = Object.entries({
    v4: account,
    device: device?.clientVersion,
    credentials: credentials && pathWord(credentials),
    // Of a pipe (`<(…)`) nobody gets the same again.
    'token-file': tokenFile && !PIPE.test(tokenFile) ? pathWord(tokenFile) : undefined,
    'base-url': baseUrl && String(baseUrl),
  }).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag} ${shellWord(value)}`]))
  return [
    `frameio-upload --resume ${shellWord(pathWord(dir))}`,
    ...given,
    ...(legacyToken ? ['--legacy-token'] : []),
  ].join(' ')
}

/** As shells call a pipe. What else lies below /dev may be a file, such as in /dev/shm. */
const PIPE = /^\/(dev\/(fd\/|stdin$)|proc\/)/

/** A file's name may look like an option. */
const pathWord = (path: string): string => (path.startsWith('-') ? `./${path}` : path)
