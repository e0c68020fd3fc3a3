import t from 'tap'
import { type ErrorCode, RealtimeUploadError } from '../lib/errors.ts'
import {
  judgeApiAnswer,
  judgeAuthAnswer,
  judgeNetworkError,
  judgeStorageAnswer,
  judgeUnreadable,
  neverSent,
  RULINGS,
  type Verdict,
} from '../lib/net/rulings.ts'

t.test('answers of /v2/auth: the whole table', async t => {
  const table: [status: number, word: string | undefined, verdict: Verdict, code: ErrorCode][] = [
    [400, 'invalid_client', 'fatal', 'ERR_UNAUTHORIZED'],
    [401, 'invalid_client', 'fatal', 'ERR_UNAUTHORIZED'],
    [401, 'anything', 'fatal', 'ERR_UNAUTHORIZED'],
    [401, undefined, 'retry', 'ERR_BAD_RESPONSE'],
    [400, 'access_denied', 'fatal', 'ERR_FORBIDDEN'],
    [403, 'anything', 'fatal', 'ERR_FORBIDDEN'],
    [400, 'invalid_request', 'fatal', 'ERR_REQUEST_REJECTED'],
    [404, 'anything', 'fatal', 'ERR_REQUEST_REJECTED'],
    [404, undefined, 'retry', 'ERR_BAD_RESPONSE'],
    [200, undefined, 'retry', 'ERR_BAD_RESPONSE'],
    [429, 'slow down', 'retry', 'ERR_RATE_LIMITED'],
    [503, 'invalid_client', 'retry', 'ERR_SERVER'],
  ]
  for (const [status, word, verdict, code] of table) {
    t.match(judgeAuthAnswer(status, word), { verdict, code }, `${status} ${word}`)
  }
})

t.test('a 409 that says so is a pause', async t => {
  const code = 'ERR_CHANNEL_PAUSED'
  t.match(judgeApiAnswer(409, true, 'Conflict; Channel Paused: x'), { verdict: 'fatal', code })
  t.match(judgeApiAnswer(409, false, 'Channel Paused'), { code: 'ERR_BAD_RESPONSE' })
})

t.test('answers of Frame.io: the whole table', async t => {
  const table: [status: number, genuine: boolean, verdict: Verdict, code: ErrorCode][] = [
    [400, true, 'fatal', 'ERR_REQUEST_REJECTED'],
    [400, false, 'retry', 'ERR_BAD_RESPONSE'],
    [401, true, 'new-token', 'ERR_UNAUTHORIZED'],
    [401, false, 'new-token', 'ERR_UNAUTHORIZED'],
    [402, true, 'fatal', 'ERR_PLAN_LIMIT'],
    [402, false, 'retry', 'ERR_BAD_RESPONSE'],
    [403, true, 'fatal', 'ERR_FORBIDDEN'],
    [403, false, 'retry', 'ERR_BAD_RESPONSE'],
    [404, true, 'fatal', 'ERR_ASSET_NOT_FOUND'],
    [404, false, 'retry', 'ERR_BAD_RESPONSE'],
    [407, false, 'retry', 'ERR_BAD_RESPONSE'],
    [408, false, 'retry', 'ERR_TIMEOUT'],
    [409, true, 'fatal', 'ERR_REQUEST_REJECTED'],
    [422, true, 'fatal', 'ERR_REQUEST_REJECTED'],
    [422, false, 'retry', 'ERR_BAD_RESPONSE'],
    [425, false, 'retry', 'ERR_SERVER'],
    [429, true, 'retry', 'ERR_RATE_LIMITED'],
    [429, false, 'retry', 'ERR_RATE_LIMITED'],
    [500, true, 'retry', 'ERR_SERVER'],
    [501, true, 'fatal', 'ERR_SERVER'],
    [502, false, 'retry', 'ERR_SERVER'],
    [503, false, 'retry', 'ERR_SERVER'],
    [504, false, 'retry', 'ERR_SERVER'],
    [505, false, 'fatal', 'ERR_SERVER'],
    ...[509, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599].map(
      status => [status, false, 'retry', 'ERR_SERVER'] as [number, boolean, Verdict, ErrorCode],
    ),
    [302, false, 'retry', 'ERR_BAD_RESPONSE'],
    [304, true, 'retry', 'ERR_BAD_RESPONSE'],
  ]
  for (const [status, genuine, verdict, code] of table) {
    const name = `${status}${genuine ? ", in Frame.io's words" : ''}`
    t.match(judgeApiAnswer(status, genuine), { verdict, code }, name)
  }
})

