/**
 * Metrics in Prometheus form. Base units, `_total`, `_seconds`, `_bytes`; no tenant, run or user as a label, so that
 * the number of series does not grow with customers.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** All metrics of this process. */
export const registry = new Registry()

/** GraphQL operations by type and result; `name` is not a label because callers choose it. */
export const operationSeconds = new Histogram({
  name: 'portage_graphql_operation_seconds',
  help: 'Time of GraphQL operations, from parsing to answer.',
  labelNames: ['type', 'result'] as const,
  buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
  registers: [registry],
})

/**
 * Each operation by its name and what became of it: `ok`, `refused` by a rule, `denied`, or `error` for a fault of ours. Of a subscription: whether
 * it began.
 */
export const operations = new Counter({
  name: 'portage_operations_total',
  help: 'Fields of the root that were asked for.',
  labelNames: ['operation', 'result'] as const,
  registers: [registry],
})

/** How long each operation takes, its fields below left out. */
export const operationDuration = new Histogram({
  name: 'portage_operation_duration_seconds',
  help: 'Time of operations by name, without the fields below them.',
  labelNames: ['operation'] as const,
  buckets: [0.05, 0.25, 1, 5],
  registers: [registry],
})

/** Work of a worker on a run, from taking it up to handing it back; outcome: `done`, `more` to do, or `again` after a fault. */
export const jobSeconds = new Histogram({
  name: 'portage_job_seconds',
  help: 'Time from taking a run up to handing it back.',
  labelNames: ['kind', 'outcome'] as const,
  buckets: [0.1, 0.5, 2, 5, 15, 60, 300],
  registers: [registry],
})

/** Runs that are due and that no worker has. */
export const queuedRuns = new Gauge({
  name: 'portage_queue_runs',
  help: 'Runs that are due and not in hand.',
  registers: [registry],
})

/** How long the one of them has waited that has waited longest. */
export const queueAge = new Gauge({
  name: 'portage_queue_oldest_age_seconds',
  help: 'How long the oldest of the runs that are due has waited.',
  registers: [registry],
})

/** Since a worker has renewed its hold on a run, of all runs in hand the longest time. */
export const leaseAge = new Gauge({
  name: 'portage_lease_age_seconds',
  help: 'Time since the lease was renewed that was renewed longest ago.',
  registers: [registry],
})

/** Entries of the audit that wait to be sealed. */
export const unsealedEntries = new Gauge({
  name: 'portage_audit_unsealed_entries',
  help: 'Entries of the audit that are not sealed yet.',
  registers: [registry],
})

/** How old the oldest of them is. */
export const sealLag = new Gauge({
  name: 'portage_audit_seal_lag_seconds',
  help: 'Age of the oldest entry of the audit that is not sealed yet.',
  registers: [registry],
})

/** Runs in hand of this worker that make no progress. */
export const stalledRuns = new Gauge({
  name: 'portage_stalled_runs',
  help: 'Runs in hand that have made no progress for a minute.',
  registers: [registry],
})

/** How often a run has stopped to make progress. */
export const stalls = new Counter({
  name: 'portage_stalls_total',
  help: 'Times that a run in hand made no progress for a minute.',
  registers: [registry],
})

let countSubscriptions = (): number => 0

new Gauge({
  name: 'portage_subscriptions',
  help: 'Subscriptions that are open.',
  registers: [registry],
  collect() {
    this.set(countSubscriptions())
  },
})

/** How many subscriptions this process serves is asked for when somebody looks. */
export function measureSubscriptions(count: () => number): void {
  countSubscriptions = count
}

/** Chunk transactions by kind of run. */
export const chunkSeconds = new Histogram({
  name: 'portage_chunk_seconds',
  help: 'Time of chunk transactions, from begin to commit.',
  labelNames: ['kind'] as const,
  buckets: [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 15],
  registers: [registry],
})

/** Settled rows by outcome. */
export const rows = new Counter({
  name: 'portage_rows_total',
  help: 'Rows settled by committed chunks.',
  labelNames: ['outcome'] as const,
  registers: [registry],
})

/** Attempts to tell something outside; outcome: arrived, failed (tried again) or given up. */
export const notices = new Counter({
  name: 'portage_notices_total',
  help: 'Attempts at e-mails and webhook deliveries.',
  labelNames: ['channel', 'outcome'] as const,
  registers: [registry],
})

/** Ends of runs by kind and status. */
export const runsEnded = new Counter({
  name: 'portage_runs_ended_total',
  help: 'Runs that ended.',
  labelNames: ['kind', 'status'] as const,
  registers: [registry],
})

/** Files that were looked at for viruses, by what was said of them; `away`: the scanner did not answer. */
export const scans = new Counter({
  name: 'portage_virus_scans_total',
  help: 'Files that were looked at for viruses.',
  labelNames: ['verdict'] as const,
  registers: [registry],
})

/** Bytes of files that have arrived, by the road: `request` in one, `parts` in several. */
export const uploadBytes = new Counter({
  name: 'portage_upload_bytes_total',
  help: 'Bytes of files that have arrived and were stored.',
  labelNames: ['road'] as const,
  registers: [registry],
})

/** What another of our processes measured last, as its registry gave it. */
type Snapshot = object

const others = new Map<string, Snapshot>()

/**
 * Adds what Node knows about this process: CPU seconds, memory, event-loop lag. Every series carries `name` as its label
 * `process`, so that a restart is seen as one. Call once per process.
 */
export function measureProcess(name: string): void {
  registry.setDefaultLabels({ process: name })
  collectDefaultMetrics({ register: registry })
}

/** This process's metrics as plain data, to be sent to the process that serves them. */
export async function metricsSnapshot(): Promise<Snapshot> {
  return registry.getMetricsAsJSON()
}

/** Keeps what another process measured; `source` names it, and a newer snapshot replaces its older one. */
export function keepSnapshot(source: string, snapshot: Snapshot): void {
  others.set(source, snapshot)
}

/** Answers a request for /metrics: this process's own and the kept ones. */
export async function serveMetrics(_request: IncomingMessage, response: ServerResponse): Promise<void> {
  const own = await registry.getMetricsAsJSON()
  const all = AggregatorRegistry.aggregate([own, ...others.values()])
  response.setHeader('content-type', all.contentType)
  response.end(await all.metrics())
}

/** A server with nothing but /livez and /metrics, for a worker that runs alone. */
export async function startMetricsServer(host: string, port: number): Promise<Server> {
  const { createServer } = await import('node:http')
  const server = createServer((request, response) => {
    if (request.method === 'GET' && request.url === '/livez') {
      response.end('ok')
    } else if (request.method === 'GET' && request.url === '/metrics') {
      serveMetrics(request, response).catch(() => response.destroy())
    } else {
      response.statusCode = 404
      response.end()
    }
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve))
  return server
}
