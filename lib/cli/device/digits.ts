/**
 * Digits that can be read from across a room.
 */

/** Five rows of three dots each, from the top. */
const DIGITS = [
  '### #.# #.# #.# ###',
  '.#. ##. .#. .#. ###',
  '### ..# ### #.. ###',
  '### ..# ### ..# ###',
  '#.# #.# ### ..# ..#',
  '### #.. ### ..# ###',
  '### #.. ### #.# ###',
  '### ..# ..# ..# ..#',
  '### #.# ### #.# ###',
  '### #.# ### ..# ###',
].map(digit => digit.split(' '))

/** A character is half as wide as it is high. */
const DOT = { '#': '██', '.': '  ' } as const

/**
 * Its lines, in two groups as people read it out; undefined where it has something else than digits, or
 * is wider than that.
 */
export const largely = (code: string, columns: number): readonly string[] | undefined => {
  if (!/^\d+$/.test(code)) return undefined
  const middle = code.length / 2
  const lines = [0, 1, 2, 3, 4].map(row => {
    const digits = [...code].map(digit =>
      [...(DIGITS[Number(digit)]?.[row] ?? '')].map(dot => DOT[dot as '#' | '.']).join(''),
    )
    return [digits.slice(0, middle), digits.slice(middle)]
      .map(group => group.join('  '))
      .join('     ')
  })
  return lines.every(line => line.length < columns) ? lines : undefined
}