t.test('answers of S3: the whole table', async t => {
  const table: [number, code: string, message: string, Verdict, ErrorCode][] = [
    [403, 'AccessDenied', 'Request has expired', 'new-url', 'ERR_URL_EXPIRED'],
    [403, 'ExpiredSomething', '', 'new-url', 'ERR_URL_EXPIRED'],
    [400, 'ExpiredToken', 'The provided token has expired.', 'new-url', 'ERR_URL_EXPIRED'],
    [403, 'AccessDenied', '', 'new-url', 'ERR_STORAGE_REJECTED'],
    [403, 'AccessDenied', 'Access Denied', 'new-url', 'ERR_STORAGE_REJECTED'],
    [403, '', '', 'new-url', 'ERR_BAD_RESPONSE'],
    [403, 'SignatureDoesNotMatch', 'They differ', 'fatal', 'ERR_STORAGE_REJECTED'],
    [403, 'InvalidAccessKeyId', '', 'new-url', 'ERR_STORAGE_REJECTED'],
    [400, 'InvalidToken', '', 'new-url', 'ERR_STORAGE_REJECTED'],
    [403, 'RequestTimeTooSkewed', '', 'fatal', 'ERR_STORAGE_REJECTED'],
    [400, 'TokenRefreshRequired', '', 'new-url', 'ERR_URL_EXPIRED'],
    [400, 'IncompleteBody', '', 'retry', 'ERR_STORAGE_REJECTED'],
    [409, 'OperationAborted', '', 'retry', 'ERR_STORAGE_REJECTED'],
    [400, 'ACodeOfTheNextDecade', '', 'retry', 'ERR_STORAGE_REJECTED'],
    [400, 'constructor', '', 'retry', 'ERR_STORAGE_REJECTED'],
    [400, '__proto__', '', 'retry', 'ERR_STORAGE_REJECTED'],
    [400, 'RequestTimeout', 'Your socket was idle', 'retry', 'ERR_TIMEOUT'],
    [400, 'BadDigest', '', 'retry', 'ERR_CORRUPTED'],
    [400, 'InvalidArgument', 'expired is but a word here', 'fatal', 'ERR_STORAGE_REJECTED'],
    [400, '', '', 'retry', 'ERR_BAD_RESPONSE'],
    [404, '', '', 'retry', 'ERR_BAD_RESPONSE'],
    [407, '', '', 'retry', 'ERR_BAD_RESPONSE'],
    [404, 'NoSuchBucket', '', 'fatal', 'ERR_STORAGE_REJECTED'],
    [408, '', '', 'retry', 'ERR_TIMEOUT'],
    [411, 'MissingContentLength', '', 'fatal', 'ERR_STORAGE_REJECTED'],
    [412, 'PreconditionFailed', '', 'fatal', 'ERR_STORAGE_REJECTED'],
    [429, '', '', 'retry', 'ERR_RATE_LIMITED'],
    [500, 'InternalError', '', 'retry', 'ERR_SERVER'],
    [501, 'NotImplemented', '', 'fatal', 'ERR_SERVER'],
    [502, '', '', 'retry', 'ERR_SERVER'],
    [503, 'SlowDown', 'Reduce your request rate', 'retry', 'ERR_SERVER'],
    [504, '', '', 'retry', 'ERR_SERVER'],
    [505, '', '', 'fatal', 'ERR_SERVER'],
    ...[509, 511, 520, 521, 522, 523, 524, 525, 526, 527, 530, 599].map(
      status =>
        [status, '', '', 'retry', 'ERR_SERVER'] as [number, string, string, Verdict, ErrorCode],
    ),
    [425, '', '', 'retry', 'ERR_SERVER'],
    [204, '', '', 'retry', 'ERR_BAD_RESPONSE'],
    [301, 'PermanentRedirect', '', 'fatal', 'ERR_STORAGE_REJECTED'],
    [307, 'TemporaryRedirect', '', 'retry', 'ERR_BAD_RESPONSE'],
    [302, '', '', 'retry', 'ERR_BAD_RESPONSE'],
  ]
  for (const [status, code, message, verdict, errorCode] of table) {
    const name = `${status} ${code} "${message}"`
    t.match(judgeStorageAnswer(status, code, message), { verdict, code: errorCode }, name)
  }
})

const NEVER_CONNECTED = [
  'ECONNREFUSED',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'UND_ERR_CONNECT_TIMEOUT',
]
const HANDSHAKE_FAILED = [
  'EPROTO',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'HOSTNAME_MISMATCH',
]
const BROKE = [
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENETRESET',
  'UND_ERR_SOCKET',
  'UND_ERR_INFO',
  'UND_ERR_ABORTED',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_RES_CONTENT_LENGTH_MISMATCH',
  'HPE_INVALID_CONSTANT',
]

