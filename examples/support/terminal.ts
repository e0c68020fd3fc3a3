/**
 * Makes the picture of a terminal in examples/command.md, from a real run: the command films with ffmpeg for a
 * while, and then somebody presses Ctrl-C.
 *
 *   npm run build && npx tsx examples/support/terminal.ts examples/terminal.svg
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { findFfmpeg } from './ffmpeg.ts'

const COMMAND = [
  'frameio-upload --sandbox ./out --name A001.mp4 -- \\',
  '    ffmpeg -v error -re -f lavfi -i testsrc2=size=1920x1080:rate=30 \\',
  '    -c:v libx264 -preset ultrafast -g 30 -b:v 30M -minrate 30M -bufsize 30M \\',
  '    -f mp4 -movflags frag_keyframe+empty_moov pipe:1',
]
const COLUMNS = 118
/** Seconds until Ctrl-C. */
const TAKE = 8

/** Takes the cursor to the beginning of its line. */
const BACK = '\u001b[1G'

/** What a terminal shows of these characters, with what was drawn over kept as a line of its own. */
const linesOf = (output: string): string[] =>
  output.split(/\r?\n/).flatMap(line => {
    const drawn = line.replaceAll(BACK, '\r').split('\r').map(stripVTControlCharacters)
    const seen = drawn.filter(text => text !== '')
    // A line that lives is drawn many times: the last of it, and what came in its place.
    return seen.slice(drawn.length > 3 ? -2 : -1)
  })

const escapeXml = (text: string) =>
  text.replace(/[&<>]/g, character => `&#${character.charCodeAt(0)};`)

const draw = (lines: readonly string[]): string => {
  const [width, step] = [COLUMNS * 7.25 + 32, 19]
  const height = lines.length * step + 58
  const texts = lines.map(
    (line, at) =>
      `<text x="16" y="${52 + at * step}" fill="${line.startsWith('$') ? '#fff' : '#c9d1d9'}" xml:space="preserve">${escapeXml(line)}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12">
<title>A terminal: frameio-upload films with ffmpeg until Ctrl-C</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/><circle cx="60" cy="18" r="6" fill="#28c840"/>
${texts.join('\n')}
</svg>
`
}

const [target = 'terminal.svg'] = process.argv.slice(2)
const folder = await mkdtemp(join(tmpdir(), 'take-'))
const ffmpeg = await findFfmpeg()
if (isAbsolute(ffmpeg)) await symlink(ffmpeg, join(folder, 'ffmpeg')) // Else it is on the PATH.
await writeFile(
  join(folder, 'frameio-upload'),
  `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/cli.js')}' "$@"\n`,
  { mode: 0o755 },
)
const script = `stty cols ${COLUMNS}; ${COMMAND.join('\n')}`
const child = spawn('script', ['-qec', script, '/dev/null'], {
  cwd: folder,
  env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, SHELL: '/bin/sh' },
  stdio: ['pipe', 'pipe', 'inherit'],
})
let output = ''
child.stdout.setEncoding('utf8').on('data', text => {
  output += text
})
setTimeout(() => child.stdin.write('\x03'), TAKE * 1_000)
await once(child, 'close')
const [first = '', ...rest] = COMMAND
const lines = [`$ ${first}`, ...rest, ...linesOf(output.trimEnd().replaceAll(folder, '.'))]
await writeFile(target, draw(lines))
await rm(folder, { recursive: true })
console.log(lines.join('\n'))
