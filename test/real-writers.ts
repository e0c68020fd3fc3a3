/**
 * Which containers are followed how, by the ffmpeg of this machine, as a table in Markdown:
 * `npx tsx test/real-writers.ts`. Exits with 1 where an asset is not its file.
 */
import { followWriters, tableOf } from './support/real-writers.ts'

const { followed, skipped } = await followWriters()
console.log(tableOf(followed))
for (const reason of skipped) console.log(`Skipped: ${reason}`)
process.exitCode = followed.every(({ isEqual }) => isEqual) ? 0 : 1
