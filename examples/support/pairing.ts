/**
 * Makes the other picture in examples/command.md, from a real run against a sandbox: a device is paired,
 * films until Ctrl-C, and is let go. Somebody enters its code after a few seconds.
 *
 *   npm run build && npx tsx examples/support/pairing.ts examples/pairing.svg
 */
import { writeFile } from 'node:fs/promises'
import { startSandbox } from 'frameio-realtime-upload/sandbox'
import { draw, openTerminal } from './screen.ts'

const FILE = '--credentials cam-a.json --base-url $SANDBOX'
const FILM = [
  `frameio-upload --device 1.0.0 ${FILE} --name A001.mp4 -- \\`,
  '    ffmpeg -v error -re -f lavfi -i testsrc2=size=1920x1080:rate=30 \\',
  '    -c:v libx264 -preset ultrafast -g 30 -b:v 30M -minrate 30M -bufsize 30M \\',
  '    -f mp4 -movflags frag_keyframe+empty_moov pipe:1',
]
/** Seconds until somebody has typed in the code, and until Ctrl-C. */
const [TYPING, TAKE] = [4, 8]

const [target = 'pairing.svg'] = process.argv.slice(2)
const sandbox = await startSandbox({ pairing: { interval: 1 } })
const { clientSecret } = sandbox.credentials
const terminal = await openTerminal({ SANDBOX: sandbox.url, FRAMEIO_CLIENT_SECRET: clientSecret })
setTimeout(() => {
  const [code = ''] = sandbox.devices.waiting
  sandbox.devices.enter(code, { name: 'Cam A' })
}, TYPING * 1_000)
const lines = [
  ...(await terminal.run([`frameio-upload pair ${FILE}`])),
  '',
  ...(await terminal.run(FILM, TAKE)),
  '',
  ...(await terminal.run([`frameio-upload devices ${FILE}`])),
  '',
  ...(await terminal.run([`frameio-upload unpair ${FILE}`])),
]
const title = 'A terminal: a device is paired, films until Ctrl-C, and is let go'
await writeFile(target, draw(title, lines))
await terminal.close()
await sandbox.close()
console.log(lines.join('\n'))
