/**
 * Makes the picture of a terminal in examples/command.md, from a real run: the command films with ffmpeg for a
 * while, and then somebody presses Ctrl-C.
 *
 *   npm run build && npx tsx examples/support/terminal.ts examples/terminal.svg
 */
import { writeFile } from 'node:fs/promises'
import { draw, openTerminal } from './screen.ts'

const COMMAND = [
  'frameio-upload --sandbox ./out --name A001.mp4 -- \\',
  '    ffmpeg -v error -re -f lavfi -i testsrc2=size=1920x1080:rate=30 \\',
  '    -c:v libx264 -preset ultrafast -g 30 -b:v 30M -minrate 30M -bufsize 30M \\',
  '    -f mp4 -movflags frag_keyframe+empty_moov pipe:1',
]
/** Seconds until Ctrl-C. */
const TAKE = 8

const [target = 'terminal.svg'] = process.argv.slice(2)
const terminal = await openTerminal()
const lines = await terminal.run(COMMAND, TAKE)
await writeFile(target, draw('A terminal: frameio-upload films with ffmpeg until Ctrl-C', lines))
await terminal.close()
console.log(lines.join('\n'))
