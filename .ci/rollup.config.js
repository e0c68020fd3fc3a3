/**
 * The types, one file an entry: what an entry does not export is not shipped.
 */
import { dts } from 'rollup-plugin-dts'

/** A file's header stands before nothing, or before another docstring, and would be shown as one. */
const withoutHeaders = {
  name: 'without-headers',
  renderChunk: code => code.replace(/^\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n(?:\n|(?=\/\*\*))/gm, ''),
}

const typesOf = entry => ({
  input: `lib/${entry}.ts`,
  output: {
    file: `dist/${entry}.d.ts`,
    // TypeScript 6 and later look for no types but those that they are told of.
    banner: '/// <reference types="node" />',
  },
  external: /^(?:node:|undici$)/,
  plugins: [dts({ tsconfig: 'tsconfig.build.json' }), withoutHeaders],
})

// Each for itself: entries of one build would share files.
export default [typesOf('index'), typesOf('sandbox/index')]
