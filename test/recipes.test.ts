/**
 * Every recipe of examples/command.md, as it stands: the test gives them `frameio-upload`, and an
 * `ffmpeg` that has a test pattern for a camera, a screen and a microphone.
 */
import { execFile, spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { decode, findFfmpeg } from '../examples/support/ffmpeg.ts'
import { CLI } from './support/command.ts'
import { sandboxFor } from './support/sandboxes.ts'

t.setTimeout(600_000)
const run = promisify(execFile)

const recipes = [
  ...(await readFile('examples/command.md', 'utf8')).matchAll(
    /## (.+?)\n[\s\S]*?```sh\n([\s\S]*?)```/g,
  ),
].map(([, title = '', script = '']) => ({ title, script }))
const [, FRAGMENTS = ''] =
  /^FRAGMENTS='(.+)'$/m.exec(await readFile('examples/command.md', 'utf8')) ?? []

// By its path: on the PATH of the recipes there is another.
const ffmpeg = spawnSync('sh', ['-c', `command -v '${await findFfmpeg()}'`], {
  encoding: 'utf8',
}).stdout.trim()
const folder = t.testdir()

/** An ffmpeg for which these inputs are others, and end after a second. */
const standIn = `#!${process.execPath}
const { spawnSync } = require('node:child_process')
const film = ['-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30']
let args = process.argv.slice(2).join('\\0')
const swap = (input, other) => { args = args.replace(input.join('\\0'), other.join('\\0')) }
swap(['-f', 'x11grab', '-framerate', '30', '-i', ':0.0'], [...film, '-t', '1'])
swap(['-rtsp_transport', 'tcp', '-i', 'rtsp://camera.local/stream'], ['-t', '1', '-i', 'camera.ts'])
swap(['-f', 'alsa', '-i', 'default'], ['-f', 'lavfi', '-i', 'sine', '-t', '1'])
process.exit(spawnSync('${ffmpeg}', args.split('\\0'), { stdio: 'inherit' }).status)
`

t.before(async () => {
  await mkdir(join(folder, 'frames'))
  const film = ['-v', 'error', '-f', 'lavfi', '-i', 'testsrc2=size=320x180:rate=30', '-t', '1']
  await run(ffmpeg, [...film, '-c:v', 'libx264', '-pix_fmt', 'yuv420p', 'camera.ts'], {
    cwd: folder,
  })
  await run(ffmpeg, [...film, 'frames/%04d.png'], { cwd: folder })
  const commands = {
    ffmpeg: standIn,
    'frameio-upload': `#!/bin/sh\nexec '${process.execPath}' '${CLI}' $BASE "$@"\n`,
  }
  await mkdir(join(folder, 'bin'))
  for (const [name, script] of Object.entries(commands)) {
    await writeFile(join(folder, 'bin', `${name}`), script)
    await chmod(join(folder, 'bin', name), 0o755)
  }
  // A package.json of its own: the ffmpeg above is a script of the older kind.
  await writeFile(join(folder, 'bin', 'package.json'), '{}')
})

t.equal(recipes.length, 7, 'all recipes were found')
for (const { title, script } of recipes) {
  t.test(title, async t => {
    const sandbox = await sandboxFor(t)
    const isLocal = script.includes('--sandbox')
    const env = {
      ...process.env,
      PATH: `${join(folder, 'bin')}${delimiter}${process.env.PATH}`,
      ...(!isLocal && { FRAMEIO_TOKEN: sandbox.token, BASE: `--base-url ${sandbox.url}` }),
      FOLDER: sandbox.parentId,
      FRAGMENTS,
    }
    await run('sh', ['-c', script], { cwd: folder, env, timeout: 60_000 })
    if (isLocal) {
      const [id = ''] = await readdir(join(folder, 'out'))
      const kept = await readFile(join(folder, 'out', id, 'A001.mp4'))
      t.ok(kept.equals(await readFile(join(folder, 'A001.mp4'))))
      return
    }
    const created = sandbox.requests.find(({ operation }) => operation === 'create')
    t.equal(created?.status, 200)
    const register = sandbox.requests.find(({ operation }) => operation === 'register')
    const asset = sandbox.asset(register?.assetId ?? '')
    await asset?.whenUploaded()
    t.equal(await decode(asset?.path ?? ''), '')
    if (script.includes('--json')) {
      const result = JSON.parse(await readFile(join(folder, 'result.json'), 'utf8'))
      t.match(result, { assetId: asset?.id, bytes: asset?.filesize })
    }
    if (script.includes('tee')) {
      t.equal((await readFile(join(folder, 'A001.mp4'))).length, asset?.filesize)
    }
  })
}
