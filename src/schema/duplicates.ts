import 'reflect-metadata'
import { Field, Float, ID, InputType, ObjectType } from 'type-graphql'
import { Node, PageInfo, Payload } from './common.js'
import { DuplicateDecision, RecordTypeEnum } from './enums.js'
import { SafeInt } from './scalars.js'

@ObjectType('DuplicatePair', { implements: Node, description: 'Two records that could be one.' })
export class DuplicatePair {
  @Field(() => RecordTypeEnum)
  readonly recordType!: keyof typeof RecordTypeEnum

  @Field(() => ID, { description: 'The older record.' })
  readonly leftId!: string

  @Field(() => ID)
  readonly rightId!: string

  @Field(() => Float, { description: 'How likely both are one, 0 to 1.' })
  readonly score!: number

  @Field(() => [String], { description: 'Which fields are alike, never their values.' })
  readonly reasons!: readonly string[]

  @Field(() => DuplicateDecision)
  readonly decision!: keyof typeof DuplicateDecision

  @Field(() => ID, { nullable: true, description: 'The import that brought the pair; null where an edit did.' })
  readonly runId!: string | null

  @Field(() => SafeInt, { nullable: true })
  readonly rowNumber!: number | null
}

@ObjectType('DuplicatePairConnection')
export class DuplicatePairConnection {
  @Field(() => [DuplicatePair])
  readonly nodes!: readonly DuplicatePair[]

  @Field(() => PageInfo)
  readonly pageInfo!: PageInfo

  @Field(() => SafeInt)
  readonly totalCount!: number
}

@InputType('DuplicateDecideInput')
export class DuplicateDecideInput {
  @Field(() => ID)
  readonly id!: string

  @Field(() => DuplicateDecision, {
    description:
      'MERGED makes one record of both; OPEN or DISTINCT on a merged pair undoes that. DISTINCT is remembered: the pair is not offered again.',
  })
  readonly decision!: keyof typeof DuplicateDecision

  @Field(() => ID, {
    nullable: true,
    description: 'The record that stays when both are merged; the older one by default.',
  })
  readonly survivorId?: string | null
}

@ObjectType('DuplicatePayload')
export class DuplicatePayload extends Payload {
  @Field(() => DuplicatePair, { nullable: true })
  readonly pair!: DuplicatePair | null
}
