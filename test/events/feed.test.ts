import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { Database } from '../../src/db/database.js'
import { Lane } from '../../src/db/lane.js'
import { listen } from '../../src/db/listen.js'
import type { TenantSource } from '../../src/db/tx.js'
import { Refusal } from '../../src/errors.js'
import { EventFeed, formatSequence, purgeEvents, type RunEvent } from '../../src/events.js'
import { EVENT_POLL_MS, EVENT_TAIL_BYTES_MAX, SUBSCRIBER_BYTES_MAX } from '../../src/limits.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Random } from '../helpers/random.js'
import { type Draft, progress, settled, status, Writer } from './world.js'

type Stream = AsyncIterableIterator<RunEvent>

/** Longer than any wait of the feed, so that a stream at rest fails the test instead of hanging it. */
const PATIENCE_MS = 10_000

async function next(stream: Stream): Promise<RunEvent> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('no event came')), PATIENCE_MS)
  })
  const result = await Promise.race([stream.next(), late]).finally(() => clearTimeout(timer))
  assert.ok(result.done !== true, 'the stream has ended')
  return result.value
}

async function take(stream: Stream, count: number): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  while (events.length < count) {
    events.push(await next(stream))
  }
  return events
}

function outline(event: RunEvent): string {
  switch (event.type) {
    case 'RowsSettled':
      return `rows ${event.fromRow}-${event.toRow}`
    case 'RunProgressed':
      return `read ${event.counts.read}`
    case 'RunStatusChanged':
      return event.to
    case 'StreamGap':
      return `gap ${Number(event.fromSequence)}-${Number(event.toSequence)}`
    default:
      return event satisfies never
  }
}

function rowsOf(events: readonly RunEvent[]): string[] {
  const rows: string[] = []
  for (const event of events) {
    if (event.type === 'RowsSettled') {
      assert.equal(event.counts.read, event.toRow - event.fromRow + 1)
      for (let row = event.fromRow; row <= event.toRow; row += 1) {
        rows.push(`${event.runId} ${row}`)
      }
    }
  }
  return rows
}

function rowNames(runId: string, from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => `${runId} ${from + index}`)
}

function assertChain(events: readonly RunEvent[], first: string | null): void {
  let previous = first
  for (const event of events) {
    assert.equal(event.previousSequence, previous)
    assert.match(event.sequence, /^\d{20}$/)
    assert.ok(previous === null || event.sequence > previous, `${event.sequence} after ${previous}`)
    previous = event.sequence
  }
}

