/** A part as whoever writes a client in an afternoon sends it: with `fetch`. */
export interface Part {
  readonly number: number
  readonly bytes: Buffer
  /** Bytes of the whole file, given with the final part. */
  readonly total?: number
}

/** Registers a part and PUTs it. */
export const send = async (baseUrl: string, { number, bytes, total }: Part): Promise<void> => {
  const parts = [{ number, size: bytes.length, is_final: total !== undefined }]
  const answer = await fetch(`${baseUrl}/v2/assets/asset/realtime_upload/parts`, {
    method: 'POST',
    headers: { authorization: 'Bearer token', 'content-type': 'application/json' },
    body: JSON.stringify({ parts, ...(total !== undefined && { asset_filesize: total }) }),
  })
  const { upload_urls } = (await answer.json()) as { upload_urls: [string] }
  const stored = await fetch(upload_urls[0], {
    method: 'PUT',
    headers: { 'content-type': 'video/mp4' },
    body: bytes,
  })
  await stored.arrayBuffer()
  if (stored.status !== 200) throw new Error(`Part ${number}: ${stored.status}`)
}
