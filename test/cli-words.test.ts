/**
 * What the built command refuses, and in which words: each as whoever types it at three in the morning
 * reads it, with what to type in its place.
 */
import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { type CommandOptions, run } from './support/command.ts'

/** A guard against hanging, and no more. */
t.setTimeout(600_000)
t.jobs = 3

const TOKEN = { FRAMEIO_TOKEN: 'token' }
/** Enough to begin with. */
const TO = ['--asset', 'a1', '--name', 'a.mp4']

const HELP = '  --help shows what there is\n'

type Row = readonly [args: readonly string[], message: string, env?: CommandOptions['env']]

const TABLE: Record<string, readonly Row[]> = {
  'sizes that are out of bounds, in the unit that was typed': [
    [
      ['--part-size', '5MB'],
      '--part-size must be at least 5MiB (5.25MB); received 5MB (5,000,000 bytes)',
    ],
    [['--part-size', '4M'], '--part-size must be at least 5MiB; received 4M (4,194,304 bytes)'],
    [['--part-size', '6G'], '--part-size must be at most 5GiB; received 6G (6,442,450,944 bytes)'],
    [
      ['--max-size', '6TB'],
      '--max-size must be at most 5TiB (5.49TB); received 6TB (6,000,000,000,000 bytes)',
    ],
    [['--max-size', '0'], '--max-size must be at least 1 byte; received 0'],
    [['--memory', '0'], '--memory must be at least 1 byte; received 0'],
    [
      ['--expect', '9d@1GB/s'],
      '--expect must be at most 5TiB; received 9d@1GB/s (777,600,000,000,000 bytes)',
    ],
    [['--concurrency', '0'], "--concurrency must be an integer from 1 to 1000; received '0'"],
    [['--concurrency', 'many'], "--concurrency must be an integer from 1 to 1000; received 'many'"],
  ],
  'values that make no sense': [
    [
      ['--part-size', '16 apples'],
      "--part-size must be a size such as 16MiB, 500MB or 1GiB; received '16 apples'",
    ],
    [
      ['--give-up-after', '10'],
      "--give-up-after must be a time such as 90s, 10m, 2h or never; received '10'",
    ],
    [['--integrity', 'sha'], "--integrity must be md5; received 'sha'"],
    [
      ['--on-producer-failure', 'cry'],
      "--on-producer-failure must be finalise or abort; received 'cry'",
    ],
    [['--name', ''], '--name must not be empty: is a variable not set?'],
    [['--asset', ''], '--asset must not be empty: is a variable not set?'],
    [['--name'], '--name needs a value: --name FILE'],
    [
      ['--memory', '-5'],
      '--memory needs a value, and -5 looks like an option; if -5 is meant: --memory=-5',
    ],
    [
      ['--asset', '--json'],
      '--asset needs a value, and --json looks like an option; if --json is meant: --asset=--json',
    ],
    [['--json=yes'], "--json takes no value; received 'yes'"],
    [['--device', 'x'], "--device must be a semantic version such as 1.0.0; received 'x'"],
    [['--filetype', 'mp4'], "--filetype must be a media type such as video/mp4; received 'mp4'"],
  ],
  'options that there are none of, with what may have been meant': [
    [['--partsize', '16M'], "Unknown option '--partsize': did you mean --part-size?"],
    [['--partSize=16M'], "Unknown option '--partSize': did you mean --part-size?"],
    [['-part-size', '16M'], "Unknown option '-part-size': did you mean --part-size?"],
    [['-p', 'x'], "Unknown option '-p': did you mean --parent, --part-size, or --producer-log?"],
    [['--size', '1G'], "Unknown option '--size': did you mean --part-size or --max-size?"],
    [['-help'], "Unknown option '-help': did you mean --help?"],
    [
      ['-crf', '22'],
      "Unknown option '-crf'; what is for the program to run stands behind -- and its name",
    ],
    [
      ['--token=abc'],
      'There is no --token, for arguments are visible to every process: set FRAMEIO_TOKEN, or give --token-file FILE',
    ],
  ],
  'words that belong to nothing': [
    [
      ['clip.mp4'],
      "Unexpected argument 'clip.mp4': to upload that file give it as the input: < clip.mp4",
    ],
    [
      ['ffmpeg', '-i', 'x'],
      "Unexpected argument 'ffmpeg': a program to run stands behind --: -- ffmpeg; a file is given as the input: < ffmpeg",
    ],
    [['-'], "Unexpected argument '-': leave it out, what comes through stdin is read anyway"],
    [[''], "Unexpected argument '': is a variable not set?"],
    [['--'], '-- must be followed by a program to run'],
    [['--', ''], '-- must be followed by a program to run'],
  ],
}

