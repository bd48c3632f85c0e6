import 'reflect-metadata'
import { Ctx, Query, Resolver } from 'type-graphql'
import { permissions } from '../access/permissions.js'
import { encodeId } from '../ids.js'
import { Viewer } from '../schema/access.js'
import type { ApiContext } from './context.js'
import { requirePermission } from './permission.js'

@Resolver()
export class ViewerResolver {
  @Query(() => Viewer, { description: 'Who is asking, and what they may do.' })
  viewer(@Ctx() context: ApiContext): Viewer {
    requirePermission(context, 'Query.viewer')
    const { caller } = context
    return {
      actor: caller.actor,
      tenantId: encodeId('tenant', caller.tenantId),
      tenantName: caller.tenantName,
      permissions: permissions.filter((permission) => caller.permissions.has(permission)),
    }
  }
}
