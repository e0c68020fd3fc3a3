import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Fault } from '../lib/sandbox/index.ts'
import {
  boot,
  call,
  dial,
  mp4,
  partsPath,
  put,
  putHead,
  register,
  until,
  urlFor,
} from './sandbox-kit.ts'

const ALWAYS = Number.POSITIVE_INFINITY
const BODY = Buffer.alloc(200_000, 'x')

t.test('a status instead of the answer, with nothing carried out', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  sandbox.faults.add(
    { on: 'put', do: { status: 503 } },
    { on: 'put', nth: 2, do: { status: 418 } },
    { on: 'put', nth: 3, do: { status: 200, body: 'fine', headers: { etag: 'none' } } },
    { on: 'put', nth: 4, do: { status: 599, body: { a: 1 }, at: 'body' } },
    { on: 'put', nth: 5, do: { status: 307, headers: { location: '/x' }, body: '' } },
  )
  t.match(await put(url, '1234'), { status: 503, code: 'SlowDown' })
  t.match(await put(url, '1234'), { status: 418, code: 'Status418' })
  t.match(await put(url, '1234'), { status: 200, text: 'fine', headers: { etag: 'none' } })
  t.match(await put(url, '1234'), {
    status: 599,
    text: '{"a":1}',
    headers: { 'content-type': 'application/json' },
  })
  t.match(await put(url, '1234'), { status: 307, headers: { location: '/x' } })
  t.match(asset.parts, [{ stored: false, puts: 5 }])
  t.equal((await put(url, '1234')).status, 200)

  sandbox.faults.add({ on: 'register', do: { status: 500, headers: { 'retry-after': '1' } } })
  t.match(await register(sandbox, asset.id, [[2, 4]]), {
    status: 500,
    headers: { 'retry-after': '1', 'x-ratelimit-limit': '1000' },
    json: { code: 500, errors: [{ status: 500 }] },
  })
  t.equal(asset.parts.length, 1)
})

t.test('of each part the second PUT is refused, and the first stays', async t => {
  const sandbox = await boot(t, {
    faults: [{ on: 'put', perPart: true, nth: 2, times: ALWAYS, do: { status: 403 } }],
  })
  const asset = mp4(sandbox)
  const { urls } = await register(
    sandbox,
    asset.id,
    [
      [1, 4],
      [2, 1, true],
    ],
    { asset_filesize: 5 },
  )
  const [first = '', second = ''] = urls
  t.equal((await put(first, 'once')).status, 200)
  t.match(await put(first, 'more'), { status: 403, code: 'AccessDenied' })
  t.match(await put(first, 'more'), { status: 403 }, 'nor the third')
  t.equal((await put(second, '!')).status, 200)
  await asset.whenUploaded()
  t.equal(readFileSync(asset.path ?? '', 'utf8'), 'once!')
})

t.test('a status before the body is read closes the connection', async t => {
  const sandbox = await boot(t, {
    faults: [{ on: 'put', do: { status: 503, at: 'headers', body: '' } }],
  })
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  line.socket.write(putHead(url, 100))
  await until(() => line.socket.destroyed)
  t.match(line.received, /^HTTP\/1.1 503 /)
  t.equal(sandbox.stats.bytesReceived, 0)
})

t.test('headers that HTTP does not allow are a failure that is told', async t => {
  const sandbox = await boot(t, {
    faults: [{ on: 'api', do: { status: 200, headers: { 'a b': '' } } }],
  })
  t.match(await call(sandbox, 'GET', '/'), { status: 500, detail: /Header name/ })
})

t.test('a delay, then all is as usual', async t => {
  const sandbox = await boot(t, { faults: [{ on: 'put', do: { delay: 300 } }] })
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const delayed = put(url, '1234')
  await until(() => sandbox.stats.bytesReceived === 4)
  t.match(asset.parts, [{ stored: false }])
  t.equal((await delayed).status, 200)
  t.match(asset.parts, [{ stored: true }])
})

t.test('who leaves during a delay has sent for nothing', async t => {
  const sandbox = await boot(t, { faults: [{ on: 'put', do: { delay: 60_000 } }] })
  const asset = mp4(sandbox)
  const url = await urlFor(sandbox, asset.id)
  const line = await dial(url)
  line.socket.write(`${putHead(url, 4)}1234`)
  await until(() => sandbox.stats.bytesReceived === 4)
  line.socket.destroy()
  await until(() => sandbox.stats.putsInFlight === 0)
  await sandbox.close()
  t.match(asset.parts, [{ stored: false }])
})

