import 'reflect-metadata'
import { Field, ID, InputType, ObjectType } from 'type-graphql'
import type { FieldKind } from '../records/types.js'
import { Node, Payload } from './common.js'
import { CrmSystemEnum, FieldKindEnum, IntegrationStatusEnum, RecordTypeEnum } from './enums.js'
import { DateTime, SafeInt } from './scalars.js'

@ObjectType('Integration', {
  implements: Node,
  description: 'An account of another CRM that the tenant has connected.',
})
export class Integration {
  @Field(() => CrmSystemEnum)
  readonly system!: keyof typeof CrmSystemEnum

  @Field(() => IntegrationStatusEnum)
  readonly status!: keyof typeof IntegrationStatusEnum

  @Field(() => String, { nullable: true, description: 'Why a new sign-in is needed; null: none is.' })
  readonly statusReason!: string | null

  @Field(() => String, { nullable: true, description: 'Null: not connected yet.' })
  readonly accountName!: string | null

  @Field(() => [String], { description: 'What the CRM allows, in its own words; empty: it did not say.' })
  readonly scopes!: readonly string[]

  @Field(() => DateTime, { nullable: true, description: 'The newest sign-in; null: not connected yet.' })
  readonly connectedAt!: Date | null
}

@ObjectType('ApiUsage', {
  description: 'What of the day’s budget of the account is used, by all who use it as far as it is known.',
})
export class ApiUsage {
  @Field(() => SafeInt, { description: 'Requests; of Pipedrive tokens.' })
  readonly used!: number

  @Field(() => SafeInt, { nullable: true, description: 'Null: the CRM has not told it.' })
  readonly limit!: number | null

  @Field(() => DateTime, { nullable: true, description: 'When the count begins anew, by ours.' })
  readonly resetsAt!: Date | null
}

@ObjectType('CrmObjectField')
export class CrmObjectField {
  @Field(() => String, { description: 'The column of the rows that are read, as a mapping names it.' })
  readonly name!: string

  @Field(() => String)
  readonly label!: string

  @Field(() => FieldKindEnum)
  readonly kind!: FieldKind

  @Field(() => Boolean, { description: 'Made by the account; false: part of the CRM.' })
  readonly custom!: boolean

  @Field(() => [String], { description: 'Objects that it can refer to.' })
  readonly references!: readonly string[]

  @Field(() => [String], { nullable: true, description: 'Values that it may have; null: any of its kind.' })
  readonly options!: readonly string[] | null
}

@ObjectType('CrmObject', { description: 'A kind of record of a connected CRM.' })
export class CrmObject {
  @Field(() => String, { description: 'As a migration names it.' })
  readonly name!: string

  @Field(() => String)
  readonly label!: string

  @Field(() => Boolean)
  readonly custom!: boolean

  @Field(() => SafeInt, { nullable: true, description: 'Null where it would take reading them all.' })
  readonly recordCount!: number | null

  @Field(() => [CrmObjectField])
  readonly fields!: readonly CrmObjectField[]

  @Field(() => RecordTypeEnum, { nullable: true, description: 'What its records would become; null: nothing here.' })
  readonly suggestedRecordType!: keyof typeof RecordTypeEnum | null
}

@InputType('IntegrationBeginInput')
export class IntegrationBeginInput {
  @Field(() => CrmSystemEnum)
  readonly system!: keyof typeof CrmSystemEnum

  @Field(() => String, {
    description:
      'Where the CRM sends the person back to: `/oauth/callback` of this service, or a page that the operator allowed.',
  })
  readonly redirectUri!: string

  @Field(() => Boolean, { nullable: true, description: 'Salesforce: sign in to a sandbox.' })
  readonly sandbox?: boolean | null

  @Field(() => String, {
    nullable: true,
    description: 'A My Domain or other vendor host, checked against the vendor’s suffixes.',
  })
  readonly host?: string | null
}

@ObjectType('IntegrationBeginPayload')
export class IntegrationBeginPayload extends Payload {
  @Field(() => Integration, { nullable: true })
  readonly integration!: Integration | null

  @Field(() => String, { nullable: true, description: 'Send the person there. Good for ten minutes.' })
  readonly authorizationUrl!: string | null
}

@InputType('IntegrationCompleteInput')
export class IntegrationCompleteInput {
  @Field(() => String)
  readonly state!: string

  @Field(() => String)
  readonly code!: string
}

@InputType('IntegrationRevokeInput')
export class IntegrationRevokeInput {
  @Field(() => ID)
  readonly integrationId!: string
}

@ObjectType('IntegrationPayload')
export class IntegrationPayload extends Payload {
  @Field(() => Integration, { nullable: true })
  readonly integration!: Integration | null
}
