/**
 * What is written beside the code is true of the code, and is found by who looks for it.
 */
import { readFile, stat } from 'node:fs/promises'
import t from 'tap'
import * as library from '../lib/index.ts'
import { COMMAND, FAULTS, renderFaults } from './support/write-faults.ts'

const readme = await readFile('README.md', 'utf8')

/** The names that a pattern finds in what a source declares under a heading. */
const namesIn = async (file: string, heading: string, pattern: RegExp): Promise<string[]> => {
  const source = await readFile(file, 'utf8')
  const [, body = ''] = source.split(heading)
  const [declaration = ''] = body.split(/^(?:\}|\/\*\* .* \*\/)$/m)
  const names = [...declaration.matchAll(pattern)].map(([, name = '']) => name)
  if (names.length === 0) throw new Error(`${file} has no ${heading}: look where it is now`)
  return names
}

/** The README's code, by which names are searched for. */
const code = readme
  .split(/^```.*$/m)
  .map((text, at) => (at % 2 ? text : (text.match(/`[^`\n]+`/g)?.join('\n') ?? '')))
  .join('\n')

/** Which of these does the README not have? */
const missing = (names: readonly string[]): string[] =>
  names.filter(name => !new RegExp(`\\b${name}\\b`).test(code))

t.test('the fault matrix is written down as it is', async t => {
  t.equal(await readFile(FAULTS, 'utf8'), renderFaults(), `stale: renew it with ${COMMAND}`)
})

t.test('the README is read in five minutes', async t => {
  t.ok(readme.split('\n').length < 250, 'under 250 lines')
  t.ok(Buffer.byteLength(readme) < 20_000, 'under 20 kB')
})

t.test('the README has every option of an upload and of a client', async t => {
  const field = /^ {2}readonly (\w+)\??: /gm
  const options = [
    ...(await namesIn('lib/upload/options.ts', 'interface RealtimeUploadOptions ', field)),
    ...(await namesIn('lib/frameio/options.ts', 'interface ConnectionOptions ', field)),
    ...(await namesIn('lib/frameio/options.ts', 'interface FrameioClientOptions ', field)),
    ...(await namesIn('lib/sources/upload-from.ts', 'interface UploadFromOptions ', field)),
  ]
  const retry = await namesIn('lib/net/retry.ts', 'interface RetryOptions ', field)
  t.strictSame(missing([...options, ...retry.map(name => `retry\\.${name}`)]), [])
})

t.test('the README has every event, figure of progress and channel', async t => {
  const events = await namesIn('lib/upload/events.ts', 'interface EventMap ', /^ {2}(\w+): /gm)
  const field = /^ {2}readonly (\w+): /gm
  const progress = await namesIn('lib/upload/events.ts', 'interface Progress ', field)
  const heading = 'interface DiagnosticMessages '
  const channels = await namesIn('lib/upload/diagnostics.ts', heading, /upload(:\w+)'/g)
  const warnings = await namesIn('lib/upload/events.ts', 'interface UploadWarning ', /'([A-Z_]+)'/g)
  t.strictSame(missing([...events, ...progress, ...warnings]), [])
  t.strictSame(
    channels.filter(name => !readme.includes(`${name}\``)),
    [],
  )
})

t.test('the README says for each error code, in a line, what to do', async t => {
  const codes = await namesIn('lib/errors.ts', 'type ErrorCode =', /\| '(ERR_\w+)'/g)
  const lines = [...readme.matchAll(/^\| `(ERR_\w+)` \|/gm)].map(([, code]) => code)
  t.strictSame(lines.toSorted(), codes.toSorted())
})

t.test('the README has all that the package exports, and each method of a client', async t => {
  const { FrameioClient } = library
  const methods = Object.getOwnPropertyNames(FrameioClient.prototype)
  t.strictSame(
    missing([...Object.keys(library), ...methods.filter(name => name !== 'constructor')]),
    [],
  )
})

t.test('links in the README work wherever it is shown', async t => {
  // Without a repository in package.json npm leaves relative links as they are: they lead nowhere.
  const anchors = [...readme.matchAll(/^#+ (.+)$/gm)].map(
    ([, heading = '']) =>
      `#${heading
        .toLowerCase()
        .replace(/[^\w -]/g, '')
        .replaceAll(' ', '-')}`,
  )
  const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
  t.ok(links.length > 0)
  t.strictSame(
    links.filter(link => !link.startsWith('https://') && !anchors.includes(link)),
    [],
  )
})

t.test('files that the README names are in the package', async t => {
  const { files } = JSON.parse(await readFile('package.json', 'utf8'))
  const named = [...readme.matchAll(/[\w./-]+\.(?:md|ts)\b/g)].map(([name]) => name)
  t.ok(named.length > 4)
  for (const name of named) {
    t.ok((await stat(name)).isFile(), `${name} is there`)
    const isPacked = files.some((file: string) => name === file || name.startsWith(`${file}/`))
    t.ok(isPacked, `${name} is in "files" of package.json`)
  }
})

t.test('figures of speed in the README stand in the results of the bench', async t => {
  const results = await readFile('bench/RESULTS.md', 'utf8')
  const [, section = ''] = /^## Speed\n([^#]+)/m.exec(readme) ?? []
  const figures = [...section.matchAll(/\d[\d,.]*\d|\d/g)].map(([text]) => text.replace(/,/g, ''))
  t.ok(figures.length > 5)
  t.strictSame(
    figures.filter(figure => !new RegExp(`(?<![\\d.])${figure}(?![\\d.])`).test(results)),
    [],
  )
})
