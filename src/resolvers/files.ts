import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { once } from '../access/idempotency.js'
import type { DetectedColumn as Column } from '../adapters/files/detection.js'
import type { PoolTx } from '../db/database.js'
import { SourceFile } from '../db/entities.js'
import { decodeId } from '../ids.js'
import { runsOfFile } from '../runs/read.js'
import { DetectedColumn, FileUploadInput, FileUploadPayload, SourceFileType, ValueCount } from '../schema/files.js'
import { ImportRun } from '../schema/runs.js'
import { type ApiContext, inTenant } from './context.js'
import { sourceOptions } from './inputs.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { discard, receive, record } from './uploads.js'
import { type FileView, type RunView, showFile, showRun } from './views.js'

/** The file with this id, unless it has been purged. */
export async function findFile(tx: PoolTx, id: string): Promise<SourceFile | null> {
  return tx.em.findOne(SourceFile, { tenantId: tx.tenantId, id, purgedAt: null })
}

@Resolver()
export class FileResolver {
  @Query(() => SourceFileType, { nullable: true, description: 'Null where there is none, or its retention has ended.' })
  async file(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<FileView | null> {
    requirePermission(context, 'Query.file')
    const file = await inTenant(context, (tx) => findFile(tx, decodeId('file', id)))
    return file === null ? null : showFile(context, file)
  }

  @Mutation(() => FileUploadPayload, {
    description: 'Stores a file for later imports. Its content decides what it is, not its name.',
  })
  fileUpload(@Ctx() context: ApiContext, @Arg('input', () => FileUploadInput) input: FileUploadInput): Promise<object> {
    requirePermission(context, 'Mutation.fileUpload')
    return settled({ file: null }, async () => {
      const source = sourceOptions(input.source)
      const received = await receive(context, {
        file: input.file,
        name: input.name ?? null,
        sha256: input.sha256 ?? null,
        source,
      })
      // Stays true when the answer of the commit is lost: a file too many is better than a row without its file.
      let recorded = false
      try {
        const file = await inTenant(context, async (tx) => {
          const create = () => record(context, tx, received)
          const key = input.idempotencyKey ?? null
          const request = { operation: 'fileUpload', input: { file: received.stored.sha256, name: input.name, source } }
          const { id, repeated } =
            key === null ? { id: await create(), repeated: false } : await once(tx, { key, ...request }, create)
          const found = await tx.em.findOneOrFail(SourceFile, { tenantId: tx.tenantId, id })
          recorded = !repeated
          return found
        })
        return { file: showFile(context, file) }
      } finally {
        if (!recorded) {
          await discard(context, received)
        }
      }
    })
  }
}

@Resolver(() => SourceFileType)
export class SourceFileResolver {
  @FieldResolver(() => [ImportRun], {
    description: 'Earlier runs of this tenant over a file with the same sha256, newest first.',
  })
  async earlierRuns(
    @Root() file: FileView,
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { nullable: true, defaultValue: 10 }) first?: number | null,
  ): Promise<RunView[]> {
    const runs = await inTenant(context, (tx) => runsOfFile(tx, file.sha256, first ?? 10))
    return runs.map((run) => showRun(context, run))
  }
}

@Resolver(() => DetectedColumn)
export class DetectedColumnResolver {
  @FieldResolver(() => [ValueCount], {
    description: 'Most frequent values in the rows that were looked at. Empty without PII_READ.',
  })
  topValues(
    @Root() column: Column,
    @Arg('first', () => Int, { nullable: true, defaultValue: 50 }) first?: number | null,
  ): ValueCount[] {
    return column.topValues.slice(0, first ?? 50)
  }
}
