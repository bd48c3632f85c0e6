/** Members: the people of a tenant. They own records, and what their tokens allow can be narrowed or ended here. */
import type { PoolTx } from '../db/database.js'
import { Member } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { MEMBERS_MAX, NAME_LENGTH_MAX } from '../limits.js'
import { permissions as allPermissions, type Permission } from './permissions.js'

export interface MemberInput {
  readonly email: string
  /** Undefined: stays as it is. */
  readonly name: string | null | undefined
  /** What the member's tokens are narrowed to; null: nothing is narrowed; undefined: stays as it is. */
  readonly permissions: readonly Permission[] | null | undefined
  readonly active: boolean | undefined
}

/** Who changes a member: nobody can widen what they may do themselves, or lock themselves out. */
export interface MemberEditor {
  readonly memberId: string | null
  readonly permissions: ReadonlySet<Permission>
}

/** All members by e-mail. */
export async function listMembers(tx: PoolTx): Promise<Member[]> {
  return tx.em.find(Member, { tenantId: tx.tenantId }, { orderBy: { email: 'asc' } })
}

/** The member with this id. */
export async function findMember(tx: PoolTx, id: string): Promise<Member | null> {
  return tx.em.findOne(Member, { tenantId: tx.tenantId, id })
}

/** The member with this e-mail address, whatever its case. */
export async function findMemberByEmail(tx: PoolTx, email: string): Promise<Member | null> {
  return tx.em.findOne(Member, { tenantId: tx.tenantId, email: email.trim().toLowerCase() })
}

/** Members by their e-mail addresses, in lower case. */
export async function findMembersByEmail(tx: PoolTx, emails: readonly string[]): Promise<Map<string, Member>> {
  const wanted = [...new Set(emails.map((email) => email.trim().toLowerCase()))]
  const members = wanted.length === 0 ? [] : await tx.em.find(Member, { tenantId: tx.tenantId, email: { $in: wanted } })
  return new Map(members.map((member) => [member.email, member]))
}

/** Makes or changes the member with this e-mail address. Refuses INVALID_INPUT and LIMIT_EXCEEDED. */
export async function saveMember(tx: PoolTx, input: MemberInput, editor: MemberEditor): Promise<Member> {
  const email = input.email.trim().toLowerCase()
  if (!/^[^\s@\p{Cc}]+@[^\s@\p{Cc}]+$/u.test(email) || email.length > 320) {
    throw new Refusal('INVALID_INPUT', `${JSON.stringify(input.email.slice(0, 100))} is not an e-mail address.`, [
      'email',
    ])
  }
  const name = input.name?.trim() ?? input.name
  if (typeof name === 'string' && (name.length > NAME_LENGTH_MAX || /\p{Cc}/u.test(name))) {
    throw new Refusal('INVALID_INPUT', `A name has ${NAME_LENGTH_MAX} characters at most, on one line.`, ['name'])
  }
  const member = (await findMemberByEmail(tx, email)) ?? (await addMember(tx, email))
  checkWidening(member, input, editor)
  if (name !== undefined) {
    member.name = name === '' ? null : name
  }
  if (input.permissions !== undefined) {
    member.permissions = input.permissions === null ? null : [...new Set(input.permissions)]
  }
  if (input.active !== undefined) {
    member.active = input.active
  }
  await tx.em.flush()
  return member
}

/** What a token is left with by its member; all of it where there is none, nothing where the member is inactive. */
export function narrow(
  permissions: readonly Permission[],
  member: Pick<Member, 'permissions' | 'active'> | null,
): readonly Permission[] | null {
  if (member === null) {
    return permissions
  }
  if (!member.active) {
    return null
  }
  const limit = member.permissions ?? null
  return limit === null ? permissions : permissions.filter((permission) => limit.includes(permission))
}

async function addMember(tx: PoolTx, email: string): Promise<Member> {
  const count = await tx.em.count(Member, { tenantId: tx.tenantId })
  if (count >= MEMBERS_MAX) {
    throw new Refusal('LIMIT_EXCEEDED', `A tenant has ${MEMBERS_MAX} members at most.`)
  }
  // Two callers may add the same person at once: the second finds the first one's row.
  await tx.query('insert into member (tenant_id, id, email) values ($1, uuidv7(), $2) on conflict do nothing', [
    tx.tenantId,
    email,
  ])
  return tx.em.findOneOrFail(Member, { tenantId: tx.tenantId, email })
}

function checkWidening(member: Member, input: MemberInput, editor: MemberEditor): void {
  if (member.id === editor.memberId && (input.permissions !== undefined || input.active === false)) {
    throw new Refusal(
      'INVALID_INPUT',
      'Nobody can change their own permissions or deactivate themselves: ask another member.',
      ['email'],
    )
  }
  const before = member.permissions ?? null
  if (input.permissions === undefined || before === null) {
    return
  }
  const added = (input.permissions ?? allPermissions).filter(
    (permission) => !before.includes(permission) && !editor.permissions.has(permission),
  )
  if (added.length > 0) {
    throw new Refusal('INVALID_INPUT', `You cannot give what you may not do yourself: ${added.join(', ')}.`, [
      'permissions',
    ])
  }
}
