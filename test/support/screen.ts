/**
 * What a person sees of what was written to a terminal: as far as our own line needs it, that is
 * returns, moves within the line, and erasing.
 */
export const screenOf = (written: string): string[] => {
  const rows = ['']
  let column = 0
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is interpreted
  const pattern = /\r|\n|\u001b\[(\d*)([A-Za-z])|[^\r\n\u001b]+|\u001b/g
  for (const [text, number = '', command] of written.matchAll(pattern)) {
    const row = rows.at(-1) ?? ''
    const put = (changed: string) => rows.splice(-1, 1, changed)
    if (text === '\r') column = 0
    else if (text === '\n') rows.push('')
    else if (command === 'G') column = Number(number || 1) - 1
    else if (command === 'K' && number === '2') put('')
    else if (command === 'K') put(row.slice(0, column))
    else if (command === undefined) {
      put(row.slice(0, column).padEnd(column) + text + row.slice(column + text.length))
      column += text.length
    }
  }
  return rows
}
