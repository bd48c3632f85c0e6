/** A subscriber over real sockets whose connection breaks again and again while an import runs. */
import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { permissions } from '../../src/access/permissions.js'
import { signToken } from '../../src/access/tokens.js'
import { loadConfig } from '../../src/config.js'
import { encodeId } from '../../src/ids.js'
import { newContacts } from '../helpers/files.js'
import { RoleProcess } from '../helpers/processes.js'
import { Random } from '../helpers/random.js'
import type { House } from './house.js'
import type { Result, Sizes } from './scenarios.js'

interface Event {
  readonly __typename: string
  readonly sequence: string
  readonly previousSequence: string | null
  readonly to?: string
  readonly fromRow?: number
  readonly toRow?: number
}

const subscription = `subscription ($run: ID!, $after: String, $every: Int) {
  runEvents(runId: $run, after: $after, minIntervalMs: $every) {
    __typename sequence previousSequence
    ... on RunStatusChanged { to }
    ... on RowsSettled { fromRow toRow }
  } }`

/** Events between two cuts, at most: the run has some hundreds of them. */
const EVENTS_PER_CONNECTION = 5

/** Every fourth connection is cut by the clock instead, this late at most, whatever it is doing then. Milliseconds. */
const TIMED_CUT_MS = 25

/** A subscriber that hears nothing for so long has lost something. */
const PATIENCE_MS = 60_000

interface Heard {
  readonly events: readonly Event[]
  readonly cuts: number
  readonly faults: readonly string[]
}

/** Imports `rows` contacts while two subscribers, one who wants every event and one who takes them folded, lose their sockets. */
export async function disconnects(house: House, { rows, seed }: Omit<Sizes, 'kills'>, cuts: number): Promise<Result> {
  const port = await freePort()
  const settings = {
    PORTAGE_ROLE: 'api',
    PORTAGE_PORT: String(port),
    PORTAGE_DATA_DIR: house.dataDir,
    PORTAGE_LOG_LEVEL: 'error',
    DATABASE_URL: house.db.apiUrl,
  }
  // Chunks that are many: about three events for each cut.
  const chunkRows = Math.max(100, Math.floor(rows / (EVENTS_PER_CONNECTION * cuts)) * 2)
  await house.hire({ PORTAGE_CHUNK_ROWS: String(chunkRows) })
  const api = new RoleProcess('api', settings)
  await api.ready
  try {
    const tenantId = await house.tenant('subscriber')
    const token = await signToken({ tenantId, actor: 'chaos', permissions, expiresIn: 3600 }, loadConfig(settings))
    const url = `ws://127.0.0.1:${port}/graphql`
    const runId = await house.startImport(tenantId, 'contact', newContacts(seed, rows))
    const listen = (every: number, most: number, salt: number) =>
      hear({ url, token, runId, every, cuts: most, random: new Random(seed * 59 + salt) })
    const [each, folded] = await Promise.all([listen(0, cuts, 1), listen(100, Math.ceil(cuts / 4), 2)])
    await house.ended(tenantId, runId)
    const written = await house.rows<{ sequence: string }>(
      `select lpad(sequence::text, 20, '0') as sequence from event where tenant_id = $1 and run_id = $2 order by event.sequence`,
      [tenantId, runId],
    )
    const faults = [...each.faults, ...folded.faults]
    const heard = each.events.map(({ sequence }) => sequence)
    if (heard.join() !== written.map(({ sequence }) => sequence).join()) {
      faults.push(`${written.length} events were written, ${heard.length} heard, ${new Set(heard).size} of them once`)
    }
    for (const [name, { events }] of Object.entries({ each, folded })) {
      const settled = events.filter(({ __typename }) => __typename === 'RowsSettled')
      let next = settled[0]?.fromRow ?? 0
      for (const { fromRow, toRow } of settled) {
        if (fromRow !== next) {
          faults.push(`${name}: rows ${fromRow} to ${toRow} came where row ${next} was next`)
        }
        next = (toRow ?? 0) + 1
      }
      const total = next - (settled[0]?.fromRow ?? 0)
      if (total !== rows) {
        faults.push(`${name}: ${total} of ${rows} rows were reported as settled`)
      }
    }
    if (each.cuts < cuts) {
      faults.push(`the run ended after ${each.cuts} of ${cuts} disconnects`)
    }
    return {
      name: 'disconnected subscribers',
      faults,
      figures: {
        rows,
        disconnects: each.cuts + folded.cuts,
        'events written': written.length,
        'heard one by one': each.events.length,
        'heard folded': folded.events.length,
      },
    }
  } finally {
    await api.stop()
    await house.dismiss()
  }
}

/** Hears a run from its first event to its end, over as many connections as it takes. */
async function hear(options: {
  readonly url: string
  readonly token: string
  readonly runId: string
  readonly every: number
  readonly cuts: number
  readonly random: Random
}): Promise<Heard> {
  const { random } = options
  const events: Event[] = []
  const faults: string[] = []
  let cuts = 0
  for (let started = performance.now(); performance.now() - started < PATIENCE_MS; ) {
    const known = events.length
    const last = events.at(-1)?.sequence ?? null
    const cutting = new AbortController()
    const cut = () => cutting.abort()
    const client = createClient({
      url: options.url,
      connectionParams: { authorization: `Bearer ${options.token}` },
      retryAttempts: 0,
      webSocketImpl: class extends WebSocket {
        constructor(address: string, protocols: string) {
          super(address, protocols)
          // No farewell: the connection is gone from one byte to the next.
          cutting.signal.addEventListener('abort', () => this.terminate())
        }
      },
    })
    const mayCut = cuts < options.cuts
    const timer = mayCut && random.chance(0.25) ? setTimeout(cut, random.below(TIMED_CUT_MS)) : undefined
    const most = mayCut ? 1 + random.below(EVENTS_PER_CONNECTION) : Infinity
    let over = false
    try {
      const stream = client.iterate<{ readonly runEvents: Event }>({
        query: subscription,
        variables: { run: encodeId('run', options.runId), after: last, every: options.every },
      })
      for await (const { data, errors } of stream) {
        const event = data?.runEvents
        if (event === undefined) {
          throw new Error(`the subscription was refused: ${JSON.stringify(errors)}`)
        }
        const before = events.at(-1)?.sequence ?? null
        if (event.previousSequence !== before || (before !== null && event.sequence <= before)) {
          faults.push(
            `event ${event.sequence} says that it follows ${event.previousSequence}, but ${before} came before it`,
          )
        }
        events.push(event)
        if (event.__typename === 'RunStatusChanged' && /^(COMPLETED|FAILED|CANCELED)/.test(event.to ?? '')) {
          over = true
          break
        }
        if (events.length - known >= most) {
          cut()
          break
        }
      }
    } catch (error) {
      // A connection that we have cut, or that was cut before it stood: the next one goes on.
      if (!isLost(error)) {
        throw error
      }
    } finally {
      clearTimeout(timer)
      cut()
    }
    if (over) {
      return { events, cuts, faults }
    }
    cuts += mayCut ? 1 : 0
    if (events.length > known) {
      started = performance.now()
    }
    await pause(random.below(5))
  }
  return { events, cuts, faults: [...faults, `nothing was heard any more after event ${events.at(-1)?.sequence}`] }
}

/** A closed or failed socket, as opposed to an answer that says no. */
function isLost(error: unknown): boolean {
  return (
    typeof error === 'object' &&
    error !== null &&
    ('code' in error ? error.code === 1006 : 'type' in error && error.type === 'error')
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
