import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { Permission } from '../access/permissions.js'
import { Node, Payload } from './common.js'
import { PermissionEnum } from './enums.js'
import { DateTime } from './scalars.js'

@ObjectType('Viewer')
export class Viewer {
  @Field(() => String)
  readonly actor!: string

  @Field(() => ID)
  readonly tenantId!: string

  @Field(() => String)
  readonly tenantName!: string

  @Field(() => [PermissionEnum])
  readonly permissions!: readonly Permission[]
}

@ObjectType('Member', { implements: Node, description: 'A person of the tenant: can own records, and may sign in.' })
export class MemberType {
  @Field(() => String)
  readonly email!: string

  @Field(() => String, { nullable: true })
  readonly name!: string | null

  @Field(() => [PermissionEnum], {
    description: 'What the member’s tokens are narrowed to; all of them where nothing is narrowed.',
  })
  readonly permissions!: readonly Permission[]

  @Field(() => Boolean, { description: 'False: signs in no more, keeps the records.' })
  readonly active!: boolean
}

@InputType('MemberSaveInput', {
  description:
    'Found by e-mail: a new one makes a member, a known one changes it. Absent members of the input stay as they are.',
})
export class MemberSaveInput {
  @Field(() => String)
  readonly email!: string

  @Field(() => String, { nullable: true })
  readonly name?: string | null

  @Field(() => [PermissionEnum], {
    nullable: true,
    description: 'Narrows what the member’s tokens allow; null narrows nothing.',
  })
  readonly permissions?: Permission[] | null

  @Field(() => Boolean, { nullable: true })
  readonly active?: boolean | null
}

@ObjectType('MemberPayload')
export class MemberPayload extends Payload {
  @Field(() => MemberType, { nullable: true })
  readonly member!: MemberType | null
}

@ObjectType('ApiKey', { implements: Node })
export class ApiKeyType {
  @Field(() => String)
  readonly name!: string

  @Field(() => String, { description: 'The first characters of the secret, to tell keys apart.' })
  readonly prefix!: string

  @Field(() => [PermissionEnum])
  readonly permissions!: readonly Permission[]

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => DateTime, { nullable: true, description: 'To the minute; null: never.' })
  readonly lastUsedAt!: Date | null

  @Field(() => DateTime, { nullable: true, description: 'Null: works until it is revoked.' })
  readonly expiresAt!: Date | null
}

@InputType('ApiKeyCreateInput')
export class ApiKeyCreateInput {
  @Field(() => String)
  readonly name!: string

  @Field(() => [PermissionEnum], { description: 'Only what the caller may do can be given.' })
  readonly permissions!: Permission[]

  @Field(() => DateTime, { nullable: true, description: 'Null: works until it is revoked.' })
  readonly expiresAt?: Date | null
}

@ObjectType('ApiKeyCreatePayload')
export class ApiKeyCreatePayload extends Payload {
  @Field(() => ApiKeyType, { nullable: true })
  readonly apiKey!: ApiKeyType | null

  @Field(() => String, { nullable: true, description: 'Shown once.' })
  readonly secret!: string | null
}

@InputType('ApiKeyRevokeInput')
export class ApiKeyRevokeInput {
  @Field(() => ID)
  readonly id!: string
}

@ObjectType('ApiKeyPayload')
export class ApiKeyPayload extends Payload {
  @Field(() => ApiKeyType, { nullable: true })
  readonly apiKey!: ApiKeyType | null
}
