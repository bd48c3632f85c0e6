import 'reflect-metadata'
import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql'
import { findApiKey } from '../access/apiKeys.js'
import { findEntry } from '../access/audit.js'
import { findMember } from '../access/members.js'
import { findSession } from '../access/uploadSessions.js'
import { findRecord } from '../adapters/crm/read.js'
import type { PoolTx } from '../db/database.js'
import { parseId } from '../ids.js'
import { findRule } from '../runs/business-rules.js'
import { findPair } from '../runs/duplicates.js'
import { findExportTemplate } from '../runs/export-templates.js'
import { findIntegration } from '../runs/integrations.js'
import { findTemplate } from '../runs/mapping-templates.js'
import { findRun } from '../runs/read.js'
import { findWebhook } from '../runs/webhooks.js'
import { Node, type Typed } from '../schema/common.js'
import { showApiKey } from './api-keys.js'
import { showEntry } from './audit.js'
import { showRule } from './business-rules.js'
import { type ApiContext, inTenant } from './context.js'
import { showPair } from './duplicates.js'
import { showExportTemplate } from './export-templates.js'
import { findFile } from './files.js'
import { showIntegration } from './integrations.js'
import { showTemplate } from './mapping-templates.js'
import { showMember } from './members.js'
import { nodePermissions, requireOneOf, requirePermission } from './permission.js'
import { showRecord } from './records.js'
import { showSession } from './upload-sessions.js'
import { showFile, showRun } from './views.js'
import { showWebhook } from './webhooks.js'

@Resolver()
export class NodeResolver {
  @Query(() => Node, { nullable: true, description: 'Anything that has an id; null where there is nothing.' })
  async node(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<Typed | null> {
    requirePermission(context, 'Query.node')
    const parsed = parseId(id)
    if (
      parsed === null ||
      parsed.kind === 'tenant' ||
      parsed.kind === 'customField' ||
      parsed.kind === 'webhookDelivery'
    ) {
      return null
    }
    const { kind, uuid } = parsed
    requireOneOf(context, nodePermissions[kind])
    return inTenant(context, (tx) => find(context, tx, kind, uuid))
  }
}

async function find(
  context: ApiContext,
  tx: PoolTx,
  kind: keyof typeof nodePermissions,
  uuid: string,
): Promise<Typed | null> {
  const show = <T>(found: T | null, shown: (found: T) => Typed): Typed | null => (found === null ? null : shown(found))
  switch (kind) {
    case 'contact':
    case 'lead':
    case 'property':
    case 'activity':
      return show(await findRecord(tx, kind, uuid), (row) => showRecord(context, row))
    case 'file':
      return show(await findFile(tx, uuid), (file) => showFile(context, file))
    case 'uploadSession':
      return show(await findSession(tx, uuid), (session) => showSession(context, session))
    case 'run':
      return show(await findRun(tx, uuid), (run) => showRun(context, run))
    case 'member':
      return show(await findMember(tx, uuid), showMember)
    case 'apiKey':
      return show(await findApiKey(tx, uuid), showApiKey)
    case 'mappingTemplate': {
      const template = await findTemplate(tx, uuid)
      return template === null ? null : showTemplate(tx, template)
    }
    case 'businessRule':
      return show(await findRule(tx, uuid), showRule)
    case 'integration':
      return show(await findIntegration(tx, uuid), showIntegration)
    case 'webhook':
      return show(await findWebhook(tx, uuid), showWebhook)
    case 'duplicatePair':
      return show(await findPair(tx, uuid), showPair)
    case 'exportTemplate':
      return show(await findExportTemplate(tx, uuid), (template) => showExportTemplate(context, template))
    case 'auditEntry':
      return show(await findEntry(tx, uuid), showEntry)
    default:
      return kind satisfies never
  }
}
