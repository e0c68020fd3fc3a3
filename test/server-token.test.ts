/**
 * Server-to-server tokens: asked for before the first call, ahead of expiry, and after a 401.
 */
import t, { type Test } from 'tap'
import { FrameioV4Client, serverToServerToken } from '../lib/index.ts'
import type { Sandbox } from '../lib/sandbox/index.ts'
import { QUICK, sandboxFor, shown } from './support/sandboxes.ts'
import { failureOf, json, SECRET, serve } from './support/servers.ts'

const tokenOf = (
  { url: baseUrl, credentials: { clientId, clientSecret } }: Sandbox,
  options = {},
) => serverToServerToken({ clientId, clientSecret, baseUrl, ...options })

const clientOf = (t: Test, { url, v4 }: Sandbox, token: () => Promise<string>) => {
  const { accountId } = v4
  const client = new FrameioV4Client({ accountId, token, baseUrl: url, retry: QUICK })
  t.teardown(() => client.close())
  return client
}

const asked = ({ requests }: Sandbox) =>
  requests.filter(({ operation }) => operation === 'token').length

t.test('a client calls with a token that its secret gets, and asks once', async t => {
  const sandbox = await sandboxFor(t)
  const token = tokenOf(sandbox)
  const clients = [1, 2].map(() => clientOf(t, sandbox, token))
  for (const client of clients) t.match(await client.whoAmI(), { id: String })
  t.equal(asked(sandbox), 1)
  t.ok(token.renewAt > performance.now() + 86_000_000, 'a day, but for five minutes')
})

t.test('after a 401 there is another', async t => {
  const sandbox = await sandboxFor(t)
  const client = clientOf(t, sandbox, tokenOf(sandbox))
  await client.whoAmI()
  sandbox.renewToken()
  t.match(await client.whoAmI(), { id: String })
  t.equal(asked(sandbox), 2)
})

t.test('it is renewed ahead of expiry, and the old one serves meanwhile', async t => {
  const v4 = { rateLimit: { limit: 1_000, window: 1_000 } }
  const sandbox = await sandboxFor(t, { tokenLifetime: 1, v4 })
  const client = clientOf(t, sandbox, tokenOf(sandbox))
  while (asked(sandbox) < 3) await client.whoAmI()
  t.strictSame(
    sandbox.requests.filter(({ status }) => status === 401),
    [],
  )
})

t.test('a client that Adobe refuses ends the matter, without its secret', async t => {
  const sandbox = await sandboxFor(t)
  const client = clientOf(t, sandbox, tokenOf(sandbox, { clientSecret: SECRET }))
  const error = await failureOf(client.whoAmI())
  t.match(error, {
    code: 'ERR_UNAUTHORIZED',
    statusCode: 400,
    message:
      'Getting a server-to-server token failed: Adobe answered 400 (invalid_client); check clientId, clientSecret and scope in the Adobe Developer Console',
  })
  t.notMatch(shown(error), SECRET)
  t.equal(asked(sandbox), 1)
})

t.test('what may pass is tried again', async t => {
  const sandbox = await sandboxFor(t, {
    faults: [
      { on: 'token', do: { status: 503 } },
      { on: 'token', nth: 2, do: { reset: 'after' } },
      { on: 'token', nth: 3, do: { status: 403, body: '<html>' } },
    ],
  })
  t.match(await clientOf(t, sandbox, tokenOf(sandbox)).whoAmI(), { id: String })
  t.equal(asked(sandbox), 4)
})

t.test('it says who asks, for what, and takes nothing but a token', async t => {
  const server = await serve(t, res => json(res, 200, { token_type: 'bearer' }))
  const token = serverToServerToken({ clientId: 'c', clientSecret: 's&1', baseUrl: server.url })
  t.match(await failureOf(token()), { code: 'ERR_BAD_RESPONSE', message: /an access_token/ })
  t.equal(server.requests[0]?.url, '/ims/token/v3')
  t.strictSame(Object.fromEntries(new URLSearchParams(server.requests[0]?.body.toString())), {
    grant_type: 'client_credentials',
    client_id: 'c',
    client_secret: 's&1',
    scope: 'openid,AdobeID,frame.s2s.all',
  })
})

t.test('options are checked', t => {
  const right = { clientId: 'c', clientSecret: 's' }
  const refused = (options: object, option: string) =>
    t.throws(() => serverToServerToken({ ...right, ...options }), {
      code: 'ERR_INVALID_OPTION',
      option,
    })
  refused({ clientId: '' }, 'clientId')
  refused({ clientSecret: undefined }, 'clientSecret')
  refused({ scope: '' }, 'scope')
  refused({ baseUrl: 'http://adobe.example' }, 'baseUrl')
  refused({ dispatcher: {} }, 'dispatcher')
  refused({ secret: 's' }, 'secret')
  t.end()
})
