import 'reflect-metadata'
import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql'
import type { Tx } from '../db/tx.js'
import { addressOf, preferencesOf, savePreferences } from '../runs/notifications.js'
import {
  NotificationPreferences,
  NotificationPreferencesInput,
  NotificationPreferencesPayload,
} from '../schema/notifications.js'
import { type ApiContext, inTenant, may } from './context.js'
import { forbidden, requirePermission } from './permission.js'
import { settled } from './refusals.js'

@Resolver()
export class NotificationResolver {
  @Query(() => NotificationPreferences)
  notificationPreferences(@Ctx() context: ApiContext): Promise<NotificationPreferences> {
    requirePermission(context, 'Query.notificationPreferences')
    return inTenant(context, (tx) => shown(context, tx))
  }

  @Mutation(() => NotificationPreferencesPayload)
  notificationPreferencesUpdate(
    @Ctx() context: ApiContext,
    @Arg('input', () => NotificationPreferencesInput) input: NotificationPreferencesInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.notificationPreferencesUpdate')
    if (input.tenantEmails != null && !may(context, 'SETTINGS_MANAGE')) {
      throw forbidden('SETTINGS_MANAGE')
    }
    return settled({ preferences: null }, () =>
      inTenant(context, async (tx) => {
        await savePreferences(tx, context.caller.actor, {
          tenantEmails: input.tenantEmails ?? undefined,
          myEmails: input.myEmails ?? undefined,
        })
        return { preferences: await shown(context, tx) }
      }),
    )
  }
}

async function shown(context: ApiContext, tx: Tx): Promise<NotificationPreferences> {
  const { actor } = context.caller
  return {
    ...(await preferencesOf(tx, actor)),
    myAddress: addressOf(actor),
    mailConfigured: context.services.config.mail !== null,
  }
}
