#!/usr/bin/env node
/**
 * The command `frameio-upload`.
 */
import { readFileSync } from 'node:fs'

// Without a listener anyone who may send it opens Node's debugger, in a process that holds a token. So
// it comes first, before anything else is loaded.
process.on('SIGUSR1', () => {})

const { run } = await import('./cli/run.ts')
const { leave } = await import('./cli/leave.ts')
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const code = await run(process.argv.slice(2), version)
// Connections that are still being made would keep the process for seconds.
await leave(code)
