import 'reflect-metadata'
import { Ctx, Query, Resolver } from 'type-graphql'
import { type QuotaUse, quotaUses } from '../access/quotas.js'
import { QuotaUsage } from '../schema/quotas.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'

@Resolver()
export class QuotaResolver {
  @Query(() => [QuotaUsage], { description: 'What the tenant uses of what its plan allows.' })
  quotas(@Ctx() context: ApiContext): Promise<QuotaUse[]> {
    requirePermission(context, 'Query.quotas')
    return inTenant(context, quotaUses)
  }
}
