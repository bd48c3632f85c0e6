import 'reflect-metadata'
import { Arg, Ctx, Int, Mutation, Query, Resolver } from 'type-graphql'
import {
  auditKeys,
  chainTail,
  listEntries,
  type SealedEntry,
  signHead,
  type Verification,
  verifyChain,
} from '../access/audit.js'
import { once } from '../access/idempotency.js'
import { requireSpace } from '../access/space.js'
import { Refusal } from '../errors.js'
import { decodeUuid, encodeId } from '../ids.js'
import { createAuditExport } from '../runs/audit-exports.js'
import { findRun } from '../runs/read.js'
import {
  AuditEntryConnection,
  type AuditEntryType,
  AuditExportInput,
  AuditHeadType,
  AuditVerification,
  RunStartPayload,
} from '../schema/audit.js'
import type { Connection, Typed } from '../schema/common.js'
import { SafeInt } from '../schema/scalars.js'
import { type ApiContext, inTenant } from './context.js'
import { connection } from './pages.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { showRun } from './views.js'

/** An entry as the API shows it. */
export function showEntry(entry: SealedEntry): AuditEntryType & Typed & { readonly id: string } {
  return { ...entry, __typename: 'AuditEntry', id: encodeId('auditEntry', decodeUuid(entry.id) ?? '') }
}

@Resolver()
export class AuditResolver {
  @Query(() => AuditEntryConnection, { description: 'Newest first.' })
  async auditEntries(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) count: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
    @Arg('action', () => String, { nullable: true }) action?: string | null,
    @Arg('actor', () => String, { nullable: true }) actor?: string | null,
  ): Promise<Connection<AuditEntryType>> {
    requirePermission(context, 'Query.auditEntries')
    const afterId = after == null ? null : decodeUuid(after)
    const entries = await inTenant(context, (tx) =>
      listEntries(tx, { action: action ?? null, actor: actor ?? null }, { count, afterId }),
    )
    return connection(
      {
        items: entries.slice(0, count).map((entry) => ({ node: entry, cursor: entry.id })),
        hasNext: entries.length > count,
        hasPrevious: afterId !== null,
        totalCount: null,
      },
      showEntry,
    )
  }

  @Query(() => AuditVerification, {
    description:
      'Checks the chain of all entries; with a head that you have kept, that it is in the chain and what came after it.',
  })
  async auditVerification(
    @Ctx() context: ApiContext,
    @Arg('sequence', () => SafeInt, { nullable: true, description: 'Of a head that you have kept.' })
    sequence?: number | null,
    @Arg('hash', () => String, { nullable: true, description: 'Its hash.' }) hash?: string | null,
  ): Promise<Verification> {
    requirePermission(context, 'Query.auditVerification')
    const from = sequence == null || hash == null ? null : { sequence, hash: hash.toLowerCase() }
    return inTenant(context, (tx) => verifyChain(tx, auditKeys(context.services.config), from))
  }

  @Query(() => AuditHeadType, {
    nullable: true,
    description: 'How far the chain goes now, signed. Null before the first entry is sealed.',
  })
  async auditHead(@Ctx() context: ApiContext): Promise<AuditHeadType | null> {
    requirePermission(context, 'Query.auditHead')
    const tail = await inTenant(context, chainTail)
    if (tail.sequence === 0) {
      return null
    }
    const keys = auditKeys(context.services.config)
    const head = signHead(keys, encodeId('tenant', context.caller.tenantId), tail, new Date())
    return { ...head, publicKey: keys.publicText }
  }

  @Mutation(() => RunStartPayload, {
    description:
      'Starts a run that writes what is sealed of the audit, this request included, into a file that `portage audit verify` checks without a server.',
  })
  auditExport(
    @Ctx() context: ApiContext,
    @Arg('input', () => AuditExportInput) input: AuditExportInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.auditExport')
    const { idempotencyKey: key, from = null, to = null } = input
    return settled({ run: null }, async () => {
      if (from !== null && to !== null && from >= to) {
        throw new Refusal('INVALID_INPUT', 'The end has to lie after the beginning.', ['to'])
      }
      await requireSpace(context.services.spaceNow, 0)
      return inTenant(context, async (tx) => {
        const said = { from: from?.toISOString() ?? null, to: to?.toISOString() ?? null }
        const { id } = await once(tx, { key, operation: 'auditExport', input: said }, () =>
          createAuditExport(tx, { actor: context.caller.actor, from, to }),
        )
        const run = await findRun(tx, id)
        return { run: run === null ? null : showRun(context, run) }
      })
    })
  }
}
