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
  t.equal(resumeLine('/media/card_1/spool.d'), 'frameio-upload --resume /media/card_1/spool.d')
  t.equal(resumeLine('/Volumes/My Disk'), "frameio-upload --resume '/Volumes/My Disk'")
  t.equal(resumeLine('-x'), 'frameio-upload --resume ./-x')
})
