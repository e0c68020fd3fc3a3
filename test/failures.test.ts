import t from 'tap'
import { adviceFor } from '../lib/cli/device/advice.ts'
import { adviceOn, messageOf } from '../lib/cli/failures.ts'
import * as v4 from '../lib/cli/v4/telling.ts'
import { RealtimeUploadError } from '../lib/errors.ts'
import { explained } from '../lib/v4/file-upload.ts'

const failed = (code: string) =>
  new RealtimeUploadError('ERR_NETWORK', 'Reading asset a1 failed', {
    cause: Object.assign(new Error('fetch'), { cause: Object.assign(new Error('it'), { code }) }),
  })

t.test('each fault of a certificate has advice of its own', async t => {
  for (const [code, advice] of [
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /NODE_EXTRA_CA_CERTS/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', /NODE_EXTRA_CA_CERTS/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /NODE_EXTRA_CA_CERTS/],
    ['CERT_HAS_EXPIRED', /Check the date of this machine/],
    ['CERT_NOT_YET_VALID', /Check the date of this machine/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /check --base-url/],
    ['ECONNREFUSED', /--give-up-after says how long/],
  ] as const) {
    t.match(adviceOn(failed(code)), advice, code)
  }
})

t.test('where no token was to be had it is said why, and no secret is suspected', async t => {
  const late = (cause?: Error) => {
    const text = 'Reading the device failed: the token function failed'
    return new RealtimeUploadError('ERR_UNAUTHORIZED', text, { cause, attempts: 3 })
  }
  const lost = late(new RealtimeUploadError('ERR_NETWORK', 'Refreshing failed: ECONNREFUSED'))
  const told = 'Reading the device failed: no token is to be had (Refreshing failed: ECONNREFUSED)'
  t.equal(messageOf(lost), told)
  t.match(adviceOn(lost, 'cam.json'), /--give-up-after/)
  t.match(adviceOn(lost), /^--give-up-after/)
  t.match(v4.adviceFor(lost, false), /^--give-up-after.*trying\.$/)
  t.equal(messageOf(explained(lost, 'It is kept')), `${told}. It is kept`)
  t.equal(adviceOn(late(new Error('EACCES')), 'cam.json'), undefined)
  t.match(adviceOn(late(), 'cam.json'), /--give-up-after/)
  t.match(adviceOn(late(new Error('holds no new token yet'))), /--token-file/)
})

t.test('a token that came too late is said in words of the command', async t => {
  const text =
    'Reading the device failed: the token function did not answer within apiTimeout (50 ms)'
  const late = new RealtimeUploadError('ERR_UNAUTHORIZED', text)
  t.equal(messageOf(late), 'Reading the device failed: no token was to be had within 50 ms')
})

t.test('of what V4 does not find it is said once what to check', async t => {
  const of404 = (advice: string) =>
    new RealtimeUploadError('ERR_ASSET_NOT_FOUND', `It failed: Frame.io answered 404; ${advice}`)
  const ids = of404('check the ids of account, folder and file')
  t.equal(messageOf(ids), 'It failed: Frame.io answered 404')
  t.equal(v4.adviceFor(ids, false), 'Check --v4 ACCOUNT/FOLDER.')
  const base = of404("check baseUrl: V4's API must be below it")
  t.match(messageOf(base), /; check --base-url: V4's API must be below it$/)
  t.equal(v4.adviceFor(base, false), undefined)
})

t.test('pair, unpair and devices never advise a flag of a take', async t => {
  for (const [code, advice] of [
    ['ERR_NETWORK', /^Check the network/],
    ['ERR_TIMEOUT', /^Check the network, or wait/],
    ['ERR_SERVER', /run it again/],
    ['ERR_RATE_LIMITED', /^Run it again in a minute/],
    ['ERR_BAD_RESPONSE', /log in where the network wants that/],
  ] as const) {
    const error = new RealtimeUploadError(code, 'Reading the device failed')
    const text = 'Reading the device failed: the token function failed'
    const noToken = new RealtimeUploadError('ERR_UNAUTHORIZED', text, { cause: error })
    for (const command of ['pair', 'unpair', 'devices'] as const) {
      t.match(adviceFor(command, error, 'cam.json'), advice)
      t.match(adviceFor(command, noToken, 'cam.json'), advice, 'a token that could not be had')
    }
  }
  const text =
    'Reading the device failed: the token function did not answer within apiTimeout (1 ms)'
  const late = new RealtimeUploadError('ERR_UNAUTHORIZED', text)
  t.match(adviceFor('devices', late, 'cam.json'), /^Check the network, or wait/)
  const stuck = new RealtimeUploadError('ERR_TIMEOUT', 'Another process …', { path: 'cam.json' })
  t.equal(adviceFor('pair', stuck, 'cam.json'), 'End what uses cam.json, and run it again.')
})
