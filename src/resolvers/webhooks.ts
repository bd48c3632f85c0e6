import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { decodeId, encodeId } from '../ids.js'
import {
  type DeliveryRow,
  deleteWebhook,
  findWebhook,
  lastDeliveries,
  listDeliveries,
  listWebhooks,
  replayDelivery,
  saveWebhook,
  type WebhookRow,
} from '../runs/webhooks.js'
import type { Typed } from '../schema/common.js'
import { IdInput } from '../schema/custom-fields.js'
import {
  Webhook,
  WebhookDeleteInput,
  WebhookDelivery,
  WebhookDeliveryConnection,
  WebhookPayload,
  WebhookSaveInput,
} from '../schema/notifications.js'
import { type ApiContext, inTenant } from './context.js'
import { connection, pageRequest } from './pages.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'

/** A webhook as the API shows it; never its secret. */
export function showWebhook(row: WebhookRow): Webhook & Typed & { readonly id: string } {
  return {
    __typename: 'Webhook',
    id: encodeId('webhook', row.id),
    url: row.url,
    events: row.events,
    createdAt: row.createdAt,
    disabledAt: row.disabledAt,
  }
}

function showDelivery(row: DeliveryRow): WebhookDelivery {
  return {
    id: encodeId('webhookDelivery', row.id),
    at: row.attemptedAt ?? row.createdAt,
    status: row.status,
    succeeded: row.succeededAt !== null,
    attempts: row.attempts,
    event: row.event,
    runId: row.runId === null ? null : encodeId('run', row.runId),
    error: row.error,
    nextAttemptAt: row.nextAttemptAt,
  }
}

@Resolver()
export class WebhookResolver {
  @Query(() => [Webhook], { description: 'The newest first.' })
  async webhooks(@Ctx() context: ApiContext): Promise<Webhook[]> {
    requirePermission(context, 'Query.webhooks')
    return (await inTenant(context, listWebhooks)).map(showWebhook)
  }

  @Mutation(() => WebhookPayload)
  webhookSave(
    @Ctx() context: ApiContext,
    @Arg('input', () => WebhookSaveInput) input: WebhookSaveInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.webhookSave')
    return settled({ webhook: null, secret: null }, () =>
      inTenant(context, async (tx) => {
        const { id, secret } = await saveWebhook(tx, context.services.config, {
          id: input.id == null ? null : decodeId('webhook', input.id),
          url: input.url,
          events: input.events,
          rotateSecret: input.rotateSecret === true,
          actor: context.caller.actor,
        })
        const webhook = await findWebhook(tx, id)
        return { webhook: webhook === null ? null : showWebhook(webhook), secret: secret?.reveal() ?? null }
      }),
    )
  }

  @Mutation(() => WebhookPayload, { description: 'Nothing more is sent to it, and its log goes with it.' })
  webhookDelete(
    @Ctx() context: ApiContext,
    @Arg('input', () => WebhookDeleteInput) input: WebhookDeleteInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.webhookDelete')
    return settled({ webhook: null, secret: null }, async () => {
      const webhook = await inTenant(context, (tx) => deleteWebhook(tx, decodeId('webhook', input.id)))
      return { webhook: showWebhook(webhook), secret: null }
    })
  }

  @Mutation(() => WebhookPayload, {
    description:
      'Sends the delivery with this id once more: the same id, the same body, a new timestamp and signature.',
  })
  webhookDeliveryReplay(@Ctx() context: ApiContext, @Arg('input', () => IdInput) input: IdInput): Promise<object> {
    requirePermission(context, 'Mutation.webhookDeliveryReplay')
    return settled({ webhook: null, secret: null }, async () => {
      const webhook = await inTenant(context, (tx) => replayDelivery(tx, decodeId('webhookDelivery', input.id)))
      return { webhook: showWebhook(webhook), secret: null }
    })
  }
}

@Resolver(() => Webhook)
export class WebhookFieldsResolver {
  @FieldResolver(() => WebhookDelivery, {
    nullable: true,
    description: 'The newest that was attempted; null: none was.',
  })
  async lastDelivery(
    @Root() webhook: Webhook & { readonly id: string },
    @Ctx() context: ApiContext,
  ): Promise<WebhookDelivery | null> {
    const id = decodeId('webhook', webhook.id)
    const last = await inTenant(context, (tx) => lastDeliveries(tx, [id]))
    const row = last.get(id)
    return row === undefined ? null : showDelivery(row)
  }

  @FieldResolver(() => WebhookDeliveryConnection, { description: 'The newest first.' })
  deliveries(
    @Root() webhook: Webhook & { readonly id: string },
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
  ): Promise<WebhookDeliveryConnection> {
    return asked(async () =>
      connection(
        await inTenant(context, (tx) => listDeliveries(tx, decodeId('webhook', webhook.id), pageRequest(first, after))),
        showDelivery,
      ),
    )
  }
}
