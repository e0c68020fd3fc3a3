/**
 * Two cameras of one device film for twelve hours, on a clock that runs faster: their tokens, in a file,
 * change again and again, and a refresh ends the token that calls are under way with.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Test } from 'tap'
import { deviceTokens, FrameioClient, RealtimeUpload, saveDeviceTokens } from '../../lib/index.ts'
import {
  bytes,
  endOf,
  folderFor,
  hashOf,
  optionsFor,
  record,
  SMALL,
  sandboxFor,
  sha256,
} from './sandboxes.ts'

const HOURS = 12
/** Between two chunks, in ms; and their bytes: a part, more or less. */
const [EVERY, CHUNK] = [20, 900]
/** A token is replaced when so much of its life is over. */
const WORN = 0.9

/** @param seconds in which the hours pass, and the tokens change so often */
export const filmTwelveHours = async (
  t: Test,
  { seconds, changes }: { readonly seconds: number; readonly changes: number },
): Promise<void> => {
  const scale = (HOURS * 3_600) / seconds
  const tokenLifetime = seconds / changes / WORN
  const urlLifetime = Math.max(1, Math.round(86_400 / scale))
  const options = { tokenLifetime, urlLifetime, latency: { api: 10 } }
  const sandbox = await sandboxFor(t, options, SMALL)
  const device = sandbox.devices.pair({ channels: 2 })
  const { accessToken, refreshToken, clientId } = device
  const file = join(await folderFor(t), 'tokens.json')
  const tokens = { accessToken, refreshToken, lifetime: tokenLifetime * 1_000 }
  await saveDeviceTokens({ file, tokens })
  const { clientSecret } = sandbox.credentials
  const token = deviceTokens({ file, clientId, clientSecret, baseUrl: sandbox.url })
  const client = new FrameioClient({ token, baseUrl: sandbox.url, device: {} })
  t.teardown(() => client.close())

  const start = performance.now()
  const film = async (channel: number) => {
    const filetype = 'video/mp4'
    const wanted = { name: `${channel}.mp4`, filetype, channel }
    const { id } = await client.createRealtimeAsset(wanted)
    const asset = sandbox.asset(id)
    if (!asset) throw new Error('There is no asset')
    const upload = new RealtimeUpload(optionsFor({ sandbox, asset }, { client }, SMALL))
    const seen = record(upload)
    const filmed: Buffer[] = []
    while (device.refreshes < changes && !upload.destroyed) {
      filmed.push(bytes(CHUNK))
      upload.write(filmed.at(-1))
      await wait(EVERY)
    }
    upload.end()
    t.equal(await endOf(upload), undefined)
    t.equal(await hashOf(asset), sha256(Buffer.concat(filmed)))
    t.strictSame(
      seen.part.filter(({ attempts }) => attempts > 1),
      [],
      'not one part fails',
    )
    return { asset, seen }
  }
  const films = await Promise.all([film(0), film(1)])
  const took = (performance.now() - start) / 1_000
  const { requests } = sandbox
  const puts = requests.filter(({ operation }) => operation === 'put')
  t.strictSame(
    puts.filter(({ status }) => status !== 200),
    [],
  )
  t.equal(device.refreshes, changes)
  t.equal(device.reused, 0, 'no refresh token is used twice')
  const refused = requests.filter(({ status }) => status === 401)
  const retries = films.flatMap(({ seen }) => seen.retry)
  t.strictSame(
    retries.filter(({ error: { code } }) => code !== 'ERR_UNAUTHORIZED'),
    [],
  )
  const parts = films.reduce((sum, { asset }) => sum + asset.parts.length, 0)
  const hours = ((took * scale) / 3_600).toFixed(1)
  t.comment(
    `${hours} h in ${took.toFixed(1)} s: tokens changed ${device.refreshes} times, ${parts} parts, ${refused.length} calls met a dead token, 0 parts failed`,
  )
}