/** What a busy or odd machine has to say for itself. */
const TROUBLE = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EAI_FAIL', 'ESERVFAIL', 'EBADRESP']

t.test('faults of the network are transient, and so is whatever nobody has heard of', async t => {
  const strange = ['EPERM', 'EACCES', 'ENOSPC', 'XECONNRESET', '']
  for (const code of [...NEVER_CONNECTED, ...HANDSHAKE_FAILED, ...BROKE, ...TROUBLE, ...strange]) {
    t.match(judgeNetworkError({ code }), { verdict: 'retry', code: 'ERR_NETWORK' }, code)
  }
  for (const error of [new Error('?'), undefined, null, 'ECONNRESET', 7]) {
    t.match(judgeNetworkError(error), { verdict: 'retry', code: 'ERR_NETWORK' }, String(error))
  }
  const several = new AggregateError([new Error('v6'), new Error('v4')], 'both failed')
  t.match(
    judgeNetworkError(Object.assign(several, { code: 'ECONNREFUSED' })),
    { verdict: 'retry' },
    'several addresses, all refused',
  )
})

t.test('our own misuse is fatal', async t => {
  const misuse = [
    'UND_ERR_INVALID_ARG',
    'UND_ERR_DESTROYED',
    'UND_ERR_CLOSED',
    'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
    'UND_MOCK_ERR_MOCK_NOT_MATCHED',
    'ERR_INVALID_URL',
    'ERR_INVALID_ARG_TYPE',
  ]
  for (const code of misuse) t.match(judgeNetworkError({ code }), { verdict: 'fatal' }, code)
  for (const error of [new TypeError('?'), new RangeError('?'), new ReferenceError('?')]) {
    t.match(judgeNetworkError(error), { verdict: 'fatal', code: 'ERR_NETWORK' }, error.name)
  }
})

t.test(
  'a disk that fails is given up soon, and one that a machine cannot read just now is not',
  async t => {
    const ruling = (code: ErrorCode, cause: string) =>
      judgeUnreadable(
        new RealtimeUploadError(code, '?', { cause: Object.assign(new Error(), { code: cause }) }),
      )
    for (const cause of ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR']) {
      t.equal(ruling('ERR_SPOOL_DAMAGED', cause), RULINGS.unreadableNow, cause)
    }
    for (const cause of ['EIO', 'ESTALE', 'ENOENT', 'EACCES', 'constructor', '']) {
      t.equal(ruling('ERR_SPOOL_DAMAGED', cause), RULINGS.unreadable, cause)
      t.equal(ruling('ERR_SOURCE_FAILED', cause), RULINGS.sourceUnreadable, cause)
    }
    const rotten = new RealtimeUploadError('ERR_SPOOL_DAMAGED', 'its bytes are others')
    t.equal(judgeUnreadable(rotten), RULINGS.unreadable, 'without a cause')
    t.notOk('atMost' in RULINGS.unreadableNow, 'that one lasts as long as the budget')
  },
)

t.test('a request was never sent only where its connection never stood', async t => {
  for (const code of [...NEVER_CONNECTED, ...HANDSHAKE_FAILED]) t.ok(neverSent({ code }), code)
  for (const code of [...BROKE, 'UND_ERR_DESTROYED', '']) t.notOk(neverSent({ code }), code)
  t.notOk(neverSent(undefined))
})

t.test('what fails while it connects was never sent, by whatever name it goes', async t => {
  for (const code of ['EMFILE', 'ENOBUFS', 'EPERM', 'EACCES', 'ETIMEDOUT', 'ECONNRESET']) {
    t.ok(neverSent({ code, syscall: 'connect' }), `${code} on connect`)
    t.notOk(neverSent({ code, syscall: 'write' }), `${code} on write`)
  }
  t.ok(neverSent({ code: 'ESERVFAIL', syscall: 'queryA' }))
  t.ok(neverSent({ code: 'EAI_FAIL', syscall: 'getaddrinfo' }))
  const refused = { code: 'ECONNREFUSED', syscall: 'connect' }
  t.ok(neverSent({ code: 'ECONNREFUSED', errors: [refused, refused] }))
  t.notOk(neverSent({ code: 'ECONNREFUSED', errors: [refused, { code: 'EPIPE' }] }))
  t.notOk(neverSent({ code: 'ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC' }), 'in mid-request')
})

t.test('a connection that lost its route after it stood may have sent the request', async t => {
  // Linux reports EHOSTUNREACH for an established connection as well, when its packets get lost.
  for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN']) {
    t.ok(neverSent({ code, syscall: 'connect' }), `${code} on connect`)
    t.notOk(neverSent({ code, syscall: 'read' }), `${code} on read`)
    t.notOk(neverSent({ code, syscall: 'write' }), `${code} on write`)
  }
})
