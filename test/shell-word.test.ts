/**
 * The line that finishes a take can be pasted: a shell reads what was meant.
 */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { resumeLine, shellWord } from '../lib/cli/shell-word.ts'

t.test('a shell reads each word as it was', async t => {
  const words = [
    '/media/spool',
    'My Disk',
    "it's",
    '$HOME',
    'a;b',
    '~/spool',
    'Büro',
    '*',
    '',
    'a\nb',
  ]
  for (const word of words) {
    const read = execFileSync('sh', ['-c', `printf %s. ${shellWord(word)}`], { encoding: 'utf8' })
    t.equal(read, `${word}.`)
  }
})

t.test('what needs no quotes has none', async t => {
  const line = (dir: string) => resumeLine(dir, { upload: {} })
  t.equal(line('/media/card_1/spool.d'), 'frameio-upload --resume /media/card_1/spool.d')
  t.equal(line('/Volumes/My Disk'), "frameio-upload --resume '/Volumes/My Disk'")
  t.equal(line('-x'), 'frameio-upload --resume ./-x')
})

t.test('the line leads to where the take went, with all that was given for that', async t => {
  const upload = { baseUrl: 'https://frame.example/api', device: { clientVersion: '1.0.0' } }
  for (const [reach, account, wanted] of [
    [{ upload, credentials: '-a' }, undefined, '--device 1.0.0 --credentials ./-a --base-url'],
    [{ upload: {}, legacyToken: true }, 'a|1', "--v4 'a|1' --legacy-token"],
    [
      { upload: {}, legacyToken: false, tokenFile: 'my token' },
      'a',
      "--v4 a --token-file 'my token'",
    ],
    [{ upload: {}, tokenFile: '/dev/fd/63' }, undefined, ''],
    [{ upload: {}, tokenFile: '/dev/stdin' }, undefined, ''],
    [{ upload: {}, tokenFile: '/dev/shm/t' }, undefined, '--token-file /dev/shm/t'],
  ] as const) {
    const line = resumeLine('d', reach, account)
    const url = wanted.endsWith('--base-url') ? ' https://frame.example/api' : ''
    t.equal(line, `frameio-upload --resume d ${wanted}${url}`.trim())
  }
})