t.test('a reset, before, in and after the body', async t => {
  for (const reset of ['before', 'during', 'after'] as const) {
    const sandbox = await boot(t, { faults: [{ on: 'put', times: ALWAYS, do: { reset } }] })
    const asset = mp4(sandbox)
    const url = await urlFor(sandbox, asset.id)
    const line = await dial(url)
    line.socket.write(putHead(url, BODY.length))
    line.socket.write(BODY.subarray(0, 100_000))
    if (reset === 'after') line.socket.write(BODY.subarray(100_000))
    await until(() => line.socket.destroyed)
    t.strictSame([line.error, line.received], ['ECONNRESET', ''], reset)
    await until(() => sandbox.stats.openSockets === 1)
    const { bytes } = sandbox.requests.at(-1) ?? {}
    t.equal(bytes, { before: 0, during: 100_000, after: 200_000 }[reset])
    t.match(asset.parts, [{ stored: false, puts: 1 }])
    t.equal(sandbox.requests.at(-1)?.status, undefined)
    await t.rejects(put(url, BODY))
  }
})

t.test('an answer that is cut in half, or lost, after all was carried out', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const urls = [await urlFor(sandbox, asset.id, 1), await urlFor(sandbox, asset.id, 2)].map(String)
  sandbox.faults.add(
    { on: 'put', part: 1, do: { reset: 'answer' } },
    { on: 'put', part: 2, do: { loseAnswer: true } },
  )
  const lines = await Promise.all(urls.map(dial))
  for (const [index, { socket }] of lines.entries()) {
    socket.write(`${putHead(String(urls[index]), 4)}1234`)
  }
  await until(() => lines.every(({ socket }) => socket.destroyed))
  t.match(lines[0]?.received, /^HTTP\/1.1 200 OK\r\n[\s\S]*content-length: 2\r\n[\s\S]*\r\n\r\n $/)
  t.equal(lines[1]?.received, '')
  t.strictSame(
    lines.map(({ error }) => error),
    ['ECONNRESET', 'ECONNRESET'],
  )
  t.match(asset.parts, [{ stored: true }, { stored: true }])

  sandbox.faults.add({ on: 'register', do: { reset: 'answer' } })
  await t.rejects(register(sandbox, asset.id, [[3, 4]]))
  sandbox.faults.add({ on: 'create', do: { loseAnswer: true } })
  const create = { type: 'file', name: 'b.mp4', filetype: 'video/mp4', is_realtime_upload: true }
  await t.rejects(call(sandbox, 'POST', `/v2/assets/${sandbox.parentId}/children`, create))
  sandbox.faults.add({ on: 'delete', do: { loseAnswer: true } })
  t.equal(asset.parts.length, 3)
  await t.rejects(call(sandbox, 'DELETE', `/v2/assets/${asset.id}`))
  t.equal(sandbox.asset(asset.id), undefined)
})

t.test('a hang, until the client leaves', async t => {
  for (const hang of ['headers', 'body', 'answer', 'answering'] as const) {
    const sandbox = await boot(t, { faults: [{ on: 'put', do: { hang } }] })
    const asset = mp4(sandbox)
    const url = await urlFor(sandbox, asset.id, 1, 10)
    const line = await dial(url)
    line.socket.write(putHead(url, 10))
    line.socket.write('12345')
    if (hang === 'answer' || hang === 'answering') line.socket.write('67890')
    const bytes = { headers: 0, body: 5, answer: 10, answering: 10 }[hang]
    await until(() => sandbox.stats.puts === 1 && sandbox.stats.bytesReceived === bytes)
    if (hang === 'answering') await until(() => line.received !== '')
    t.match(line.received, hang === 'answering' ? /^HTTP\/1.1 200 [\s\S]*\r\n\r\n $/ : /^$/, hang)
    t.equal(sandbox.stats.putsInFlight, 1)
    line.socket.destroy()
    await until(() => sandbox.stats.putsInFlight === 0)
    t.match(asset.parts, [{ stored: hang === 'answering' }])
    t.match(sandbox.requests.at(-1), { status: undefined, bytes })
  }
})

