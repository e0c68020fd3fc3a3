/**
 * The package as people get it: packed, installed into a folder of its own, and used from each kind of
 * module, type checker and bundler that is common.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { build, transform } from 'esbuild'
import t from 'tap'
import webpack from 'webpack'
import * as library from '../lib/index.ts'
import * as sandbox from '../lib/sandbox/index.ts'

/** A guard against hanging, and no more. */
t.setTimeout(600_000)

/** Runs a program without what tap has every Node load, whatever its environment was to be. */
const run = (file: string, args: readonly string[], options: { cwd?: string } = {}) =>
  promisify(execFile)('env', ['-u', 'NODE_OPTIONS', file, ...args], options)
const repo = fileURLToPath(new URL('..', import.meta.url))
const { dependencies, version } = JSON.parse(await readFile(join(repo, 'package.json'), 'utf8'))

/** Uploads three bytes, and says so. The types must be neither missing nor `any`. */
const PROGRAM = `\
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  FrameioClient,
  RealtimeUpload,
  type RealtimeUploadOptions,
  type SourceEnd,
  uploadFrom,
} from 'frameio-realtime-upload'
import { type Fault, startSandbox } from 'frameio-realtime-upload/sandbox'

const main = async () => {
  const fault: Fault = { on: 'put', do: { status: 503 } }
  const sandbox = await startSandbox({ faults: [fault] })
  const client = new FrameioClient({ token: sandbox.token, baseUrl: sandbox.url })
  const { id: assetId, filetype } = sandbox.createAsset({ name: 'a.mp4', filetype: 'video/mp4' })
  const options: RealtimeUploadOptions = { client, assetId, filetype, retry: { minDelay: 1 } }
  // @ts-expect-error: a number
  const wrong: RealtimeUploadOptions = { ...options, partSize: '5' }
  const upload = new RealtimeUpload({ ...options, assetName: undefined })
  let stored = 0
  upload.on('part', ({ size, attempts }) => {
    stored += size * attempts
  })
  // @ts-expect-error: a part has no name
  upload.on('part', ({ name }) => name)
  const { bytes, source } = await uploadFrom(Readable.from([Buffer.from('abc')]), upload)
  const end: SourceEnd = source
  // @ts-expect-error: the inside of an upload is nobody's business
  const inside = upload.limits
  console.log([bytes, stored, end.ok, wrong.partSize, inside, typeof pipeline].join(' '))
  await client.close()
  await sandbox.close()
}

main()
`
const SAYS = '3 6 true 5  function\n'

// Elsewhere: what is missing here would be found in the repository's own modules.
const scratch = await realpath(await mkdtemp(join(tmpdir(), 'package-')))
t.teardown(() => rm(scratch, { recursive: true }))
const folder = join(scratch, 'app')
const installed = join(folder, 'node_modules', 'frameio-realtime-upload')
let packed: string[] = []

/** Runs a program of the folder with Node, and says what it printed. */
const node = async (...args: string[]): Promise<string> => {
  const { stdout } = await run(process.execPath, args, { cwd: folder })
  return stdout
}

/** What a program that fails has to say. */
const complaint = (...args: string[]): Promise<string> =>
  node(...args).then(
    () => 'nothing',
    ({ stderr }) => stderr,
  )