for (const [name, rows] of Object.entries(TABLE)) {
  t.test(name, async t => {
    for (const [args, message] of rows) {
      const { code, stdout, stderr } = await run([...TO, ...args], { env: TOKEN })
      // What the library refuses comes without the second line.
      t.equal(stderr.replace(HELP, ''), `frameio-upload: ${message}\n`)
      t.equal(stdout, '')
      t.equal(code, 2, args.join(' '))
    }
  })
}

t.test('targets that do not fit together', async t => {
  for (const [args, message] of [
    [[], 'Give --asset ID, or --parent ID and --name FILE, or --sandbox'],
    [['--sandbox'], '--sandbox needs --name FILE, or --extension .EXT'],
    [
      ['--sandbox', '--extension', 'mp4'],
      "--extension must begin with its dot, such as .mp4; received 'mp4'",
    ],
    [
      ['--', 'ffmpeg', '-i', 'x', '--asset', 'a1'],
      'Give --asset ID, or --parent ID and --name FILE, or --sandbox\n  --asset behind -- is for the program; if it is meant for this command, put it before',
    ],
  ] as const) {
    const { code, stderr } = await run(args, { env: TOKEN })
    t.equal(stderr, `frameio-upload: ${message}\n  --help shows what there is\n`)
    t.equal(code, 2)
  }
})

t.test('a token with something around it, without showing it', async t => {
  const file = join(t.testdir(), 'token')
  for (const [token, fault] of [
    ['Bearer fio-u-secret', 'what stands before it, "Bearer ", must go'],
    ['bearer  fio-u-secret', 'what stands before it, "Bearer ", must go'],
    ['Authorization: Bearer fio-u-secret', 'what stands before it, "Bearer ", must go'],
    ['"fio-u-secret"', 'the quotes around it must go'],
    ['{"access_token":"fio-u-secret"}', 'it looks like JSON, or a page'],
    ['fio-u-secret and more', 'it has a space or a line break, and a token has none'],
    ['fio-u-secret\u00e9', 'it has a character that no token has'],
  ] as const) {
    const set = await run(TO, { env: { FRAMEIO_TOKEN: token } })
    const says = (from: string) =>
      `frameio-upload: ${from} must hold the token alone: ${fault}\n  --help shows what there is\n`
    t.match(set, { code: 2, stderr: says('FRAMEIO_TOKEN') })
    await writeFile(file, `${token}\n`)
    t.match(await run([...TO, '--token-file', file]), { code: 2, stderr: says(file) })
  }
})

t.test('a program that cannot be started', async t => {
  const dir = t.testdir({ plain: 'echo x\n', script: '#!/no/such/shell\n' })
  const [plain, script] = [join(dir, 'plain'), join(dir, 'script')]
  await chmod(script, 0o755)
  for (const [program, reason] of [
    ['ffmpg', 'ffmpg was not found on the PATH (spawn ffmpg ENOENT)'],
    [
      'ffmpeg -i x',
      "there is no program 'ffmpeg -i x': give its name and its arguments apart, without quotes around all of them (spawn ffmpeg -i x ENOENT)",
    ],
    [`${dir}/none`, `there is no ${dir}/none (spawn ${dir}/none ENOENT)`],
    [script, `what the first line (#!) of ${script} names is not there (spawn ${script} ENOENT)`],
    [
      plain,
      `${plain} may not be run: is it a program, and executable (chmod +x)? (spawn ${plain} EACCES)`,
    ],
  ] as const) {
    const out = await run(['--sandbox', join(dir, 'out'), '--name', 'a.mp4', '--', program])
    t.ok(
      out.stderr.startsWith(`frameio-upload: The program could not be started: ${reason}\n`),
      out.stderr,
    )
    t.equal(out.code, 1)
  }
})

t.test('the help explains every word of the line that is drawn, and the units', async t => {
  const { stdout } = await run(['--help'])
  for (const word of ['in', 'up', 'headroom', 'behind', 'retries', 'lanes', 'buffered']) {
    t.match(stdout, new RegExp(`^ {2}${word} +\\w`, 'm'), word)
  }
  t.match(stdout, /16M or 16MiB.*kB, MB, GB and TB by 1000/)
  t.match(stdout, /--memory SIZE {10}held for parts at most \(\d+(?:MiB|GiB)\)/)
})

t.test('sizes by letter are what dd and its kind make of them', async t => {
  const dir = t.testdir()
  const args = ['--sandbox', dir, '--name', 'a.mp4', '--part-size', '6M', '--memory', '64M']
  const { code, stdout } = await run([...args, '--max-size', '1G'], {
    input: Buffer.alloc(13 * 2 ** 20),
  })
  t.equal(code, 0)
  t.match(stdout, /13631488 bytes {2}3 parts/)
})
