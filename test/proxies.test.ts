import t from 'tap'
import { readProxies } from '../lib/net/proxies.ts'

const API = 'https://api.frame.io/v2'
const LOCAL = 'http://127.0.0.1:8080/parts/1'

/** The URL of the proxy for a URL; undefined where there is none. */
const proxyFor = (env: Record<string, string>, url = API) => readProxies(env)?.(new URL(url))?.url

t.test('a scheme goes before all, lower case before capitals, and empty means none', async t => {
  for (const [env, expected, url] of [
    [{}, undefined],
    [{ HTTPS_PROXY: 'http://a:1' }, 'http://a:1'],
    [{ HTTPS_PROXY: 'http://a:1', https_proxy: 'http://b:2' }, 'http://b:2'],
    [{ HTTPS_PROXY: 'http://a:1', https_proxy: '' }, undefined],
    [{ HTTPS_PROXY: 'http://a:1', ALL_PROXY: 'http://b:2' }, 'http://a:1'],
    [{ ALL_PROXY: 'http://b:2' }, 'http://b:2'],
    [{ ALL_PROXY: 'http://b:2', all_proxy: 'http://c:3' }, 'http://c:3'],
    [{ HTTP_PROXY: 'http://a:1', ALL_PROXY: 'http://b:2' }, 'http://b:2'],
    [{ HTTP_PROXY: 'http://a:1' }, 'http://a:1'],
    [{ HTTP_PROXY: 'http://a:1', HTTPS_PROXY: 'http://b:2' }, 'http://a:1', LOCAL],
    [{ HTTPS_PROXY: 'http://b:2' }, undefined, LOCAL],
    [{ ALL_PROXY: 'http://b:2' }, 'http://b:2', LOCAL],
  ] as const) {
    t.equal(proxyFor(env, url), expected, JSON.stringify(env))
  }
})

t.test('a scheme is assumed, and what is secret is taken out', async t => {
  for (const [value, expected] of [
    ['proxy:3128', { kind: 'http', url: 'http://proxy:3128', host: 'proxy:3128' }],
    ['localhost:3128', { kind: 'http', url: 'http://localhost:3128' }],
    ['10.0.0.1', { kind: 'http', url: 'http://10.0.0.1', host: '10.0.0.1' }],
    ['[::1]:3128', { kind: 'http', url: 'http://[::1]:3128' }],
    [' https://proxy:1/ ', { kind: 'http', url: 'https://proxy:1' }],
    ['socks5://proxy:1080', { kind: 'socks', url: 'socks5://proxy:1080' }],
    ['socks5h://proxy', { kind: 'socks', url: 'socks5://proxy', host: 'proxy' }],
    ['me:hush@proxy:1', { url: 'http://proxy:1', user: 'me', password: 'hush' }],
    ['http://me%40x:p%3A%2F%25@proxy:1', { host: 'proxy:1', user: 'me@x', password: 'p:/%' }],
    ['http://me@proxy:1', { user: 'me', password: '' }],
  ] as const) {
    t.match(readProxies({ ALL_PROXY: value })?.(new URL(API)), expected, value)
  }
})

t.test('what is malformed is refused by the name of its variable, and never shown', async t => {
  for (const value of [
    'http://me:hush@:1',
    'http://me:hush#1@proxy:1',
    'me:hush/1@proxy:1',
    'me:12/hush@proxy:1',
    'me:12?hush@proxy:1',
    'me:12#hush@proxy:1',
    'me:hush%@proxy:1',
    'http://me:hush@proxy:99999',
    'http://me:hush@pro xy:1',
    'socks5://',
    'http://',
    'ftp://me:hush@proxy:1',
    'socks4://me:hush@proxy:1',
  ]) {
    for (const variable of ['HTTPS_PROXY', 'all_proxy']) {
      try {
        readProxies({ [variable]: value })
        t.fail(value)
      } catch (error) {
        t.match(error, { code: 'ERR_INVALID_OPTION', option: variable })
        t.match((error as Error).message, new RegExp(`^${variable} must be .*; received `))
        t.notMatch((error as Error).message, 'hush', value)
      }
    }
  }
})

t.test('NO_PROXY: names and what is below them, addresses, ports and networks', async t => {
  for (const [list, url, isExempt] of [
    ['', API, false],
    ['*', API, true],
    ['api.frame.io', API, true],
    ['frame.io', API, true],
    ['.frame.io', API, true],
    ['*.frame.io', API, true],
    ['FRAME.IO', API, true],
    ['rame.io', API, false],
    ['x.api.frame.io', API, false],
    ['other.test, frame.io', API, true],
    ['other.test frame.io', API, true],
    ['frame.io:443', API, true],
    ['frame.io:8443', API, false],
    ['frame.io:8443', 'https://frame.io:8443/', true],
    ['127.0.0.1', LOCAL, true],
    ['127.0.0.1:8080', LOCAL, true],
    ['127.0.0.1:80', LOCAL, false],
    ['127.0.0.0/8', LOCAL, true],
    ['10.0.0.0/8', LOCAL, false],
    ['127.0.0.0/33', LOCAL, false],
    ['127.0.0.0/8', API, false],
    ['::1', 'http://[::1]:8080/', true],
    ['[::1]', 'http://[::1]:8080/', true],
    ['[::1]:80', 'http://[::1]:8080/', false],
    ['fd00::/8', 'http://[fd00::1]/', true],
    ['fd00::/8', 'http://10.0.0.1/', false],
  ] as const) {
    for (const variable of ['NO_PROXY', 'no_proxy']) {
      const env = { all_proxy: 'http://proxy:1', [variable]: list }
      t.equal(proxyFor(env, url) === undefined, isExempt, `${list} for ${url}`)
    }
  }
})