t.test('a hang that does not read holds the client back, and close() lets it go', async t => {
  const sandbox = await boot(t, { faults: [{ on: 'put', times: ALWAYS, do: { hang: 'body' } }] })
  const url = await urlFor(sandbox, mp4(sandbox).id)
  const line = await dial(url)
  line.socket.write(putHead(url, BODY.length))
  line.socket.write(BODY)
  await until(() => sandbox.stats.bytesReceived >= 100_000)
  t.ok(sandbox.stats.bytesReceived < 200_000)
  await sandbox.close()
  await until(() => line.socket.destroyed)
  t.match(sandbox.stats, { openSockets: 0, putsInFlight: 0 })
})

t.test('on the API every kind of hang and reset comes after the body', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  for (const action of [{ reset: 'before' }, { reset: 'during' }, { reset: 'after' }] as const) {
    sandbox.faults.add({ on: 'register', part: 1, do: action })
    await t.rejects(register(sandbox, asset.id, [[1, 4]]))
    sandbox.faults.clear()
  }
  sandbox.faults.add({ on: 'register', do: { status: 502, at: 'headers', body: '<html>' } })
  t.match(await register(sandbox, asset.id, [[1, 4]]), { status: 502, text: '<html>' })
  for (const hang of ['headers', 'body', 'answer'] as const) {
    sandbox.faults.add({ on: 'get', assetId: asset.id, do: { hang } })
    const line = await dial(sandbox.url)
    line.socket.write(`GET /v2/assets/${asset.id} HTTP/1.1\r\nhost: x\r\n\r\n`)
    const hung = sandbox.faults.fired.length + 1
    await until(() => sandbox.faults.fired.length === hung)
    line.socket.destroy()
    await until(() => sandbox.requests.every(({ endedAt }) => endedAt !== undefined))
    t.equal(line.received, '')
  }
  t.strictSame(asset.parts, [])
})

t.test('an expired URL', async t => {
  const sandbox = await boot(t, { faults: [{ on: 'put', do: { expire: true } }] })
  const url = await urlFor(sandbox, mp4(sandbox).id)
  t.match(await put(url, '1234'), {
    status: 403,
    code: 'AccessDenied',
    message: 'Request has expired',
  })
  t.equal((await put(url, '1234')).status, 200)
})

t.test('a fault hits the requests it is meant for, as often as it is meant to', async t => {
  const statuses = async (fault: Omit<Fault, 'do'>, parts: readonly number[]) => {
    const sandbox = await boot(t)
    const asset = mp4(sandbox)
    const other = mp4(sandbox)
    const urls = new Map<number, string>()
    for (const part of new Set(parts)) urls.set(part, await urlFor(sandbox, asset.id, part))
    const { assetId } = fault
    sandbox.faults.add({
      ...fault,
      ...(assetId && { assetId: assetId === 'other' ? other.id : asset.id }),
      do: { status: 500 },
    })
    const answers: number[] = []
    for (const part of parts) answers.push((await put(urls.get(part) ?? '', '1234')).status)
    return answers.map(status => (status === 500 ? 'X' : '.')).join('')
  }
  t.equal(await statuses({ on: 'put' }, [1, 1, 2]), 'X..')
  t.equal(await statuses({ on: 'put', nth: 2 }, [1, 2, 3]), '.X.')
  t.equal(await statuses({ on: 'put', nth: 2, times: 2 }, [1, 1, 2, 2]), '.XX.')
  t.equal(await statuses({ on: 'put', nth: 2, times: ALWAYS }, [1, 1, 2, 2]), '.XXX')
  t.equal(await statuses({ on: 'put', part: 2 }, [1, 2, 2]), '.X.')
  t.equal(await statuses({ on: 'put', perPart: true }, [1, 1, 2, 2]), 'X.X.')
  t.equal(await statuses({ on: 'put', perPart: true, part: 2 }, [1, 1, 2, 2]), '..X.')
  t.equal(await statuses({ on: 'put', assetId: 'this' }, [1]), 'X')
  t.equal(await statuses({ on: 'put', assetId: 'other' }, [1]), '.')
  t.equal(await statuses({ on: 'register', times: ALWAYS }, [1]), '.')
  t.equal(await statuses({ on: 'api', times: ALWAYS }, [1]), '.')
})

