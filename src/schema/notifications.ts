import 'reflect-metadata'
import { Field, ID, InputType, Int, ObjectType } from 'type-graphql'
import { Node, PageInfo, Payload } from './common.js'
import { NotificationEventEnum, WebhookEventEnum } from './enums.js'
import { DateTime } from './scalars.js'

type NotificationEvent = keyof typeof NotificationEventEnum
type WebhookEvent = keyof typeof WebhookEventEnum

@ObjectType('WebhookDelivery', { description: 'One message to one webhook, with all attempts at it.' })
export class WebhookDelivery {
  @Field(() => ID, { description: 'Also in the header `webhook-id`, the same at every attempt and replay.' })
  readonly id!: string

  @Field(() => DateTime, { description: 'Of the newest attempt; before the first, when it was made.' })
  readonly at!: Date

  @Field(() => Int, { nullable: true, description: 'HTTP status of the newest attempt; null: there was no answer.' })
  readonly status!: number | null

  @Field(() => Boolean)
  readonly succeeded!: boolean

  @Field(() => Int)
  readonly attempts!: number

  @Field(() => WebhookEventEnum)
  readonly event!: WebhookEvent

  @Field(() => ID, { nullable: true, description: 'Null: no run did it.' })
  readonly runId!: string | null

  @Field(() => String, {
    nullable: true,
    description:
      '`ADDRESS_NOT_ALLOWED`, `CONNECTION_FAILED`, `TIMED_OUT`, `HTTP_` and a status, or `WEBHOOK_DISABLED`; null: none.',
  })
  readonly error!: string | null

  @Field(() => DateTime, { nullable: true, description: 'Null: nothing more is tried.' })
  readonly nextAttemptAt!: Date | null
}

@ObjectType('WebhookDeliveryConnection')
export class WebhookDeliveryConnection {
  @Field(() => [WebhookDelivery])
  readonly nodes!: readonly WebhookDelivery[]

  @Field(() => PageInfo)
  readonly pageInfo!: PageInfo
}

@ObjectType('Webhook', { implements: Node, description: 'An address that is told what happens.' })
export class Webhook {
  @Field(() => String)
  readonly url!: string

  @Field(() => [WebhookEventEnum])
  readonly events!: readonly WebhookEvent[]

  @Field(() => DateTime)
  readonly createdAt!: Date

  @Field(() => DateTime, {
    nullable: true,
    description:
      'Nothing had arrived for too long, so nothing is sent since then; null: it is in use. Saving it enables it.',
  })
  readonly disabledAt!: Date | null
}

@InputType('WebhookSaveInput')
export class WebhookSaveInput {
  @Field(() => ID, { nullable: true, description: 'Writes this webhook anew, and enables it.' })
  readonly id?: string | null

  @Field(() => String, { description: 'https, on the usual port, at a name of the public internet.' })
  readonly url!: string

  @Field(() => [WebhookEventEnum])
  readonly events!: WebhookEvent[]

  @Field(() => Boolean, {
    nullable: true,
    description: 'True makes a new secret; the one before signs besides for a day.',
  })
  readonly rotateSecret?: boolean | null
}

@InputType('WebhookDeleteInput')
export class WebhookDeleteInput {
  @Field(() => ID)
  readonly id!: string
}

@ObjectType('WebhookPayload')
export class WebhookPayload extends Payload {
  @Field(() => Webhook, { nullable: true })
  readonly webhook!: Webhook | null

  @Field(() => String, { nullable: true, description: 'Shown once, at creation and when a new one was made.' })
  readonly secret!: string | null
}

@ObjectType('NotificationPreferences', { description: 'An e-mail is sent where both lists have what it is about.' })
export class NotificationPreferences {
  @Field(() => [NotificationEventEnum], { description: 'What there are e-mails about in this tenant.' })
  readonly tenantEmails!: readonly NotificationEvent[]

  @Field(() => [NotificationEventEnum], { description: 'Which of them the caller wants.' })
  readonly myEmails!: readonly NotificationEvent[]

  @Field(() => String, {
    nullable: true,
    description: 'Where those go; null: the caller has no address and gets none.',
  })
  readonly myAddress!: string | null

  @Field(() => Boolean, { description: 'False: this deployment has no mail server, so nobody gets any.' })
  readonly mailConfigured!: boolean
}

@InputType('NotificationPreferencesInput', { description: 'Absent stays as it is; an empty list is none.' })
export class NotificationPreferencesInput {
  @Field(() => [NotificationEventEnum], { nullable: true, description: 'Takes the permission SETTINGS_MANAGE.' })
  readonly tenantEmails?: NotificationEvent[] | null

  @Field(() => [NotificationEventEnum], { nullable: true })
  readonly myEmails?: NotificationEvent[] | null
}

@ObjectType('NotificationPreferencesPayload')
export class NotificationPreferencesPayload extends Payload {
  @Field(() => NotificationPreferences, { nullable: true })
  readonly preferences!: NotificationPreferences | null
}