describe('the event feed', { timeout: 120_000 }, () => {
  let database: TestDatabase
  let source: Database
  let writer: Writer
  let feed: EventFeed
  const warnings: unknown[] = []
  const log = { warn: (fields: unknown) => void warnings.push(fields) }

  before(async () => {
    database = await freshDatabase()
    source = await Database.open({
      url: database.apiUrl,
      applicationName: 'test api',
      poolSize: 8,
      statementMs: 10_000,
    })
    writer = await Writer.open(database)
    feed = new EventFeed({ source, listenerUrl: database.apiUrl, log })
    await feed.start()
  })

  after(async () => {
    await feed.close()
    await writer.close()
    await source.close()
    await database.drop()
  })

  test('replays a run from its first event and then follows it', async () => {
    const tenant = await writer.tenant()
    const [run, other] = [await writer.run(tenant), await writer.run(tenant)]
    await writer.append(tenant, run, [status(null, 'ANALYZING')])
    await writer.append(tenant, other, [status(null, 'ANALYZING')])
    await writer.append(tenant, run, [settled(2, 11), progress(10)])
    const stream = feed.runEvents(tenant, run, { after: null, minIntervalMs: 0 })
    const replayed = await take(stream, 3)
    await writer.append(tenant, run, [settled(12, 21), progress(20)])
    await writer.append(tenant, other, [progress(1)])
    await writer.append(tenant, run, [status('RUNNING', 'COMPLETED')])
    const events = [...replayed, ...(await take(stream, 3))]
    assert.deepEqual(events.map(outline), ['ANALYZING', 'rows 2-11', 'read 10', 'rows 12-21', 'read 20', 'COMPLETED'])
    assert.deepEqual(
      events.map((event) => Number(event.sequence)),
      [1, 3, 4, 5, 6, 8],
    )
    assertChain(events, null)
    assert.equal(
      events.every((event) => event.runId === run && event.at instanceof Date),
      true,
    )
    await stream.return?.()
  })

  test('stays open after the run has ended, because an undo may follow', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    await writer.append(tenant, run, [status('RUNNING', 'COMPLETED')])
    const stream = feed.runEvents(tenant, run, { after: null })
    assert.equal(outline(await next(stream)), 'COMPLETED')
    await writer.append(tenant, run, [status('COMPLETED', 'ROLLING_BACK')])
    assert.equal(outline(await next(stream)), 'ROLLING_BACK')
    await stream.return?.()
  })

  test('a tenant stream without a position starts now', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    await writer.append(tenant, run, [progress(1)])
    const stream = feed.tenantEvents(tenant, { after: null, kinds: null })
    const first = stream.next()
    await feed.check(tenant, null, null)
    // Appended until one arrives: the stream has surely started by then.
    let read = 2
    let arrived = false
    void first.then(() => {
      arrived = true
    })
    while (!arrived) {
      await writer.append(tenant, run, [progress(read)])
      read += 1
    }
    const event = (await first).value as RunEvent
    assert.equal(event.previousSequence, null)
    assert.notEqual(outline(event), 'read 1')
    await stream.return?.()
  })

  test('a tenant stream delivers the asked kinds of run only, in an unbroken chain', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    await writer.append(tenant, run, [progress(1)])
    await writer.append(tenant, run, [progress(2)], 'ROLLBACK')
    const start = formatSequence(0)
    const stream = feed.tenantEvents(tenant, { after: start, kinds: ['ROLLBACK'], minIntervalMs: 0 })
    const replayed = await next(stream)
    await writer.append(tenant, run, [progress(3)])
    await writer.append(tenant, run, [progress(4)], 'ROLLBACK')
    const events = [replayed, await next(stream)]
    assert.deepEqual(events.map(outline), ['read 2', 'read 4'])
    assertChain(events, start)
    await stream.return?.()
  })

  test('what has piled up is folded; with minIntervalMs 0 it comes as written', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    const drafts: Draft[] = [status(null, 'RUNNING')]
    for (let chunk = 0; chunk < 50; chunk += 1) {
      drafts.push(settled(2 + chunk * 10, 11 + chunk * 10, 3), progress(10 + chunk * 10))
    }
    await writer.append(tenant, run, drafts)
    const folded = feed.runEvents(tenant, run, { after: null, minIntervalMs: 250 })
    const events = await take(folded, 3)
    assert.deepEqual(events.map(outline), ['RUNNING', 'rows 2-501', 'read 500'])
    assert.equal(events[1]?.type === 'RowsSettled' && events[1].issueCount, 150)
    const plain = feed.runEvents(tenant, run, { after: null, minIntervalMs: 0 })
    assert.equal((await take(plain, drafts.length)).length, 101)
    await Promise.all([folded.return?.(), plain.return?.()])
  })

  test('within the interval progress waits, but a change of status and what is before it do not', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    const start = formatSequence(0)
    const stream = feed.tenantEvents(tenant, { after: start, kinds: null, minIntervalMs: 60_000 })
    await writer.append(tenant, run, [progress(1)])
    assert.equal(outline(await next(stream)), 'read 1')
    const waiting = take(stream, 3)
    await writer.append(tenant, run, [settled(2, 3), progress(2)])
    await writer.append(tenant, run, [settled(4, 5), progress(4)])
    await writer.append(tenant, run, [status('RUNNING', 'COMPLETED')])
    assert.deepEqual((await waiting).map(outline), ['rows 2-5', 'read 4', 'COMPLETED'])
    await stream.return?.()
  })

  test('after the interval what has waited is delivered', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    const stream = feed.tenantEvents(tenant, { after: formatSequence(0), kinds: null, minIntervalMs: 300 })
    await writer.append(tenant, run, [progress(1)])
    await next(stream)
    const started = performance.now()
    const waiting = next(stream)
    await writer.append(tenant, run, [progress(2)])
    await writer.append(tenant, run, [progress(3)])
    assert.equal(outline(await waiting), 'read 3')
    const waited = performance.now() - started
    assert.ok(waited >= 250, `after ${waited} ms`)
    await stream.return?.()
  })

  test('eight writers, hundreds of disconnects: every row once, every status once, the chain unbroken', async () => {
    const tenant = await writer.tenant()
    const chunks = 60
    const runs = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const own = await Writer.open(database)
        return { own, id: await own.run(tenant) }
      }),
    )
    const writing = runs.map(async ({ own, id }) => {
      await own.append(tenant, id, [status(null, 'RUNNING')])
      for (let chunk = 0; chunk < chunks; chunk += 1) {
        await own.append(tenant, id, [settled(2 + chunk * 5, 6 + chunk * 5, 2), progress(5 + chunk * 5)])
      }
      await own.append(tenant, id, [status('RUNNING', 'COMPLETED')])
      await own.close()
    })
    const lastOfAll = 8 * (2 + 2 * chunks)
    let disconnects = 0

    /** Connects, takes a few events, leaves at any moment, comes back with the last sequence seen. */
    const follow = async (
      seed: number,
      open: (position: string | null, ms: number) => Stream,
      ended: (events: RunEvent[]) => boolean,
    ) => {
      const random = new Random(seed)
      const chance = () => random.next()
      const events: RunEvent[] = []
      while (!ended(events)) {
        const stream = open(events.at(-1)?.sequence ?? null, [0, 1, 10, 40][Math.floor(chance() * 4)] ?? 0)
        let stay = 1 + Math.floor(chance() * 12)
        while (stay > 0 && !ended(events)) {
          events.push(await next(stream))
          stay -= 1
        }
        if (chance() < 0.5 && !ended(events)) {
          // Leaves while the server is looking for the next one; what it finds then is lost on the way.
          const lost = stream.next()
          await stream.return?.()
          await lost
        } else {
          await stream.return?.()
        }
        disconnects += 1
      }
      return events
    }
    const completed = (count: number) => (events: readonly RunEvent[]) =>
      events.filter((event) => event.type === 'RunStatusChanged' && event.to === 'COMPLETED').length === count
    const first = runs[0]?.id ?? ''
    const [all, alsoAll, one, alsoOne] = await Promise.all([
      follow(
        1,
        (position, ms) =>
          feed.tenantEvents(tenant, { after: position ?? formatSequence(0), kinds: null, minIntervalMs: ms }),
        completed(8),
      ),
      follow(
        2,
        (position, ms) =>
          feed.tenantEvents(tenant, { after: position ?? formatSequence(0), kinds: ['IMPORT'], minIntervalMs: ms }),
        completed(8),
      ),
      follow(3, (position, ms) => feed.runEvents(tenant, first, { after: position, minIntervalMs: ms }), completed(1)),
      follow(4, (position, ms) => feed.runEvents(tenant, first, { after: position, minIntervalMs: ms }), completed(1)),
      ...writing,
    ])
    const rowsOfRun = (id: string) => rowNames(id, 2, 1 + chunks * 5)
    for (const events of [all, alsoAll]) {
      assertChain(events, formatSequence(0))
      assert.deepEqual(rowsOf(events).toSorted(), runs.flatMap(({ id }) => rowsOfRun(id)).toSorted())
      assert.equal(events.filter((event) => event.type === 'RunStatusChanged').length, 16)
      assert.equal(Number(events.at(-1)?.sequence), lastOfAll)
    }
    for (const events of [one, alsoOne]) {
      assertChain(events, null)
      assert.deepEqual(rowsOf(events), rowsOfRun(first))
      assert.deepEqual(
        [events.at(0), events.at(-1)].map((event) => event && outline(event)),
        ['RUNNING', 'COMPLETED'],
      )
      assert.equal(outline(events.at(-2) as RunEvent), `read ${chunks * 5}`)
    }
    assert.ok(disconnects > 100, `${disconnects} disconnects`)
  })

  test('a subscriber that does not read costs a bounded amount of memory and later gets every row', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    await writer.append(tenant, run, [status(null, 'RUNNING')])
    const slow = [0, 250].map((minIntervalMs) => feed.runEvents(tenant, run, { after: null, minIntervalMs }))
    const fast = feed.runEvents(tenant, run, { after: null, minIntervalMs: 0 })
    const events = await Promise.all(slow.map(async (stream) => [await next(stream)]))
    await next(fast)
    const chunks = 400
    for (let chunk = 0; chunk < chunks; chunk += 1) {
      await writer.append(tenant, run, [settled(2 + chunk * 100, 101 + chunk * 100, 100, 500), progress(100)])
    }
    // Once the fast one has seen the end, all of it has passed through this process.
    await take(fast, 2 * chunks)
    const { sharedBytes, subscriberBytes } = feed.stats()
    assert.ok(sharedBytes <= EVENT_TAIL_BYTES_MAX, `${sharedBytes} shared bytes`)
    assert.ok(subscriberBytes <= 3 * (SUBSCRIBER_BYTES_MAX + 150_000), `${subscriberBytes} bytes wait`)
    await writer.append(tenant, run, [status('RUNNING', 'COMPLETED')])
    for (const [index, stream] of slow.entries()) {
      const seen = events[index] ?? []
      while (outline(seen.at(-1) as RunEvent) !== 'COMPLETED') {
        seen.push(await next(stream))
        assert.ok(feed.stats().subscriberBytes <= 3 * (SUBSCRIBER_BYTES_MAX + 150_000))
      }
      assertChain(seen, null)
      assert.deepEqual(rowsOf(seen), rowNames(run, 2, 1 + chunks * 100))
      await stream.return?.()
    }
    await fast.return?.()
  })

  test('two tenants never meet', async () => {
    const tenants = await Promise.all(
      Array.from({ length: 2 }, async () => {
        const own = await Writer.open(database)
        const id = await own.tenant()
        return { own, id, run: await own.run(id) }
      }),
    )
    const results = await Promise.all(
      tenants.map(async ({ own, id, run }) => {
        const streams = [0, 5].map((ms) =>
          feed.tenantEvents(id, { after: formatSequence(0), kinds: null, minIntervalMs: ms }),
        )
        const following = streams.map(async (stream) => {
          const events: RunEvent[] = []
          while (events.at(-1)?.type !== 'RunStatusChanged') {
            events.push(await next(stream))
          }
          await stream.return?.()
          return events
        })
        for (let chunk = 0; chunk < 100; chunk += 1) {
          await own.append(id, run, [settled(2 + chunk, 2 + chunk), progress(chunk)])
        }
        await own.append(id, run, [status('RUNNING', 'COMPLETED')])
        await own.close()
        return { run, followed: await Promise.all(following) }
      }),
    )
    for (const { run, followed } of results) {
      for (const events of followed) {
        assert.deepEqual(new Set(events.map((event) => event.runId)), new Set([run]))
        assert.deepEqual(rowsOf(events), rowNames(run, 2, 101))
      }
    }
  })

  test("another tenant's run and no run at all are refused alike", async () => {
    const tenant = await writer.tenant()
    const neighbour = await writer.tenant()
    const foreign = await writer.run(neighbour)
    await writer.append(neighbour, foreign, [progress(1)])
    const answers: unknown[] = []
    for (const runId of [foreign, randomUUID(), 'no id']) {
      assert.equal(await feed.runExists(tenant, runId), false)
      const refusals: unknown[] = []
      for (const attempt of [
        () => feed.check(tenant, runId, null),
        () => next(feed.runEvents(tenant, runId, { after: null })),
      ]) {
        refusals.push(
          await attempt().then(
            () => null,
            ({ code, message, field }: Refusal) => ({ code, message, field }),
          ),
        )
      }
      answers.push(refusals)
    }
    const refusal = { code: 'NOT_FOUND', message: 'There is no run with this id.', field: ['runId'] }
    assert.deepEqual(answers, Array(3).fill([refusal, refusal]))
    assert.equal(await feed.runExists(neighbour, foreign), true)
    await feed.check(neighbour, foreign, formatSequence(1))
  })

  test('refuses a position that is none or lies in the future, and an interval out of range', async () => {
    const tenant = await writer.tenant()
    const refused = { name: 'Refusal', code: 'INVALID_INPUT' }
    for (const position of ['', '1', 'x'.repeat(20), '-0000000000000000001', '000000000000000000001', '٠'.repeat(20)]) {
      assert.throws(() => feed.tenantEvents(tenant, { after: position, kinds: null }), { ...refused, field: ['after'] })
      await assert.rejects(feed.check(tenant, null, position), refused)
    }
    for (const future of [formatSequence(1), '9'.repeat(20)]) {
      await assert.rejects(next(feed.tenantEvents(tenant, { after: future, kinds: null })), {
        ...refused,
        field: ['after'],
      })
      await assert.rejects(feed.check(tenant, null, future), refused)
    }
    for (const minIntervalMs of [-1, 0.5, 60_001, Number.NaN]) {
      assert.throws(() => feed.tenantEvents(tenant, { after: null, kinds: null, minIntervalMs }), {
        ...refused,
        field: ['minIntervalMs'],
      })
    }
  })

  test('says so with a gap when history is gone, and only then', async () => {
    const tenant = await writer.tenant()
    const [old, young] = [await writer.run(tenant), await writer.run(tenant)]
    await writer.append(tenant, old, [status(null, 'RUNNING'), settled(2, 3), progress(2)])
    await writer.query("update event set at = at - interval '10 days' where tenant_id = $1", [tenant])
    await writer.append(tenant, old, [settled(4, 5)])
    await writer.append(tenant, young, [status(null, 'RUNNING')])
    const worker = await Lane.open({
      url: database.workerUrl,
      applicationName: 'test worker',
      idleInTransactionMs: 10_000,
      statementMs: 10_000,
      lockMs: 10_000,
    })
    const weekAgo = new Date(Date.now() - 7 * 24 * 3600 * 1000)
    assert.equal(await purgeEvents(worker, tenant, weekAgo), 3)
    assert.equal(await purgeEvents(worker, tenant, weekAgo), 0)
    await worker.close()

    const read = async (stream: Stream, count: number) => {
      const events = await take(stream, count)
      await stream.return?.()
      return events
    }
    const resumed = await read(
      feed.tenantEvents(tenant, { after: formatSequence(1), kinds: null, minIntervalMs: 0 }),
      3,
    )
    assert.deepEqual(resumed.map(outline), ['gap 2-3', 'rows 4-5', 'RUNNING'])
    assertChain(resumed, formatSequence(1))
    const fromStart = await read(feed.runEvents(tenant, old, { after: null }), 2)
    assert.deepEqual(fromStart.map(outline), ['gap 1-3', 'rows 4-5'])
    assertChain(fromStart, null)
    const behindGap = await read(feed.runEvents(tenant, old, { after: resumed[0]?.sequence ?? '' }), 1)
    assert.deepEqual(behindGap.map(outline), ['rows 4-5'])
    assert.deepEqual((await read(feed.runEvents(tenant, young, { after: null }), 1)).map(outline), ['RUNNING'])
  })

  test('a purge deletes the oldest part only and takes batches', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    for (let batch = 0; batch < 25; batch += 1) {
      await writer.append(
        tenant,
        run,
        Array.from({ length: 1000 }, () => progress(batch)),
      )
    }
    await writer.query("update event set at = at - interval '10 days' where tenant_id = $1 and sequence <> 24000", [
      tenant,
    ])
    const worker = await Lane.open({
      url: database.workerUrl,
      applicationName: 'test worker',
      idleInTransactionMs: 10_000,
      statementMs: 10_000,
      lockMs: 10_000,
    })
    assert.equal(await purgeEvents(worker, tenant, new Date(Date.now() - 1000 * 3600)), 23_999)
    await worker.close()
    const sequence = await writer.query('select last, purged from tenant_sequence where tenant_id = $1', [tenant])
    assert.deepEqual(sequence.rows, [{ last: '25000', purged: '23999' }])
  })

  test('a lost listening connection delays events and loses none', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    const stream = feed.tenantEvents(tenant, { after: formatSequence(0), kinds: null, minIntervalMs: 0 })
    await writer.append(tenant, run, [progress(1)])
    await next(stream)
    const waiting = take(stream, 20)
    for (let read = 2; read <= 21; read += 1) {
      await writer.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'portage events' and datname = current_database()",
      )
      await writer.append(tenant, run, [progress(read)])
    }
    assert.deepEqual(
      (await waiting).map(outline),
      Array.from({ length: 20 }, (_, index) => `read ${index + 2}`),
    )
    assert.ok(warnings.length > 0)
    await stream.return?.()
  })

  test('an event that is committed while a stream is being started is not left to the poll', async () => {
    const tenant = await writer.tenant()
    const run = await writer.run(tenant)
    const looked = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    // The first look at the tenant is answered late, when what it saw is not true any more.
    const slow: TenantSource = {
      transaction: async (tenantId, work) => {
        const result = await source.transaction(tenantId, work)
        looked.resolve()
        await release.promise
        return result
      },
    }
    const heard = Promise.withResolvers<void>()
    const listener = await listen({
      url: database.apiUrl,
      applicationName: 'test listener',
      channels: ['portage_events'],
      onNotify: () => heard.resolve(),
      onConnected: () => undefined,
      onError: heard.reject,
    })
    const own = new EventFeed({ source: slow, listenerUrl: database.apiUrl, log })
    await own.start()
    const started = performance.now()
    const stream = own.tenantEvents(tenant, { after: formatSequence(0), kinds: null })
    await looked.promise
    await writer.append(tenant, run, [progress(1)])
    await heard.promise
    // Both listeners are told at the same moment; one round trip later the other one has heard it too.
    await writer.query('select 1')
    release.resolve()
    assert.equal(outline(await next(stream)), 'read 1')
    const waited = performance.now() - started
    assert.ok(waited < EVENT_POLL_MS / 2, `after ${waited} ms`)
    await own.close()
    await listener.close()
  })

  test('ends a waiting stream by return, by signal and when the feed closes', async () => {
    const tenant = await writer.tenant()
    const own = new EventFeed({ source, listenerUrl: database.apiUrl, log })
    await own.start()
    const abort = new AbortController()
    const byReturn = own.tenantEvents(tenant, { after: null, kinds: null })
    const bySignal = own.tenantEvents(tenant, { after: null, kinds: null, signal: abort.signal })
    const byClose = own.tenantEvents(tenant, { after: null, kinds: null })
    const waiting = [byReturn, bySignal, byClose].map((stream) => stream.next())
    assert.equal(own.stats().subscribers, 3)
    await byReturn.return?.()
    abort.abort()
    assert.deepEqual(await Promise.all(waiting.slice(0, 2)), Array(2).fill({ value: undefined, done: true }))
    assert.equal(own.stats().subscribers, 1)
    await own.close()
    assert.deepEqual(await waiting[2], { value: undefined, done: true })
    assert.deepEqual(own.stats(), { tenants: 0, subscribers: 0, sharedBytes: 0, subscriberBytes: 0 })
    const late = own.stats()
    assert.throws(() => own.tenantEvents(tenant, { after: null, kinds: null }), /closed/)
    assert.deepEqual(own.stats(), late)
    const aborted = feed.tenantEvents(tenant, { after: null, kinds: null, signal: AbortSignal.abort() })
    assert.equal((await aborted.next()).done, true)
  })
})
