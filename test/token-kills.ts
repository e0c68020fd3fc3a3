/**
 * As many refreshes as you like of one file of tokens, by two processes and by five that are killed in
 * between: `npx tsx test/token-kills.ts 200`. `SEED=…` takes the same moments again. Exits with 1 where a
 * refresh token was sent twice, the file was torn, or "pair again" said without an answer lost.
 */
import { useTokens } from './support/token-users.ts'

const refreshes = Number(process.argv[2] ?? 200)
const seed = Number(process.env.SEED ?? Date.now() % 2 ** 31)
for (const processes of [2, 5]) {
  for (const kill of [false, true]) {
    const { said, violation } = await useTokens({
      processes,
      refreshes,
      kill,
      seed,
      onRefresh: () => process.stdout.write('.'),
    })
    console.log(`\n${said}, SEED=${seed}`)
    if (violation === undefined) continue
    console.error(violation)
    process.exitCode = 1
  }
}
