import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql'
import { Refusal } from '../errors.js'
import { Hidden } from '../hidden.js'
import { decodeId, encodeId } from '../ids.js'
import { DISCOVER_MS_MAX } from '../limits.js'
import { budgetUses } from '../runs/api-budget.js'
import {
  beginIntegration,
  browserCookie,
  claimState,
  completeIntegration,
  findIntegration,
  type IntegrationRow,
  listIntegrations,
  revokeIntegration,
} from '../runs/integrations.js'
import { listObjects } from '../runs/vendors.js'
import type { Typed } from '../schema/common.js'
import type { CrmSystemEnum } from '../schema/enums.js'
import {
  ApiUsage,
  CrmObject,
  Integration,
  IntegrationBeginInput,
  IntegrationBeginPayload,
  IntegrationCompleteInput,
  IntegrationPayload,
  IntegrationRevokeInput,
} from '../schema/integrations.js'
import type { CrmSystem } from '../systems.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { recordTypeEnum } from './views.js'

/** A code that is longer is none of a CRM's. Characters. */
const CODE_LENGTH_MAX = 4096

/** An integration as the API shows it. Of its tokens nothing is. */
export function showIntegration(row: IntegrationRow): Integration & Typed & { readonly id: string } {
  return {
    __typename: 'Integration',
    id: encodeId('integration', row.id),
    system: row.system.toUpperCase() as Uppercase<CrmSystem>,
    status: row.status,
    statusReason: row.statusReason,
    accountName: row.accountName,
    scopes: row.scopes,
    connectedAt: row.connectedAt,
  }
}

@Resolver()
export class IntegrationResolver {
  @Query(() => [Integration], {
    description: 'CRMs that the tenant has connected, newest first, those that are revoked among them.',
  })
  async integrations(@Ctx() context: ApiContext): Promise<Integration[]> {
    requirePermission(context, 'Query.integrations')
    const rows = await inTenant(context, listIntegrations)
    return rows.map(showIntegration)
  }

  @Query(() => [CrmObject], {
    complexity: 50,
    description: 'What there is to move in, as the CRM says it now: this asks it.',
  })
  integrationObjects(
    @Ctx() context: ApiContext,
    @Arg('integrationId', () => ID) integrationId: string,
  ): Promise<CrmObject[]> {
    requirePermission(context, 'Query.integrationObjects')
    return asked(async () => {
      const signal = AbortSignal.any([context.signal, AbortSignal.timeout(DISCOVER_MS_MAX)])
      const id = decodeId('integration', integrationId)
      if ((await inTenant(context, (tx) => findIntegration(tx, id))) === null) {
        throw new Refusal('NOT_FOUND', 'There is no integration with this id.', ['integrationId'])
      }
      const objects = await listObjects(context.services.openVendor, context.caller.tenantId, id, signal)
      return objects.map(({ suggestedRecordType, fields, ...object }) => ({
        ...object,
        suggestedRecordType: suggestedRecordType === null ? null : recordTypeEnum(suggestedRecordType),
        fields: fields.map(({ options, ...field }) => ({
          ...field,
          options: options?.map(({ value }) => value) ?? null,
        })),
      }))
    })
  }

  @Mutation(() => IntegrationBeginPayload, {
    description:
      'Begins to connect a CRM. Where `redirectUri` is this service’s own page, the answer sets a cookie in the browser that asked: only there the sign-in can be completed.',
  })
  integrationBegin(
    @Ctx() context: ApiContext,
    @Arg('input', () => IntegrationBeginInput) input: IntegrationBeginInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.integrationBegin')
    return settled({ integration: null, authorizationUrl: null }, async () => {
      const { begun, row } = await inTenant(context, async (tx) => {
        const made = await beginIntegration(tx, context.services.config, {
          system: systemOf(input.system),
          redirectUri: input.redirectUri,
          sandbox: input.sandbox ?? false,
          host: input.host ?? null,
          actor: context.caller.actor,
        })
        return { begun: made, row: await findIntegration(tx, made.integrationId) }
      })
      if (begun.browserSecret !== null) {
        const state = new URL(begun.authorizationUrl).searchParams.get('state') ?? ''
        context.setCallbackCookie?.(browserCookie(state), begun.browserSecret.reveal())
      }
      return { integration: row === null ? null : showIntegration(row), authorizationUrl: begun.authorizationUrl }
    })
  }

  @Mutation(() => IntegrationPayload, {
    description:
      'Completes a sign-in with what the CRM gave the page of `redirectUri`. Only for who began it, once, within ten minutes. An account that was connected before answers its earlier integration.',
  })
  integrationComplete(
    @Ctx() context: ApiContext,
    @Arg('input', () => IntegrationCompleteInput) input: IntegrationCompleteInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.integrationComplete')
    return settled({ integration: null }, async () => {
      const { config, database } = context.services
      const { tenantId, actor } = context.caller
      const claimed = await claimState(database, config, input.state, { kind: 'caller', tenantId, actor })
      const row = await completeIntegration(database, config, claimed, { code: codeOf(input.code), issuer: null })
      return { integration: showIntegration(row) }
    })
  }

  @Mutation(() => IntegrationPayload, {
    description: 'Ends a connection here at once, and at the CRM if that answers. Records stay.',
  })
  integrationRevoke(
    @Ctx() context: ApiContext,
    @Arg('input', () => IntegrationRevokeInput) input: IntegrationRevokeInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.integrationRevoke')
    return settled({ integration: null }, async () => {
      const { config, database } = context.services
      const id = decodeId('integration', input.integrationId)
      const row = await revokeIntegration(database, config, context.caller.tenantId, id)
      return { integration: showIntegration(row) }
    })
  }
}

@Resolver(() => Integration)
export class IntegrationUsageResolver {
  @FieldResolver(() => ApiUsage, { nullable: true, description: 'Null: nothing has been asked of it yet.' })
  async apiUsage(@Root() root: Integration, @Ctx() context: ApiContext): Promise<ApiUsage | null> {
    const id = decodeId('integration', (root as Integration & { readonly id: string }).id)
    const uses = await inTenant(context, (tx) => budgetUses(tx, [id]))
    return uses.get(id) ?? null
  }
}

function systemOf(value: keyof typeof CrmSystemEnum): CrmSystem {
  return value.toLowerCase() as Lowercase<typeof value>
}

/** What may be sent on to a vendor as a code. */
function codeOf(code: string): Hidden {
  if (code === '' || code.length > CODE_LENGTH_MAX || !/^[\x20-\x7e]+$/.test(code)) {
    throw new Refusal('INVALID_INPUT', 'This is no code of a CRM.', ['code'])
  }
  return new Hidden(code)
}
