/**
 * What the sandbox remembers of every request, and the counters drawn from it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Operation, SandboxRequest, SandboxStats } from './types.ts'

/** A request in the log, while it can still change. */
export type Entry = { -readonly [Field in keyof SandboxRequest]: SandboxRequest[Field] }

/** What the path and method of a request say of it. */
export interface Subject {
  readonly operation: Operation | 'other'
  readonly assetId?: string | undefined
  readonly partNumbers?: readonly number[]
}

/** A request on its way through the sandbox. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly entry: Entry
  readonly log: RequestLog
}

export class RequestLog {
  readonly entries: Entry[] = []
  readonly stats = {
    registrations: 0,
    puts: 0,
    registrationsInFlight: 0,
    maxRegistrationsInFlight: 0,
    putsInFlight: 0,
    maxPutsInFlight: 0,
    bytesReceived: 0,
    openSockets: 0,
  } satisfies SandboxStats

  /** A request arrived. */
  open(side: Entry['side'], { method = '', url = '', headers }: IncomingMessage, subject: Subject) {
    const entry: Entry = {
      side,
      operation: subject.operation,
      method,
      path: url.replace(/\?.*/, ''),
      headers,
      assetId: subject.assetId,
      partNumbers: subject.partNumbers ?? [],
      headLast: false,
      status: undefined,
      bytes: 0,
      startedAt: performance.now(),
      endedAt: undefined,
    }
    this.entries.push(entry)
    const { stats } = this
    if (entry.operation === 'register') {
      stats.registrations += 1
      stats.registrationsInFlight += 1
      stats.maxRegistrationsInFlight = Math.max(
        stats.maxRegistrationsInFlight,
        stats.registrationsInFlight,
      )
    }
    if (entry.operation === 'put') {
      stats.puts += 1
      stats.putsInFlight += 1
      stats.maxPutsInFlight = Math.max(stats.maxPutsInFlight, stats.putsInFlight)
    }
    return entry
  }

  /** So many more bytes of its body arrived. */
  received(entry: Entry, bytes: number) {
    entry.bytes += bytes
    if (entry.side === 'storage') this.stats.bytesReceived += bytes
  }

  /** Its answer leaves, or without a status: it was cut. Only the first time counts. */
  close(entry: Entry, status?: number) {
    if (entry.endedAt !== undefined) return
    entry.status = status
    entry.endedAt = performance.now()
    if (entry.operation === 'register') this.stats.registrationsInFlight -= 1
    if (entry.operation === 'put') this.stats.putsInFlight -= 1
  }
}
