import 'reflect-metadata'
import { Field, ID, InterfaceType, ObjectType } from 'type-graphql'
import type { RunStatus } from '../runs/status.js'
import { RunStatusEnum } from './enums.js'
import { ProgressType, RowCounts, RowIssue, StatusReasonType } from './runs.js'
import { DateTime, SafeInt } from './scalars.js'

@InterfaceType('RunEvent', {
  description:
    'Written in the same transaction as the rows it reports. `sequence` is 20 zero-padded digits and grows per tenant; ' +
    '`previousSequence` names the event before it in this very stream, after filters and merging (the first one names `after`), so a ' +
    'hole is visible. Hand the last one you saw to `after` and nothing is missed or repeated. `after: null` starts at the run’s first ' +
    'event for runEvents and at now for tenantEvents. If the history is gone, a StreamGap says so.',
  resolveType: (event: { readonly type: string }) => event.type,
})
export class RunEventInterface {
  @Field(() => String)
  readonly sequence!: string

  @Field(() => DateTime)
  readonly at!: Date

  @Field(() => ID, { nullable: true })
  readonly runId!: string | null

  @Field(() => String, { nullable: true })
  readonly previousSequence!: string | null
}

@ObjectType('RunStatusChanged', { implements: RunEventInterface })
export class RunStatusChanged {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => RunStatusEnum, { nullable: true, description: 'Null: the run has just been created.' })
  readonly from!: RunStatus | null

  @Field(() => RunStatusEnum)
  readonly to!: RunStatus

  @Field(() => StatusReasonType, { nullable: true })
  readonly reason!: StatusReasonType | null
}

@ObjectType('RunProgressed', { implements: RunEventInterface })
export class RunProgressed {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => RowCounts)
  readonly counts!: RowCounts

  @Field(() => ProgressType)
  readonly progress!: ProgressType
}

@ObjectType('RowsSettled', { implements: RunEventInterface })
export class RowsSettled {
  @Field(() => ID)
  readonly runId!: string

  @Field(() => SafeInt)
  readonly fromRow!: number

  @Field(() => SafeInt)
  readonly toRow!: number

  @Field(() => RowCounts, { description: 'Of these rows alone.' })
  readonly counts!: RowCounts

  @Field(() => [RowIssue], { description: 'The first 100 issues of these rows.' })
  readonly issues!: readonly RowIssue[]

  @Field(() => SafeInt)
  readonly issueCount!: number
}

@ObjectType('StreamGap', {
  implements: RunEventInterface,
  description: 'Events that existed once and can no longer be had.',
})
export class StreamGap {
  @Field(() => String)
  readonly fromSequence!: string

  @Field(() => String)
  readonly toSequence!: string
}
