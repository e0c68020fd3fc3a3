/**
 * Pictures of terminals, from real runs of the built command.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { isAbsolute, join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { findFfmpeg } from './ffmpeg.ts'

/** Columns of a terminal. */
const COLUMNS = 118

export interface Terminal {
  /**
   * Runs a command, its lines as people type them, and gives what the terminal shows of it.
   *
   * @param ctrlC seconds until somebody presses Ctrl-C
   */
  run(command: readonly string[], ctrlC?: number): Promise<string[]>
  close(): Promise<void>
}

/** A terminal in a folder of its own, with `frameio-upload` and `ffmpeg` on the PATH. */
export const openTerminal = async (
  env: Record<string, string> = {},
  columns = COLUMNS,
): Promise<Terminal> => {
  const folder = await mkdtemp(join(tmpdir(), 'take-'))
  const ffmpeg = await findFfmpeg()
  if (isAbsolute(ffmpeg)) await symlink(ffmpeg, join(folder, 'ffmpeg')) // Else it is on the PATH.
  await writeFile(
    join(folder, 'frameio-upload'),
    `#!/bin/sh\nexec '${process.execPath}' '${resolve('dist/cli.js')}' "$@"\n`,
    { mode: 0o755 },
  )
  return {
    async run(command, ctrlC) {
      const script = `stty cols ${columns}; ${command.join('\n')}`
      const child = spawn('script', ['-qec', script, '/dev/null'], {
        cwd: folder,
        env: { ...process.env, PATH: `${folder}:${process.env.PATH}`, SHELL: '/bin/sh', ...env },
        stdio: ['pipe', 'pipe', 'inherit'],
      })
      let output = ''
      child.stdout.setEncoding('utf8').on('data', text => {
        output += text
      })
      if (ctrlC !== undefined) setTimeout(() => child.stdin.write('\x03'), ctrlC * 1_000)
      await once(child, 'close')
      const [first = '', ...rest] = command
      return [`$ ${first}`, ...rest, ...linesOf(output.trimEnd().replaceAll(folder, '.'))]
    },
    close: () => rm(folder, { recursive: true }),
  }
}

/** Takes the cursor to the beginning of its line. */
const BACK = '\u001b[1G'

/** What a terminal shows of these characters, with what was drawn over kept as a line of its own. */
const linesOf = (output: string): string[] =>
  output.split(/\r?\n/).flatMap(line => {
    const drawn = line.replaceAll(BACK, '\r').split('\r').map(stripVTControlCharacters)
    const seen = drawn.filter(text => text !== '')
    // A line that lives is drawn many times: the last of it, and what came in its place.
    return drawn.length > 3 ? seen.slice(-2) : [seen.at(-1) ?? '']
  })

/** Of a character, in pixels. Two modules of a QR code are one high. */
const [WIDTH, HEIGHT, STEP] = [7.25, 14.5, 19]

const escapeXml = (text: string) =>
  text.replace(/[&<>]/g, character => `&#${character.charCodeAt(0)};`)

export const draw = (title: string, lines: readonly string[], columns = COLUMNS): string => {
  const width = columns * WIDTH + 32
  let y = 38
  const shapes = lines.map(line => {
    if (/^[█▀▄ ]*[█▀▄][█▀▄ ]*$/.test(line)) {
      y += HEIGHT
      return `<path fill="#fff" d="${blocksOf(line, y - HEIGHT + 4)}"/>`
    }
    y += STEP
    const color = line.startsWith('$') ? '#fff' : '#c9d1d9'
    return `<text x="16" y="${y - 5}" fill="${color}" xml:space="preserve">${escapeXml(line)}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y + 20}" font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="12">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<circle cx="20" cy="18" r="6" fill="#ff5f57"/><circle cx="40" cy="18" r="6" fill="#febc2e"/><circle cx="60" cy="18" r="6" fill="#28c840"/>
${shapes.join('\n')}
</svg>
`
}

/** Blocks as rectangles: in letters of whatever font there were gaps, and no phone could read them. */
const blocksOf = (line: string, top: number): string =>
  [...line.matchAll(/█+|▀+|▄+/g)]
    .map(({ 0: run, index }) => {
      const isWhole = run[0] === '█'
      const y = run[0] === '▄' ? top + HEIGHT / 2 : top
      const [w, h] = [run.length * WIDTH, isWhole ? HEIGHT : HEIGHT / 2]
      return `M${16 + index * WIDTH} ${y}h${w}v${h}h${-w}z`
    })
    .join('')
