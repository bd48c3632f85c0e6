import 'reflect-metadata'
import { Field, ObjectType } from 'type-graphql'
import { DateTime, SafeInt } from './scalars.js'

@ObjectType('QuotaUsage', { description: 'How one quota of the tenant stands.' })
export class QuotaUsage {
  @Field(() => String, {
    description:
      '`uploadBytesPerDay`, `rowsPerDay`, `runningRuns`, `queuedRuns`, `storageBytes` or `crmCallsPerDay`; there may be more.',
  })
  readonly name!: string

  @Field(() => SafeInt, { description: 'With what runs and uploads under way have reserved.' })
  readonly used!: number

  @Field(() => SafeInt, { description: '9007199254740991 where there is none.' })
  readonly limit!: number

  @Field(() => String, { description: '`bytes`, `rows`, `runs` or `calls`.' })
  readonly unit!: string

  @Field(() => DateTime, {
    nullable: true,
    description: 'When the count begins anew; null for what goes down when runs end and files expire.',
  })
  readonly resetsAt!: Date | null
}
