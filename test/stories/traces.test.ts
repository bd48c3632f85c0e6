/** From what somebody asks to the last chunk of what it leads to: one trace, in the spans that are sent and in the log. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { flushSpans, startTracing } from '../../src/tracing.js'
import { type Actor, authorization, type Json, World } from '../server/world.js'

interface Sent {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes: readonly { readonly key: string; readonly value: Json }[]
}

let world: World
let ada: Actor
let endTracing: () => Promise<void>
/** Spans that have come. */
const spans: Sent[] = []
const logged: string[] = []

const receiver = createServer((request, response) => {
  void text(request).then((body) => {
    if (request.url === '/v1/traces') {
      for (const { scopeSpans } of JSON.parse(body).resourceSpans) {
        spans.push(...scopeSpans.flatMap(({ spans: own }: Json) => own))
      }
    }
    response.setHeader('content-type', 'application/json').end('{}')
  })
})

before(async () => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
    const line = typeof chunk === 'string' ? chunk : ''
    if (line.startsWith('{"level"')) {
      logged.push(line)
      return true
    }
    return write(chunk, ...rest)
  }) as typeof process.stdout.write
  receiver.listen(0, '127.0.0.1')
  await once(receiver, 'listening')
  endTracing = await startTracing({
    endpoint: `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`,
    process: 'test',
    share: 1,
  })
  world = await World.start({ settings: { PORTAGE_LOG_LEVEL: 'debug', PORTAGE_CHUNK_ROWS: '500' } })
  ada = await world.actor(await world.tenant())
})
after(async () => {
  await world.close()
  await endTracing()
  receiver.closeAllConnections()
  receiver.close()
})

/** Asks with a trace of its own, as a caller that is traced itself. Answers the data and that trace. */
async function traced(
  query: string,
): Promise<{ readonly data: Json; readonly traceId: string; readonly spanId: string }> {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  const answer = await fetch(`${world.url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      traceparent: `00-${traceId}-${spanId}-01`,
      ...authorization(ada),
    },
    body: JSON.stringify({ query }),
  })
  const { data, errors } = JSON.parse(await answer.text())
  assert.equal(errors, undefined)
  return { data, traceId, spanId }
}

/** Spans of a trace, when its runs have been handed back, which is a moment after their ends, and everything has been sent. */
async function spansOf(traceId: string): Promise<readonly Sent[]> {
  const said = (message: string) =>
    logged.filter((line) => line.includes(`"traceId":"${traceId}"`) && line.includes(`"msg":"${message}"`)).length
  for (const started = performance.now(); said('a run was taken up') > said('a run was handed back'); ) {
    assert.ok(performance.now() - started < 20_000, 'a run was not handed back')
    await new Promise((resolve) => setImmediate(resolve))
  }
  await flushSpans()
  return spans.filter((span) => span.traceId === traceId)
}

const only = (found: readonly Sent[], name: string): Sent => {
  const [one, ...others] = found.filter((span) => span.name === name)
  assert.ok(one !== undefined && others.length === 0, `${name}: ${found.map((span) => span.name).join()}`)
  return one
}

// What terminals obey, and what would be a line of its own.
const evil = `\\u001b[2J{"level":"info","msg":"forged"}`

test('one trace leads from the request through the queue to each chunk, whatever kind of run it is [OB-2]', async () => {
  const uploaded = await world.upload(
    ada,
    'mutation ($input: FileUploadInput!) { fileUpload(input: $input) { file { id } userErrors { message } } }',
    {},
    [
      'E-mail,Last name',
      ...Array.from({ length: 3000 }, (_, n) => `p${n}@example.com,"${evil.replaceAll('"', '""')}\n${n}"`),
    ].join('\n'),
  )
  const file = uploaded.data.fileUpload.file.id
  const imported = await traced(
    `mutation { importCreate(input: { fileId: "${file}", recordType: CONTACT, idempotencyKey: "traced import", confirmation: ALWAYS,
       mapping: [{ column: "E-mail", field: "email" }, { column: "Last name", field: "lastName" }] }) { importRun { id } } }`,
  )
  const id = imported.data.importCreate.importRun.id
  assert.match(await world.rested(ada, id), /^COMPLETED/)
  const of = await spansOf(imported.traceId)
  const request = only(of, 'POST')
  assert.equal(request.parentSpanId, imported.spanId, 'the caller’s span is the parent')
  const jobs = of.filter(({ name }) => name === 'run IMPORT')
  assert.ok(jobs.length > 0 && jobs.every(({ parentSpanId }) => parentSpanId === request.spanId))
  const chunks = of.filter(({ name }) => name === 'chunk')
  assert.ok(chunks.length > 1 && chunks.every(({ parentSpanId }) => jobs.some(({ spanId }) => spanId === parentSpanId)))

  const others = [
    `mutation { exportCreate(input: { recordType: CONTACT, idempotencyKey: "e" }) { exportRun { id } } }`,
    `mutation { auditExport(input: { idempotencyKey: "a" }) { run { id } } }`,
    `mutation { bundleExport(input: { idempotencyKey: "b" }) { bundleRun { id } } }`,
    `mutation { runRollback(input: { runId: "${id}", idempotencyKey: "r" }) { rollbackRun { id } } }`,
  ]
  for (const query of others) {
    const asked = await traced(query)
    const [payload] = Object.values(asked.data) as [Record<string, { readonly id: string }>]
    const [run] = Object.values(payload)
    await world.rested(ada, run?.id ?? '')
    const found = await spansOf(asked.traceId)
    const from = only(found, 'POST')
    assert.ok(
      found.some(({ name, parentSpanId }) => name.startsWith('run ') && parentSpanId === from.spanId),
      query,
    )
  }
  const { rows } = await world.oracle.query<{ runs: number; traces: number }>(
    'select count(*)::int as runs, count(distinct substr(trace, 4, 32))::int as traces from run where tenant_id = $1 and trace is not null',
    [ada.tenantId],
  )
  assert.deepEqual(rows[0], { runs: 5, traces: 5 })
  // Nothing of a record is in a span.
  assert.ok(!JSON.stringify(spans).includes('@example.com'))
})

