/**
 * What people may have meant by an option that there is none of.
 */

/** The names that are like this one, best first: at most three, or none. */
export const alike = (typed: string, names: readonly string[]): string[] => {
  const wanted = plain(typed)
  if (wanted === '') return []
  const ranked = names
    .map(name => ({ name, rank: rankOf(wanted, plain(name)) }))
    .filter(({ rank }) => rank < NONE)
    .sort((one, other) => one.rank - other.rank)
  const best = ranked[0]?.rank
  // A name that is one letter off leaves no doubt; beginnings and ends may be those of several.
  return ranked
    .filter(({ rank }) => rank === best)
    .slice(0, 3)
    .map(({ name }) => name)
}

/** `partSize`, `part_size` and `PART-SIZE` are all one. */
const plain = (name: string) => name.toLowerCase().replace(/[^a-z0-9]/g, '')

const NONE = Number.POSITIVE_INFINITY

const rankOf = (typed: string, name: string): number => {
  if (typed === name) return 0
  if (name.startsWith(typed)) return 1
  // Of a short word a single slip makes another one.
  const slips = distance(typed, name)
  if (slips <= (Math.min(typed.length, name.length) < 5 ? 1 : 2)) return 1 + slips
  return typed.length > 2 && (name.includes(typed) || typed.includes(name)) ? 4 : NONE
}

/** Optimal string alignment: letters that are missing, too many, other, or have changed places. */
const distance = (one: string, other: string): number => {
  let before: number[] = []
  let last = Array.from({ length: other.length + 1 }, (_, at) => at)
  for (let i = 1; i <= one.length; i++) {
    const row = [i]
    for (let j = 1; j <= other.length; j++) {
      const cost = one[i - 1] === other[j - 1] ? 0 : 1
      let least = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + cost)
      const isSwap = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1]
      if (isSwap) least = Math.min(least, at(before, j - 2) + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return at(last, other.length)
}

const at = (row: readonly number[], index: number) => row[index] as number