t.before(async () => {
  await mkdir(folder)
  // What is packed is built already, as for the tests of the command.
  const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await run('npm', pack, { cwd: repo })
  const [{ filename, files }] = JSON.parse(stdout)
  packed = files.map(({ path }: { path: string }) => path)
  const here = Object.keys(dependencies).map(name => [name, `file:${repo}node_modules/${name}`])
  const needs = { ...Object.fromEntries(here), 'frameio-realtime-upload': `file:${filename}` }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ dependencies: needs }))
  const quiet = ['--offline', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']
  await run('npm', ['install', ...quiet], { cwd: folder })
  await mkdir(join(folder, 'node_modules', '@types'))
  await symlink(join(repo, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
})

t.test('what is shipped', async t => {
  t.test('types are one file an entry, and show nothing from inside', async t => {
    const types = packed.filter(name => name.endsWith('.d.ts'))
    t.strictSame(types.toSorted(), ['dist/index.d.ts', 'dist/sandbox/index.d.ts'])
    for (const name of types) {
      const text = await readFile(join(installed, name), 'utf8')
      t.notMatch(text, /LIMITS_DOOR|LimitsDoor|apiOf|signalOf/)
      t.notMatch(text, /(?:from|import\()\s*['"]\./, `${name} stands alone`)
    }
  })

  t.test('types say which names there are, and no others', async t => {
    const named = async (file: string, list: RegExp) => {
      const text = await readFile(file, 'utf8')
      return [...text.matchAll(list)]
        .flatMap(([, names = '']) => names.split(','))
        .map(name => name.trim())
        .filter(Boolean)
        .toSorted()
    }
    for (const [entry, module] of [
      ['index', library],
      ['sandbox/index', sandbox],
    ] as const) {
      const types = join(installed, 'dist', `${entry}.d.ts`)
      const values = await named(types, /^export \{([^}]*)\}/gm)
      t.strictSame(values, Object.keys(module).toSorted(), `${entry}: what can be run`)
      const shown = await named(types, /^export type \{([^}]*)\}/gm)
      const meant = await named(join(repo, 'lib', `${entry}.ts`), /^export type \{([^}]*)\}/gm)
      t.strictSame(shown, meant, `${entry}: types`)
      t.notMatch(await readFile(types, 'utf8'), /^export (?!(?:type )?\{)/m)
    }
  })

  t.test('an editor has every docstring to show', async t => {
    const types = await readFile(join(installed, 'dist/index.d.ts'), 'utf8')
    for (const file of ['upload/options.ts', 'upload/events.ts', 'net/retry.ts']) {
      const source = await readFile(join(repo, 'lib', file), 'utf8')
      const [, ...options] = source.split(/^export interface (?:RealtimeUploadO|Progress|RetryO)/m)
      const [body = ''] = options.join('').split(/^\}/m)
      const docstrings = body.match(/\/\*\* .+ \*\//g) ?? []
      t.ok(docstrings.length > 1, file)
      for (const docstring of docstrings) t.ok(types.includes(docstring), docstring)
    }
    t.match(types, 'When `finish` fires, Frame.io has every byte.')
  })

  t.test('source maps lead to the source, which they hold', async t => {
    const scripts = packed.filter(name => /^dist\/.*\.js$/.test(name))
    t.ok(scripts.length > 2)
    for (const name of scripts) {
      const map = JSON.parse(await readFile(join(installed, `${name}.map`), 'utf8'))
      t.equal(map.sourcesContent?.length, map.sources.length, name)
    }
    const wrong = "new (await import('frameio-realtime-upload')).RealtimeUpload({ assetId: 1 })"
    const failed = complaint('--enable-source-maps', '--input-type=module', '--eval', wrong)
    t.match(await failed, /ERR_INVALID_OPTION[\s\S]*lib\/upload\/options\.ts:\d+/)
  })

  t.test('files that a file names are there', async t => {
    const { bin, main, types, exports, typesVersions } = JSON.parse(
      await readFile(join(installed, 'package.json'), 'utf8'),
    )
    const named = JSON.stringify({ bin, main, types, exports, typesVersions }).match(/dist\/[^"]+/g)
    t.ok((named?.length ?? 0) > 6)
    for (const name of named ?? []) t.ok(existsSync(join(installed, name)), name)
  })

  t.test('the command is there', async t => {
    const { stdout } = await run(join(folder, 'node_modules/.bin/frameio-upload'), ['--version'])
    t.equal(stdout, `${version}\n`)
  })
})

t.test('JavaScript', async t => {
  const { code } = await transform(PROGRAM, { loader: 'ts', format: 'esm' })
  await writeFile(join(folder, 'program.mjs'), code)

  t.test('as an ES module', async t => {
    t.equal(await node('program.mjs'), SAYS)
  })

  t.test('by require', async t => {
    const { code } = await transform(PROGRAM, { loader: 'ts', format: 'cjs' })
    t.match(code, /require\("frameio-realtime-upload\/sandbox"\)/)
    await writeFile(join(folder, 'program.cjs'), code)
    t.equal(await node('program.cjs'), SAYS)
  })

  t.test('while the date is faked', async t => {
    const faked = "import { mock } from 'node:test'\nmock.timers.enable({ apis: ['Date'] })\n"
    await writeFile(join(folder, 'faked.mjs'), `${faked}${code}`)
    t.equal(await node('faked.mjs'), SAYS)
  })

  t.test('from inside, not at all', async t => {
    const [chunk = ''] = (await readdir(join(installed, 'dist'))).filter(name => /chunk/.test(name))
    const failed = complaint('--eval', `require('frameio-realtime-upload/dist/${chunk}')`)
    t.match(await failed, /ERR_PACKAGE_PATH_NOT_EXPORTED/)
  })

  t.test('in a bundle', async t => {
    const entry = join(folder, 'program.mjs')
    const document = await readFile(join(repo, 'examples/consumers.md'), 'utf8')
    const [, js = ''] = /--banner:js="(.+)"/.exec(document) ?? []
    const bundles = {
      'of esbuild as CommonJS': { format: 'cjs', outfile: 'bundle/esbuild.cjs' },
      'of esbuild as an ES module, which needs a require': {
        format: 'esm',
        outfile: 'bundle/esbuild.mjs',
        banner: { js },
      },
      'of esbuild without its packages': {
        format: 'esm',
        packages: 'external',
        outfile: 'bundle/external.mjs',
      },
    } as const
    for (const [name, options] of Object.entries(bundles)) {
      t.test(name, async t => {
        const outfile = join(folder, options.outfile)
        const shared = { bundle: true, platform: 'node', target: 'node20' } as const
        const { warnings } = await build({ entryPoints: [entry], ...shared, ...options, outfile })
        t.strictSame(warnings, [])
        t.equal(await node(outfile), SAYS)
      })
    }

    t.test('of webpack', async t => {
      const output = { path: join(folder, 'bundle'), filename: 'webpack.cjs' }
      const compiler = webpack({
        mode: 'production',
        context: folder,
        target: 'node20',
        entry,
        output,
        optimization: { minimize: false }, // It takes long, and is not ours.
      })
      const stats = await promisify(compiler.run.bind(compiler))()
      t.equal(stats?.toString({ all: false, errors: true, warnings: true }), '')
      t.equal(await node(join(output.path, output.filename)), SAYS)
    })
  })
})

/** Compiles PROGRAM in a folder of its own. What the compiler has to say: '' where all is well. */
const compile = async (
  name: string,
  compiler: string,
  type: 'module' | 'commonjs',
  options: object,
): Promise<string> => {
  const home = join(folder, name)
  await mkdir(home)
  const shared = { target: 'es2022', lib: ['es2022'], skipLibCheck: false, rootDir: '.' }
  const compilerOptions = { ...shared, types: [], ...options }
  await writeFile(join(home, 'package.json'), JSON.stringify({ type }))
  await writeFile(join(home, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*'] }))
  await writeFile(join(home, 'program.ts'), PROGRAM)
  return run(process.execPath, [compiler, '-p', home]).then(
    ({ stdout }) => stdout,
    ({ stdout, stderr }) => `${stdout}${stderr}` || 'failed',
  )
}

t.test('TypeScript', async t => {
  const compilers = {
    7: join(repo, 'node_modules/@typescript/native/bin/tsc'),
    6: join(repo, 'node_modules/typescript/bin/tsc6'),
  }
  const STRICT = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true }
  const LOOSE = { strict: false }
  const esm = (module: string) => ({ type: 'module', module }) as const
  const cjs = (module: string) => ({ type: 'commonjs', module }) as const

  for (const [compiler, { type, ...options }] of [
    [7, { ...esm('nodenext'), ...STRICT }],
    [7, { ...esm('nodenext'), ...LOOSE }],
    [7, { ...cjs('nodenext'), ...STRICT }],
    [7, { ...esm('node16'), ...LOOSE }],
    [7, { ...esm('esnext'), moduleResolution: 'bundler', ...STRICT }],
    [7, { ...esm('esnext'), moduleResolution: 'bundler', ...LOOSE }],
    [6, { ...esm('node16'), ...STRICT }],
    [6, { ...cjs('commonjs'), moduleResolution: 'node10', ignoreDeprecations: '6.0', ...STRICT }],
  ] as const) {
    const {
      module,
      moduleResolution = module,
      strict,
    } = { moduleResolution: undefined, ...options }
    const name = `${compiler}, ${moduleResolution}, ${type}, ${strict ? 'strict' : 'loose'}`
    t.test(name, async t => {
      const home = name.replaceAll(', ', '-')
      t.equal(await compile(home, compilers[compiler], type, options), '')
      t.equal(await node(join(home, 'program.js')), SAYS)
    })
  }

  t.test('where it takes no require of an ES module, it says so', async t => {
    const said = await compile('no-require', compilers[7], 'commonjs', cjs('node16'))
    t.match(said, /TS1479: .* is a CommonJS module .*"frameio-realtime-upload"/)
    t.match(said, /dynamic 'import\("frameio-realtime-upload\/sandbox"\)'/)
  })
})

t.test('what the command is asked about itself needs no engine', async t => {
  // Loading it takes longer than all the rest: here there is none to load, but for the media types.
  await run('tar', ['-xf', join(folder, `frameio-realtime-upload-${version}.tgz`)], {
    cwd: scratch,
  })
  const home = join(scratch, 'package')
  await mkdir(join(home, 'node_modules'))
  await symlink(join(repo, 'node_modules/mime'), join(home, 'node_modules/mime'))
  const cli = join(home, 'dist/cli.js')
  t.equal(await node(cli, '--version'), `${version}\n`)
  t.match(await node(cli, '--help'), /Exit codes/)
  t.match(await complaint(cli, '--bogus'), /^frameio-upload: .*--bogus/)
})
