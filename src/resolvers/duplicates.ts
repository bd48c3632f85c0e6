import 'reflect-metadata'
import { Arg, Ctx, ID, Int, Mutation, Query, Resolver } from 'type-graphql'
import { decodeId, encodeId } from '../ids.js'
import { type DuplicatePairRow, decidePair, findPair, listPairs } from '../runs/duplicates.js'
import type { Typed } from '../schema/common.js'
import {
  DuplicateDecideInput,
  type DuplicatePair,
  DuplicatePairConnection,
  DuplicatePayload,
} from '../schema/duplicates.js'
import { DuplicateDecision, RecordTypeEnum } from '../schema/enums.js'
import { type ApiContext, inTenant } from './context.js'
import { connection, pageRequest } from './pages.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** A pair as the API shows it. Its reasons name fields and no values, so everyone who may read records may read them. */
export function showPair(pair: DuplicatePairRow): DuplicatePair & Typed & { readonly id: string } {
  return {
    ...pair,
    __typename: 'DuplicatePair',
    id: encodeId('duplicatePair', pair.id),
    recordType: recordTypeEnum(pair.recordType),
    leftId: encodeId(pair.recordType, pair.leftId),
    rightId: encodeId(pair.recordType, pair.rightId),
    runId: pair.runId === null ? null : encodeId('run', pair.runId),
  }
}

@Resolver()
export class DuplicateResolver {
  @Query(() => DuplicatePairConnection, {
    description:
      'Records that look like one, likeliest first. They are looked for after an import has ended and after edits: shortly, not at once.',
  })
  possibleDuplicates(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('recordType', () => RecordTypeEnum, { nullable: true }) recordType?: keyof typeof RecordTypeEnum | null,
    @Arg('runId', () => ID, { nullable: true, description: 'Pairs that this import brought.' }) runId?: string | null,
    @Arg('decision', () => DuplicateDecision, {
      nullable: true,
      defaultValue: 'OPEN',
      description: 'Null: all of them.',
    })
    decision?: keyof typeof DuplicateDecision | null,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
  ): Promise<object> {
    requirePermission(context, 'Query.possibleDuplicates')
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listPairs(tx, pageRequest(first, after), {
          recordType: recordType == null ? null : recordTypeOf(recordType),
          runId: runId == null ? null : decodeId('run', runId),
          decision: decision ?? null,
        }),
      )
      return connection(page, showPair)
    })
  }

  @Mutation(() => DuplicatePayload, {
    description: 'Says whether two records are one. A merge keeps every identity and link of both and can be undone.',
  })
  possibleDuplicateDecide(
    @Ctx() context: ApiContext,
    @Arg('input', () => DuplicateDecideInput) input: DuplicateDecideInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.possibleDuplicateDecide')
    return settled({ pair: null }, () =>
      inTenant(context, async (tx) => {
        const id = decodeId('duplicatePair', input.id)
        const { survivorId, decision } = input
        const pair = survivorId == null ? null : await findPair(tx, id)
        const decided = await decidePair(tx, {
          id,
          decision,
          survivorId: survivorId == null ? null : decodeId(pair?.recordType ?? 'contact', survivorId),
          actor: context.caller.actor,
        })
        return { pair: showPair(decided) }
      }),
    )
  }
}
