/**
 * Traces: one for a request and for everything that a run does because of it, in whatever process. Every request and every run has
 * the id of one, which stands in all log lines about it; spans are made of it and sent only where an endpoint is configured. The
 * only place that knows OpenTelemetry, which is loaded with an endpoint and not before.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { randomBytes } from 'node:crypto'
import type { Attributes, Span, SpanKind, Tracer } from '@opentelemetry/api'

/** Data of a span. Ids, codes and counts, as in logs; never values of records or addresses of people. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

/** What is under way. */
interface Scope {
  /** As W3C Trace Context has it: `00-<trace>-<span>-<flags>`. */
  readonly traceparent: string
  readonly tenantId: string | null
  readonly runId: string | null
}

/** Where spans are sent. */
export interface TracingOptions {
  /** Of an OTLP receiver over HTTP, e.g. `http://localhost:4318`; spans go to `/v1/traces` below it. */
  readonly endpoint: string
  /** Which process it is: `api`, `worker`. */
  readonly process: string
  /** Share of traces that are sent, 0 to 1. All spans of one trace are, or none. */
  readonly share: number
}

interface Telemetry {
  readonly api: typeof import('@opentelemetry/api')
  readonly tracer: Tracer
  readonly flush: () => Promise<void>
}

const scopes = new AsyncLocalStorage<Scope>()

let telemetry: Telemetry | null = null

/** A receiver that is away does not hold up the end of a process for longer. Milliseconds. */
const FAREWELL_MS = 1000

/** The name by which spans say what made them. */
const LIBRARY = 'portage'

/**
 * Begins to send spans. Answers what ends it, with what has not been sent yet; a receiver that is away costs spans and nothing
 * else.
 */
export async function startTracing({ endpoint, process, share }: TracingOptions): Promise<() => Promise<void>> {
  const [api, sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const provider = new sdk.TracerProvider({
    resource: resourceFromAttributes({ 'service.name': LIBRARY, 'service.instance.id': process }),
    // By the id of the trace: every process decides alike.
    sampler: new sdk.TraceIdRatioBasedSampler(share),
    spanProcessors: [
      new sdk.BatchSpanProcessor({
        exporter: new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces` }),
      }),
    ],
  })
  telemetry = { api, tracer: provider.getTracer(LIBRARY), flush: () => provider.forceFlush() }
  return async () => {
    telemetry = null
    const patience = new Promise((resolve) => setTimeout(resolve, FAREWELL_MS).unref())
    await Promise.race([provider.shutdown().catch(() => undefined), patience])
  }
}

/** Sends what waits. For tests. */
export async function flushSpans(): Promise<void> {
  await telemetry?.flush()
}

/** A trace context as somebody sent it; null where it is none. */
export function readTraceparent(text: string | undefined): string | null {
  const found = /^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(text ?? '')
  return found === null || /^0+$/.test(found[1] ?? '') || /^0+$/.test(found[2] ?? '') ? null : (text ?? null)
}

/** The context of what is under way, to be handed to what follows of it; null outside. */
export function currentTrace(): string | null {
  return scopes.getStore()?.traceparent ?? null
}

/** Fields of log lines about what is under way. */
export function traceFields(): { readonly traceId?: string; readonly tenantId?: string; readonly runId?: string } {
  const scope = scopes.getStore()
  if (scope === undefined) {
    return {}
  }
  const { traceparent, tenantId, runId } = scope
  return {
    traceId: traceparent.slice(3, 35),
    ...(tenantId === null ? {} : { tenantId }),
    ...(runId === null ? {} : { runId }),
  }
}

/** A context below `parent`, or of a new trace. */
export function newTraceparent(parent: string | null): string {
  const [, trace = randomBytes(16).toString('hex'), , flags = '00'] = parent?.split('-') ?? []
  return `00-${trace}-${randomBytes(8).toString('hex')}-${flags}`
}

/** Something that is under way. */
export interface SpanInHand {
  readonly traceparent: string
  set(attributes: SpanAttributes): void
  /** Ends it; with what went wrong, of which only its kind is told. */
  end(error?: unknown): void
}

export type Role = 'server' | 'consumer' | 'internal'

export interface SpanOptions {
  /** What it follows of: a context of another process, or null for a new trace. Default: what is under way. */
  readonly parent?: string | null
  readonly role?: Role
  readonly attributes?: SpanAttributes
}

/** Begins a span; whoever does ends it. */
export function beginSpan(name: string, options: SpanOptions = {}): SpanInHand {
  return spanAt(name, options, undefined)
}

function spanAt(name: string, options: SpanOptions, startedAt: number | undefined): SpanInHand {
  const parent = options.parent === undefined ? currentTrace() : options.parent
  if (telemetry === null) {
    return { traceparent: newTraceparent(parent), set: () => undefined, end: () => undefined }
  }
  const { api, tracer } = telemetry
  const span = tracer.startSpan(
    name,
    {
      kind: kindOf(api, options.role ?? 'internal'),
      attributes: { ...options.attributes } satisfies Attributes,
      ...(startedAt === undefined ? {} : { startTime: startedAt }),
    },
    parentContext(api, parent),
  )
  const { traceId, spanId, traceFlags } = span.spanContext()
  return {
    traceparent: `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`,
    set: (attributes) => void span.setAttributes({ ...attributes }),
    end: (error) => end(api, span, error),
  }
}

/** Does something within a span: what is logged meanwhile bears its trace, and further spans are below it. */
export async function inSpan<R>(
  name: string,
  options: SpanOptions & { readonly tenantId?: string; readonly runId?: string },
  work: (span: SpanInHand) => Promise<R>,
): Promise<R> {
  const span = beginSpan(name, options)
  try {
    const result = await within(span.traceparent, options, () => work(span))
    span.end()
    return result
  } catch (error) {
    span.end(error)
    throw error
  }
}

/** Does something within a context. */
export function within<R>(
  traceparent: string,
  about: { readonly tenantId?: string; readonly runId?: string },
  work: () => R,
): R {
  return scopes.run({ traceparent, tenantId: about.tenantId ?? null, runId: about.runId ?? null }, work)
}

/** Writes down a span that has ended, below what is under way. `ms`: how long it took, until now. */
export function recordSpan(name: string, ms: number, attributes: SpanAttributes): void {
  if (telemetry !== null) {
    spanAt(name, { attributes }, Date.now() - ms).end()
  }
}

function kindOf(api: Telemetry['api'], role: Role): SpanKind {
  switch (role) {
    case 'server':
      return api.SpanKind.SERVER
    case 'consumer':
      return api.SpanKind.CONSUMER
    case 'internal':
      return api.SpanKind.INTERNAL
    default:
      return role satisfies never
  }
}

function parentContext(api: Telemetry['api'], parent: string | null) {
  if (parent === null) {
    return api.ROOT_CONTEXT
  }
  const [, traceId = '', spanId = ''] = parent.split('-')
  return api.trace.setSpanContext(api.ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: api.TraceFlags.SAMPLED,
    isRemote: true,
  })
}

function end(api: Telemetry['api'], span: Span, error: unknown): void {
  if (error !== undefined) {
    const { name, code } = error as { readonly name?: unknown; readonly code?: unknown }
    // Messages may quote what somebody typed.
    span.setAttribute('error.type', typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown')
    span.setStatus({ code: api.SpanStatusCode.ERROR })
  }
  span.end()
}
