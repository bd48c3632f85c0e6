import 'reflect-metadata'
import { Field, InputType, ObjectType } from 'type-graphql'
import { connectionOf, Node, Payload } from './common.js'
import { RunInterface } from './runs.js'
import { DateTime, SafeInt } from './scalars.js'

@ObjectType('AuditDetail', {
  description: 'What else there is to say about a deed: ids, names of things, codes. Never the value of a field.',
})
export class AuditDetail {
  @Field(() => String)
  readonly name!: string

  @Field(() => String, { nullable: true })
  readonly value!: string | null
}

@ObjectType('AuditEntry', { implements: Node, description: 'One deed, as it was written when it was done.' })
export class AuditEntryType {
  @Field(() => DateTime, { description: 'By the clock of the database.' })
  readonly at!: string

  @Field(() => String, {
    description:
      'Who did it; `portage` for what the service did by itself. Of a download, who asked for the link; `detail` then has `by`: `link`.',
  })
  readonly actor!: string

  @Field(() => String, {
    description:
      'An operation as `Mutation.name`, `Query.name` or `Subscription.name`, `run.status`, `download.kind` or `upload`.',
  })
  readonly action!: string

  @Field(() => String, { nullable: true, description: 'The id of what it was done to; null where there was none yet.' })
  readonly target!: string | null

  @Field(() => [AuditDetail], { description: 'By name.' })
  readonly detail!: readonly AuditDetail[]

  @Field(() => SafeInt, { nullable: true, description: 'Null until sealed, a few seconds later.' })
  readonly sequence!: number | null

  @Field(() => String, { nullable: true, description: 'SHA-256 of the link, as 64 hexadecimal digits.' })
  readonly hash!: string | null

  @Field(() => String, { nullable: true, description: 'The hash of the entry before it in the chain.' })
  readonly previousHash!: string | null

  @Field(() => String, {
    description: '`OK`, `REFUSED`, `DENIED` or `FAILED`; the code of a refusal is in the detail.',
  })
  readonly outcome!: string

  @Field(() => String, { nullable: true, description: 'The address that the request came from.' })
  readonly ip!: string | null

  @Field(() => String, { nullable: true })
  readonly userAgent!: string | null

  @Field(() => String, { nullable: true, description: 'The same for all that one request did.' })
  readonly requestId!: string | null
}

@ObjectType('AuditVerification', { description: 'What a check of the whole chain has found.' })
export class AuditVerification {
  @Field(() => Boolean)
  readonly valid!: boolean

  @Field(() => SafeInt, { description: 'Entries that were checked.' })
  readonly checked!: number

  @Field(() => SafeInt, {
    nullable: true,
    description: 'The first entry that is not as it was written, or that is missing; null where all are.',
  })
  readonly firstBrokenSequence!: number | null
}

@ObjectType('AuditHead', {
  description:
    'How far the chain goes, signed. Kept outside, it shows whether anything before it was changed or cut off.',
})
export class AuditHeadType {
  @Field(() => SafeInt)
  readonly sequence!: number

  @Field(() => String)
  readonly hash!: string

  @Field(() => String, { description: 'Ed25519, base64url.' })
  readonly signature!: string

  @Field(() => String)
  readonly keyId!: string

  @Field(() => String, { description: 'The public key that the signature is checked with: 32 bytes, base64url.' })
  readonly publicKey!: string

  @Field(() => DateTime)
  readonly signedAt!: Date
}

export const AuditEntryConnection = connectionOf('AuditEntry', () => AuditEntryType, false)

@ObjectType('AuditRun', {
  implements: [RunInterface, Node],
  description:
    'A run that writes the audit into a file for `portage audit verify`: entries in the order of the chain, below the signed head of the ' +
    'last one. Its file is there when it is COMPLETED, with exactly `counts.read` entries.',
})
export class AuditRun {
  @Field(() => DateTime, { nullable: true, description: 'Entries from this moment on; null: from the first one on.' })
  readonly from!: Date | null

  @Field(() => DateTime, { nullable: true, description: 'Entries before this moment; null: to the last one.' })
  readonly to!: Date | null
}

@InputType('AuditExportInput', {
  description:
    'The file has the links of the chain from the first entry that is meant to the last, so that it can be checked: a neighbour whose time lies ' +
    'outside may be among them.',
})
export class AuditExportInput {
  @Field(() => DateTime, { nullable: true, description: 'Entries from this moment on; all where absent.' })
  readonly from?: Date | null

  @Field(() => DateTime, { nullable: true, description: 'Entries before this moment; all where absent.' })
  readonly to?: Date | null

  @Field(() => String)
  readonly idempotencyKey!: string
}

@ObjectType('RunStartPayload')
export class RunStartPayload extends Payload {
  @Field(() => RunInterface, { nullable: true })
  readonly run!: object | null
}