t.test('a registration concerns each of its parts', async t => {
  const sandbox = await boot(t)
  const asset = mp4(sandbox)
  const two = [
    [1, 4],
    [2, 4],
  ] as const
  const refused: Fault = { on: 'register', part: 2, do: { status: 500 } }
  sandbox.faults.add(refused, { on: 'register', perPart: true, nth: 2, do: { status: 501 } })
  t.equal((await register(sandbox, asset.id, [[1, 4]])).status, 200)
  t.equal((await register(sandbox, asset.id, two)).status, 500, 'of two the first acts')
  t.equal(
    (await register(sandbox, asset.id, two)).status,
    501,
    'the second has counted: part 2 again',
  )
  t.equal((await register(sandbox, asset.id, two)).status, 200)
  t.match(sandbox.faults.fired, [
    { fault: refused, request: { partNumbers: [1, 2], status: 500 } },
    {},
  ])

  sandbox.faults.add({ on: 'api', times: ALWAYS, do: { status: 500 } })
  t.equal((await call(sandbox, 'GET', '/')).status, 500)
  sandbox.faults.clear()
  t.equal((await call(sandbox, 'GET', '/')).status, 404)
  t.equal(sandbox.faults.fired.length, 3)
  const nonsense = { parts: [null, { number: 'a' }, { number: 7 }] }
  await call(sandbox, 'POST', partsPath(asset.id), nonsense)
  t.strictSame(sandbox.requests.at(-1)?.partNumbers, [7])
})

t.test('a fault that makes no sense is refused by field', async t => {
  const sandbox = await boot(t)
  const bad = (fault: unknown, message: RegExp) =>
    t.throws(() => sandbox.faults.add(fault as Fault), { name: 'TypeError', message })
  const fine = { on: 'put', do: { delay: 1 } }
  bad(null, /fault must be an object; received null/)
  bad({ ...fine, on: 'upload' }, /fault.on must be 'create' or .*; received 'upload'/)
  bad({ ...fine, when: 1 }, /fault has no field 'when'; it has on, part/)
  bad({ ...fine, part: 0 }, /fault.part must be an integer of at least 1; received 0/)
  bad({ ...fine, assetId: 5 }, /fault.assetId must be a string/)
  bad({ ...fine, nth: 1.5 }, /fault.nth must be an integer/)
  bad({ ...fine, times: 0 }, /fault.times must be an integer of at least 1, or Infinity/)
  bad({ ...fine, perPart: 1 }, /fault.perPart must be true or false/)
  bad({ on: 'get', part: 1, do: { delay: 1 } }, /mean nothing on 'get'/)
  bad({ on: 'create', perPart: true, do: { delay: 1 } }, /mean nothing on 'create'/)
  bad({ on: 'put' }, /fault.do must be an object; received null/)
  bad({ on: 'put', do: {} }, /fault.do must have exactly one of status, delay/)
  bad({ on: 'put', do: { explode: true } }, /fault.do must have exactly one of/)
  bad({ on: 'put', do: { delay: 1, reset: 'after' } }, /fault.do must have exactly one of/)
  bad({ on: 'put', do: { delay: -1 } }, /fault.do.delay must be a number of ms/)
  bad({ on: 'put', do: { reset: 'soon' } }, /fault.do.reset must be 'before' or 'during'/)
  bad({ on: 'put', do: { hang: undefined } }, /fault.do.hang must be .*; received null/)
  bad({ on: 'put', do: { loseAnswer: false } }, /fault.do.loseAnswer must be true/)
  bad({ on: 'get', do: { expire: true } }, /fault.do.expire needs fault.on 'put'/)
  bad({ on: 'put', do: { status: 100 } }, /fault.do.status must be an integer from 200 to 599/)
  bad({ on: 'put', do: { status: 200.5 } }, /fault.do.status/)
  bad({ on: 'put', do: { status: 500, delay: 5 } }, /fault.do has no field 'delay'/)
  bad({ on: 'put', do: { status: 500, body: 5 } }, /fault.do.body must be a string or an object/)
  bad({ on: 'put', do: { status: 500, headers: 'a' } }, /fault.do.headers must be an object/)
  bad({ on: 'put', do: { status: 500, at: 'end' } }, /fault.do.at must be 'headers' or 'body'/)
  const url = await urlFor(sandbox, mp4(sandbox).id)
  t.equal((await put(url, '1234')).status, 200, 'none of them is in force')
})
