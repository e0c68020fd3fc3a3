/**
 * Lines that people paste into their shell.
 */

/** A word as a shell reads it: as it is where that does no harm, in single quotes elsewhere. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`

/** The command that finishes what lies in a spool. A folder's name may look like an option. */
export const resumeLine = (dir: string): string =>
  `frameio-upload --resume ${shellWord(dir.startsWith('-') ? `./${dir}` : dir)}`
