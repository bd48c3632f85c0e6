/** Rows off the wire: whole ones, all of them, in the form that was asked for, and errors to who reads. */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createTenant } from '../../src/access/tenants.js'
import { Lane, type LaneTx, sqlState } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { laneOptions } from '../../src/jobs/context.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Random } from '../helpers/random.js'

let db: TestDatabase
let lane: Lane
let tenantId: string
before(async () => {
  db = await freshDatabase()
  lane = await Lane.open(laneOptions(db.workerUrl, 'test'))
  tenantId = (await createTenant(db.ownerUrl, `tenant-${randomUUID()}`)).id
})
after(async () => {
  await lane.close()
  await db.drop()
})

const inSnapshot = <R>(work: (tx: LaneTx) => Promise<R>): Promise<R> => withTenant(lane.snapshot(), tenantId, work)

async function all(
  rows: AsyncIterable<Buffer>,
  each: (chunk: Buffer) => Promise<void> = async () => undefined,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of rows) {
    chunks.push(chunk)
    await each(chunk)
  }
  return Buffer.concat(chunks)
}

test('rows of any length come whole and in order, also to a slow reader', async () => {
  const random = new Random(7)
  const lengths = Array.from({ length: 400 }, (_, index) =>
    index % 100 === 50 ? 2_000_000 + random.below(1000) : random.below(20_000),
  )
  await inSnapshot(async (tx) => {
    const rows = tx.copyOut(
      `copy (select n, repeat(chr(97 + (n % 26)::int), l) from unnest('{${lengths.join(',')}}'::int[]) with ordinality as u (l, n)) to stdout`,
    )
    let open = 0
    const bytes = await all(rows, async (chunk) => {
      assert.equal(chunk.at(-1), 10, 'a buffer ends in the middle of a row')
      open += 1
      await turn()
    })
    assert.ok(open > 10)
    assert.equal(rows.rows, lengths.length)
    const lines = bytes.toString().split('\n')
    assert.equal(lines.length, lengths.length + 1)
    for (const [index, length] of lengths.entries()) {
      const letter = String.fromCharCode(97 + ((index + 1) % 26))
      assert.ok(lines[index] === `${index + 1}\t${letter.repeat(length)}`, `row ${index + 1}`)
    }
    // The connection is pg's own again.
    assert.deepEqual(await tx.query('select 1 as one'), [{ one: 1 }])
  })
})

test('something stands between rows, and behind them', async () => {
  await inSnapshot(async (tx) => {
    const csv = tx.copyOut(`copy (select e'a\\nb' from generate_series(1, 2)) to stdout (format csv)`, {
      lineEnd: '\r\n',
    })
    assert.equal((await all(csv)).toString(), '"a\nb"\r\n"a\nb"\r\n')
    const list = tx.copyOut('copy (select n from generate_series(1, 3) n) to stdout', { between: ',\n', lineEnd: '' })
    assert.equal((await all(list)).toString(), '1,\n2,\n3')
    assert.equal((await all(tx.copyOut('copy (select 1 where false) to stdout'))).byteLength, 0)
  })
})

test('an error comes to who reads, at once and in the middle, and the connection lives on', async () => {
  for (const sql of [
    'copy (select 1 / 0) to stdout',
    'copy (select 1 / (n - 50000) from generate_series(1, 100000) n) to stdout',
    'copy nothing',
  ]) {
    await assert.rejects(
      inSnapshot(async (tx) => {
        const rows = tx.copyOut(sql)
        // Whoever comes late is told as well.
        await turn()
        await turn()
        await all(rows)
      }),
      (error) => ['22012', '42601'].includes(sqlState(error) ?? ''),
    )
    assert.deepEqual(await inSnapshot((tx) => tx.query('select 1 as one')), [{ one: 1 }])
  }
})

test('a connection that is cut ends the rows with an error, and the transaction', async () => {
  const other = await Lane.open(laneOptions(db.workerUrl, 'test cut'))
  await assert.rejects(
    withTenant(other.snapshot(), tenantId, async (tx) => {
      const rows = tx.copyOut(`copy (select repeat('x', 1000) from generate_series(1, 100000)) to stdout`)
      for await (const chunk of rows) {
        assert.ok(chunk.byteLength > 0)
        other.destroy()
      }
    }),
  )
  assert.notEqual(other.broken, null)
  await other.close()
})

test('a snapshot sees what was there when it began, writes nothing, and can be shared', async () => {
  const second = await Lane.open(laneOptions(db.workerUrl, 'test second'))
  const last = 'select last from tenant_sequence'
  const add = 'update tenant_sequence set last = last + 1'
  await inSnapshot(async (tx) => {
    const before = await tx.query(last)
    const [name] = await tx.query<{ name: string }>('select pg_export_snapshot() as name')
    await withTenant(second, tenantId, (other) => other.query(add))
    assert.deepEqual(await tx.query(last), before)
    const shared = await withTenant(second.snapshot(name?.name), tenantId, (other) => other.query(last))
    assert.deepEqual(shared, before)
    assert.notDeepEqual(await withTenant(second, tenantId, (other) => other.query(last)), before)
  })
  await assert.rejects(
    inSnapshot((tx) => tx.query(add)),
    /read-only/,
  )
  await second.close()
})
