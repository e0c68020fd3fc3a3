/**
 * Makes the picture in examples/v4.md, from a real run against a sandbox: the command films for V4, in files of
 * ten seconds, and then somebody presses Ctrl-C.
 *
 *   npm run build && npx tsx examples/support/v4-terminal.ts examples/v4.svg
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startSandbox } from 'frameio-realtime-upload/sandbox'
import { draw, openTerminal } from './screen.ts'

const COMMAND = [
  'frameio-upload --base-url $SANDBOX --v4 $ACCOUNT/$FOLDER --name A001.mp4 --segment 10s -- \\',
  '    ffmpeg -v error -re -f lavfi -i testsrc2=size=640x360:rate=30 \\',
  '    -c:v libx264 -preset ultrafast -g 30 -b:v 8M -minrate 8M -bufsize 8M \\',
  '    -f mp4 -movflags frag_keyframe+empty_moov+default_base_moof pipe:1',
]
/** Seconds until Ctrl-C, and columns of the terminal: an address at Frame.io is long. */
const [TAKE, COLUMNS] = [34, 148]

const [target = 'v4.svg'] = process.argv.slice(2)
const home = await mkdtemp(join(tmpdir(), 'home-'))
const sandbox = await startSandbox()
const { url: SANDBOX, token: FRAMEIO_TOKEN, v4 } = sandbox
const { accountId: ACCOUNT, folderId: FOLDER } = v4
const own = { HOME: home, XDG_STATE_HOME: '' }
const terminal = await openTerminal({ SANDBOX, FRAMEIO_TOKEN, ACCOUNT, FOLDER, ...own }, COLUMNS)
const shown = await terminal.run(COMMAND, TAKE)
const lines = shown.map(line => line.replaceAll(home, '~'))
const title = 'A terminal: frameio-upload films for V4, in files of ten seconds, until Ctrl-C'
await writeFile(target, draw(title, lines, COLUMNS))
await terminal.close()
await sandbox.close()
await rm(home, { recursive: true })
console.log(lines.join('\n'))
