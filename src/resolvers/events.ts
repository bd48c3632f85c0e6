import 'reflect-metadata'
import { Arg, Ctx, ID, Int, Resolver, Root, Subscription } from 'type-graphql'
import { maskIssue } from '../access/privacy.js'
import type { RunEvent } from '../events.js'
import { decodeId, encodeId } from '../ids.js'
import { MIN_INTERVAL_DEFAULT_MS } from '../limits.js'
import { recordTypes } from '../records/index.js'
import type { RunKind } from '../runs/types.js'
import { RunKindEnum } from '../schema/enums.js'
import { RunEventInterface } from '../schema/events.js'
import { type ApiContext, may } from './context.js'
import { requirePermission } from './permission.js'
import { asked } from './refusals.js'

interface Subscribed<A> {
  readonly args: A
  readonly context: ApiContext
}

interface StreamArgs {
  readonly after?: string | null
  readonly minIntervalMs?: number | null
}

@Resolver()
export class EventResolver {
  @Subscription(() => RunEventInterface, {
    description:
      'What happens to one run: everything since `after`, then live. Never ends by itself, because an undo may follow.',
    subscribe: ({ args, context }: Subscribed<StreamArgs & { readonly runId: string }>) => {
      requirePermission(context, 'Subscription.runEvents')
      const { events } = context.services
      const { tenantId } = context.caller
      const runId = decodeId('run', args.runId)
      return opened(context, runId, args.after ?? null, () =>
        events.runEvents(tenantId, runId, { after: args.after ?? null, ...pace(args), signal: context.signal }),
      )
    },
  })
  runEvents(
    @Root() event: RunEvent,
    @Ctx() context: ApiContext,
    @Arg('runId', () => ID) _runId: string,
    @Arg('after', () => String, { nullable: true }) _after?: string | null,
    @Arg('minIntervalMs', () => Int, { nullable: true, defaultValue: MIN_INTERVAL_DEFAULT_MS }) _minIntervalMs?:
      | number
      | null,
  ): Promise<object> {
    return showEvent(context, event)
  }

  @Subscription(() => RunEventInterface, {
    description: 'What happens to all runs: everything since `after`, then live; from now on with `after: null`.',
    subscribe: ({ args, context }: Subscribed<StreamArgs & { readonly kinds?: RunKind[] | null }>) => {
      requirePermission(context, 'Subscription.tenantEvents')
      const { events } = context.services
      const { tenantId } = context.caller
      return opened(context, null, args.after ?? null, () =>
        events.tenantEvents(tenantId, {
          after: args.after ?? null,
          kinds: args.kinds ?? null,
          ...pace(args),
          signal: context.signal,
        }),
      )
    },
  })
  tenantEvents(
    @Root() event: RunEvent,
    @Ctx() context: ApiContext,
    @Arg('after', () => String, { nullable: true }) _after?: string | null,
    @Arg('kinds', () => [RunKindEnum], { nullable: true }) _kinds?: RunKind[] | null,
    @Arg('minIntervalMs', () => Int, { nullable: true, defaultValue: MIN_INTERVAL_DEFAULT_MS }) _minIntervalMs?:
      | number
      | null,
  ): Promise<object> {
    return showEvent(context, event)
  }
}

function pace({ minIntervalMs }: StreamArgs): { readonly minIntervalMs?: number } {
  return minIntervalMs == null ? {} : { minIntervalMs }
}

/** The stream, or the refusal that it would end with at once: a subscriber hears of a wrong id before it is subscribed. */
function opened(
  context: ApiContext,
  runId: string | null,
  after: string | null,
  open: () => AsyncIterableIterator<RunEvent>,
): Promise<AsyncIterable<RunEvent>> {
  return asked(async () => {
    await context.services.events.check(context.caller.tenantId, runId, after)
    return open()
  })
}

async function showEvent(context: ApiContext, event: RunEvent): Promise<object> {
  if (event.type === 'StreamGap') {
    return event
  }
  const shown = { ...event, runId: encodeId('run', event.runId) }
  if (event.type !== 'RowsSettled' || event.issues.length === 0 || may(context, 'PII_READ')) {
    return shown
  }
  const name = await context.loaders.recordTypeOfRun(event.runId)
  return { ...shown, issues: name === null ? [] : event.issues.map((issue) => maskIssue(recordTypes[name], issue)) }
}
