/**
 * A process that uses a device's tokens until it is killed: says `ready`, then the code of what went wrong.
 * Arguments: the API's URL, the file, client id and secret.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { request } from 'undici'
import { deviceTokens } from '../../lib/frameio/device-tokens.ts'

const [baseUrl = '', file = '', clientId = '', clientSecret = ''] = process.argv.slice(2)
const token = deviceTokens({ file, clientId, clientSecret, baseUrl })

const use = async () => {
  let current = await token()
  process.stdout.write('ready\n')
  for (;;) {
    const { statusCode, body } = await request(`${baseUrl}/v2/devices/me`, {
      headers: { authorization: `Bearer ${current}`, 'x-client-version': '1.0.0' },
    })
    await body.dump()
    current = await token(statusCode === 401 ? current : undefined)
    await wait(5)
  }
}

use().catch(error => process.stdout.write(`${error.code ?? error.stack}\n`))
