#!/usr/bin/env node
/**
 * The command `frameio-upload`.
 */
import { readFileSync } from 'node:fs'
import { run } from './cli/run.ts'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))
const code = await run(process.argv.slice(2), version)
// Connections that are still being made would keep the process for seconds.
process.exit(code)
