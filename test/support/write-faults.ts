/**
 * The fault matrix as a document, test/scenarios/FAULTS.md:
 *
 *   npx tsx test/support/write-faults.ts
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  CELLS,
  cellsOf,
  type End,
  MATRIX,
  PARTS,
  POSITIONS,
  type Row,
  type Stage,
} from './matrix.ts'

/** The document. */
export const FAULTS = new URL('../scenarios/FAULTS.md', import.meta.url)

/** What writes it. */
export const COMMAND = 'npx tsx test/support/write-faults.ts'

/** The document as it must be: a row a fault, with where it strikes and how the upload ends. */
export const renderFaults = (): string => {
  const survived = CELLS.filter(({ end }) => end === 'survives').length
  const rows = MATRIX.map(row => {
    const { ends } = row
    const shown = [
      ends.once,
      ends['first try of every part'],
      ends['six times on one part'],
      ends['for ever'],
    ].map(showEnd)
    const where = [showPositions(row, 'register'), showPositions(row, 'put')]
    return `| ${[row.fault, ...where, ...shown, cellsOf(row).length].join(' | ')} |`
  })
  return `# What can go wrong, and how an upload ends

Made by \`${COMMAND}\` from \`test/support/matrix.ts\`, which is the one to change.

## What is done about a fault

The list of what ends an upload at once is closed: our own misuse; a refusal in Frame.io's or S3's own words; JSON of Frame.io's that lacks what was asked for; 501 and 505. All else is tried again until a part or call has failed for \`retry.giveUpAfter\` while nothing on the upload moved: a part that is stored and a registration that is answered renew that budget, waits at the rate gate and for a lane do not count, and at least three attempts are made. The waits between them have full jitter. One part's trouble does not stop the others.

- **A PUT that takes too long** is cut, and all lanes learn from it: no lane moves more than that, so others are allowed as much, and there is one lane less. It ends an upload only if it was allowed as long as \`retry.giveUpAfter\`: a link that flows, however slowly, is never given up.
- **429 from Frame.io**: one gate holds all calls of the client back, for about a second, then twice as long each time; when it opens one call goes, and the next when that one was answered. Before a 429 comes calls queue there as well: as many go side by side as Frame.io's bucket has room for by its \`x-ratelimit-*\`, then one for each that leaks.
- **503 \`SlowDown\` from S3**: half the lanes. Each part that is stored gives one back.
- **An expired URL** (403 with "expired", \`ExpiredToken\`, \`TokenRefreshRequired\`, or past its \`X-Amz-Expires\`): the part is registered again, with the same number and size.
- **S3's \`AccessDenied\`, \`InvalidAccessKeyId\` or \`InvalidToken\`, or a 403 without a code**: one new URL. The next is final.
- **401**: the token function is asked once more, once for all uploads of the client, while PUTs go on. A second 401 in a row is final.
- **A token function that throws or rejects** is asked again, like a fault of the network.
- **S3's \`BadDigest\`**, with \`integrity: 'md5'\`: sent again from memory. The third is final.
- **A 200 of S3 without an \`ETag\`** is no receipt, and a 4xx without Frame.io's or S3's words is no refusal: somebody else answered, such as a proxy.

## The matrix

An upload of ${PARTS} parts meets each fault in a registration and in a PUT, at every position in the exchange where the fault can strike (${POSITIONS.join(', ')}), and as often as makes sense. Each such cell is run by \`npm run test:long\`, and a sample of them by \`npm test\`, over real sockets. "Survived" means that every byte is in its place; "when the budget is spent", that the fault lasted as long as \`retry.giveUpAfter\`. A fault that strikes once is tried on the final part as well, with the same end.

V4 meets the same faults in the creation of a file and in its PUTs (\`test/scenarios/v4-fault-matrix.test.ts\`), with the same ends, but for what is about a URL, which no call of V4's renews: the file is created anew and all of it sent once more, three times at most for one that expired, twice where S3 denies it. What a lost answer to a creation may have left is removed: one file at the end, or none.

${CELLS.length} cells: ${survived} survived with every byte in place, ${CELLS.length - survived} ended in the one clear error named here.

| fault | in a registration | in a PUT | once | first try of every part | six times on one part | for ever | cells |
|---|---|---|---|---|---|---|---|
${rows.join('\n')}
`
}

/** Empty where there is no such cell. */
const showEnd = (end: End | undefined): string => {
  if (end === undefined) return ''
  if (end === 'survives') return 'survived'
  const when = end.attempts === 'budget' ? 'when the budget is spent' : `at attempt ${end.attempts}`
  return `\`${end.code}\` ${when}`
}

const showPositions = ({ ways }: Row, stage: Stage): string => {
  const found = POSITIONS.filter(position =>
    ways.some(way => way.stage === stage && way.position === position),
  )
  return found.length === POSITIONS.length ? 'everywhere' : found.join(', ')
}

const isMain = import.meta.url === pathToFileURL(process.argv[1] ?? '').href
if (isMain) {
  await writeFile(FAULTS, renderFaults())
  console.log(`${fileURLToPath(FAULTS)}: ${CELLS.length} cells`)
}
