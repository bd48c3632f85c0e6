import 'reflect-metadata'
import { Arg, Ctx, Mutation, Query, Resolver } from 'type-graphql'
import { listMembers, saveMember } from '../access/members.js'
import { isPermission, permissions } from '../access/permissions.js'
import type { Member } from '../db/entities.js'
import { encodeId } from '../ids.js'
import { MemberPayload, MemberSaveInput, MemberType } from '../schema/access.js'
import type { Typed } from '../schema/common.js'
import { type ApiContext, inTenant } from './context.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'

/** A member as the API shows it. */
export function showMember(member: Member): MemberType & Typed & { readonly id: string } {
  return {
    __typename: 'Member',
    id: encodeId('member', member.id),
    email: member.email,
    name: member.name ?? null,
    permissions: member.permissions?.filter(isPermission) ?? permissions,
    active: member.active,
  }
}

@Resolver()
export class MemberResolver {
  @Query(() => [MemberType], { description: 'All members, by e-mail.' })
  async members(@Ctx() context: ApiContext): Promise<MemberType[]> {
    requirePermission(context, 'Query.members')
    const members = await inTenant(context, listMembers)
    return members.map(showMember)
  }

  @Mutation(() => MemberPayload)
  memberSave(@Ctx() context: ApiContext, @Arg('input', () => MemberSaveInput) input: MemberSaveInput): Promise<object> {
    requirePermission(context, 'Mutation.memberSave')
    return settled({ member: null }, async () => {
      const { email, name, permissions: limit, active } = input
      const member = await inTenant(context, (tx) =>
        saveMember(tx, { email, name, permissions: limit, active: active ?? undefined }, context.caller),
      )
      return { member: showMember(member) }
    })
  }
}