test('every line of a job bears tenant, run and trace, and no data makes a line of its own [OB-2]', async () => {
  const { rows } = await world.oracle.query<{ id: string; trace: string }>(
    'select id, substr(trace, 4, 32) as trace from run where tenant_id = $1',
    [ada.tenantId],
  )
  const traces = new Map(rows.map(({ id, trace }) => [id, trace]))
  const lines = logged.map((line): Json => {
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(line.slice(0, -1), /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/)
    return JSON.parse(line)
  })
  assert.ok(!lines.some(({ msg }) => msg === 'forged'))
  const jobs = lines.filter(({ runId, msg }) => runId !== undefined || msg.startsWith('a run '))
  assert.ok(jobs.length >= 2 * rows.length)
  for (const line of jobs) {
    assert.equal(line.tenantId, ada.tenantId)
    assert.equal(line.traceId, traces.get(line.runId), JSON.stringify(line))
  }
  assert.ok(!logged.some((line) => (line.match(/"runId"/g) ?? []).length > 1), 'no name stands twice in a line')
})

test('a receiver that is away costs spans and nothing else; what is no trace context is not taken for one', async () => {
  receiver.closeAllConnections()
  await new Promise((resolve) => receiver.close(resolve))
  for (const traceparent of [
    '',
    'nonsense',
    `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01`,
    `01-${'a'.repeat(32)}-x-01`,
  ]) {
    const answer = await fetch(`${world.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent, ...authorization(ada) },
      body: JSON.stringify({ query: '{ viewer { actor } }' }),
    })
    assert.equal(answer.status, 200)
  }
  assert.equal((await fetch(`${world.url}/readyz`)).status, 200)
})
