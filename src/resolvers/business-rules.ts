import 'reflect-metadata'
import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { checkedRule } from '../pipeline/rules.js'
import { addRule, changeRule, deleteRule, findRule, listRules, type StoredRule } from '../runs/business-rules.js'
import {
  BusinessRulePayload,
  BusinessRuleSaveInput,
  BusinessRuleType,
  DeletePayload,
} from '../schema/business-rules.js'
import type { Typed } from '../schema/common.js'
import { IdInput } from '../schema/custom-fields.js'
import { RecordTypeEnum } from '../schema/enums.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { recordTypeEnum, recordTypeOf } from './views.js'

/** A rule as the API shows it. */
export function showRule(rule: StoredRule): BusinessRuleType & Typed & { readonly id: string } {
  return {
    ...rule,
    __typename: 'BusinessRule',
    id: encodeId('businessRule', rule.id),
    recordType: recordTypeEnum(rule.recordType),
  }
}

@Resolver()
export class BusinessRuleResolver {
  @Query(() => [BusinessRuleType], { description: 'Of one record type, or of all; oldest first.' })
  async businessRules(
    @Ctx() context: ApiContext,
    @Arg('recordType', () => RecordTypeEnum, { nullable: true }) recordType?: keyof typeof RecordTypeEnum | null,
  ): Promise<BusinessRuleType[]> {
    requirePermission(context, 'Query.businessRules')
    const name = recordType == null ? null : recordTypeOf(recordType)
    const rules = await inTenant(context, (tx) => listRules(tx, name))
    return rules.map(showRule)
  }

  @Mutation(() => BusinessRulePayload, {
    description: 'Adds or replaces a rule. Imports that are planned or running keep the rules that they began with.',
  })
  businessRuleSave(
    @Ctx() context: ApiContext,
    @Arg('input', () => BusinessRuleSaveInput) input: BusinessRuleSaveInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.businessRuleSave')
    return settled({ businessRule: null }, () =>
      inTenant(context, async (tx) => {
        const recordType = recordTypeOf(input.recordType)
        const rule = {
          ...checkedRule(await loadRecordType(tx, recordType), {
            kind: input.kind,
            fields: input.fields,
            arguments: (input.arguments ?? []).map(({ name, value }) => ({ name, value })),
            severity: input.severity,
            message: input.message,
          }),
          recordType,
          active: input.active ?? true,
        }
        if (input.id == null) {
          return { businessRule: showRule(await addRule(tx, rule, context.caller.actor)) }
        }
        const before = await findRule(tx, decodeId('businessRule', input.id))
        if (before === null) {
          throw new Refusal('NOT_FOUND', 'There is no rule with this id.', ['id'])
        }
        if (before.recordType !== recordType) {
          throw new Refusal('INVALID_INPUT', 'A rule stays with its record type. Make a new one for the other.', [
            'recordType',
          ])
        }
        const changed = await changeRule(tx, { ...rule, id: before.id })
        return { businessRule: changed === null ? null : showRule(changed) }
      }),
    )
  }

  @Mutation(() => DeletePayload)
  businessRuleDelete(@Ctx() context: ApiContext, @Arg('input', () => IdInput) input: IdInput): Promise<object> {
    requirePermission(context, 'Mutation.businessRuleDelete')
    return settled({ deletedId: null }, () =>
      inTenant(context, async (tx) => {
        const id = decodeId('businessRule', input.id)
        if (!(await deleteRule(tx, id))) {
          throw new Refusal('NOT_FOUND', 'There is no rule with this id.', ['id'])
        }
        return { deletedId: encodeId('businessRule', id) }
      }),
    )
  }
}
