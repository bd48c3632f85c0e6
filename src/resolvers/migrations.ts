import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { makeLink } from '../access/links.js'
import { requireSpace } from '../access/space.js'
import { loadRecordType } from '../adapters/crm/custom-fields.js'
import type { VendorObject } from '../adapters/vendor.js'
import type { PoolTx } from '../db/database.js'
import { Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import { MIGRATION_OBJECTS_MAX, MIGRATION_SAMPLE_RECORDS_MAX } from '../limits.js'
import type { ColumnMapping, MappingConflict } from '../pipeline/types.js'
import { fieldOf, isMappable } from '../records/index.js'
import { defaultImportOptions } from '../runs/imports.js'
import { findIntegration } from '../runs/integrations.js'
import { scheduleMigration } from '../runs/migration-schedules.js'
import {
  askOfMigration,
  createMigration,
  type MigrationGoal,
  type MigrationObjectRow,
  mapMigrationObject,
  migrationObjects,
  migrationPasses,
} from '../runs/migrations.js'
import { findRun, listRuns } from '../runs/read.js'
import type { Counts, MigrationRunRow } from '../runs/types.js'
import type { Connection } from '../schema/common.js'
import { Integration } from '../schema/integrations.js'
import {
  Migration,
  MigrationConnection,
  MigrationCreateInput,
  MigrationInput,
  MigrationMappingUpdateInput,
  MigrationObjectType,
  MigrationPayload,
  MigrationScheduleInput,
  VerificationReportType,
} from '../schema/migrations.js'
import type { ImportRun, RowCounts } from '../schema/runs.js'
import { type ApiContext, inTenant, may } from './context.js'
import { columnMappings, importOptions } from './inputs.js'
import { showIntegration } from './integrations.js'
import { connection, pageRequest } from './pages.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { type MigrationView, recordTypeEnum, recordTypeOf, showRun } from './views.js'

async function findMigrationRun(tx: PoolTx, id: string): Promise<MigrationRunRow | null> {
  const run = await findRun(tx, id)
  return run?.kind === 'MIGRATION' ? run : null
}

async function shown(context: ApiContext, tx: PoolTx, id: string): Promise<object> {
  const run = await findMigrationRun(tx, id)
  if (run === null) {
    throw new Refusal('NOT_FOUND', 'There is no migration with this id.', ['migrationId'])
  }
  return { migration: showRun(context, run) }
}

/** Asks something of a migration, once per idempotency key. */
function ask(context: ApiContext, input: MigrationInput, goal: Exclude<MigrationGoal, 'DISCOVER'>): Promise<object> {
  return settled({ migration: null }, async () => {
    const id = decodeId('run', input.migrationId)
    return inTenant(context, async (tx) => {
      const request = { key: input.idempotencyKey, operation: `migration ${goal}`, input: { id } }
      await once(tx, request, async () => {
        await askOfMigration(tx, id, goal)
        return id
      })
      return shown(context, tx, id)
    })
  })
}

@Resolver()
export class MigrationsResolver {
  @Query(() => Migration, { nullable: true })
  async migration(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<object | null> {
    requirePermission(context, 'Query.migration')
    const run = await inTenant(context, (tx) => findMigrationRun(tx, decodeId('run', id)))
    return run === null ? null : showRun(context, run)
  }

  @Query(() => MigrationConnection, { description: 'Newest first.' })
  migrations(
    @Ctx() context: ApiContext,
    @Arg('first', () => Int, { defaultValue: 50 }) first: number,
    @Arg('after', () => String, { nullable: true }) after?: string | null,
  ): Promise<Connection<object>> {
    requirePermission(context, 'Query.migrations')
    return asked(async () => {
      const page = await inTenant(context, (tx) =>
        listRuns(tx, pageRequest(first, after), { kinds: ['MIGRATION'], statuses: null }),
      )
      return connection(page, (run) => showRun(context, run))
    })
  }

  @Mutation(() => MigrationPayload, {
    description:
      'Looks at the account and its objects, and waits with a suggested mapping of each. Nothing is read yet.',
  })
  migrationCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationCreateInput) input: MigrationCreateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationCreate')
    return settled({ migration: null }, async () => {
      checkObjects(input)
      const integrationId = decodeId('integration', input.integrationId)
      const given = importOptions(input.options)
      const options = {
        ...defaultImportOptions,
        // What is not there yet comes with a later object or pass.
        onMissingRelation: 'KEEP_PENDING' as const,
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined && value !== null)),
      }
      await requireSpace(context.services.spaceNow, 0)
      return inTenant(context, async (tx) => {
        const { idempotencyKey, ...asked } = input
        const { id } = await once(tx, { key: idempotencyKey, operation: 'migrationCreate', input: asked }, async () => {
          for (const [at, object] of input.objects.entries()) {
            await checkFields(tx, recordTypeOf(object.recordType), columnMappings(object.mapping ?? []), [
              'objects',
              String(at),
              'mapping',
            ])
          }
          return createMigration(tx, {
            actor: context.caller.actor,
            integrationId,
            options,
            objects: input.objects.map(({ object, recordType, mapping, sampleSize, filter }) => ({
              object,
              recordType: recordTypeOf(recordType),
              mapping: mapping == null ? null : columnMappings(mapping),
              sampleSize: sampleSize ?? null,
              filter: filter ?? null,
            })),
          })
        })
        return shown(context, tx, id)
      })
    })
  }

  @Mutation(() => MigrationPayload, {
    description: 'Gives an object another mapping. What was staged with the one before is void; nothing is read again.',
  })
  migrationMappingUpdate(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationMappingUpdateInput) input: MigrationMappingUpdateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationMappingUpdate')
    return settled({ migration: null }, async () => {
      const id = decodeId('run', input.migrationId)
      const mapping = columnMappings(input.mapping)
      return inTenant(context, async (tx) => {
        const object = (await migrationObjects<VendorObject>(tx, id)).find((one) => one.object === input.object)
        if (object !== undefined) {
          await checkFields(tx, object.recordType, mapping, ['mapping'])
          checkColumns(object, mapping)
        }
        await mapMigrationObject(tx, id, input.object, mapping, [])
        return shown(context, tx, id)
      })
    })
  }

  @Mutation(() => MigrationPayload, {
    description: 'Reads the objects and rehearses their imports on one another. No record is touched.',
  })
  migrationStage(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationInput) input: MigrationInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationStage')
    return ask(context, input, 'STAGE')
  }

  @Mutation(() => MigrationPayload, {
    description: 'Imports what was staged, object by object, and proves the result.',
  })
  migrationPromote(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationInput) input: MigrationInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationPromote')
    return ask(context, input, 'PROMOTE')
  }

  @Mutation(() => MigrationPayload, {
    description: 'Proves once more what is here against what was read and what is there.',
  })
  migrationVerify(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationInput) input: MigrationInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationVerify')
    return ask(context, input, 'VERIFY')
  }

  @Mutation(() => MigrationPayload, {
    description: 'Reads what has changed and was deleted since the last pass, and applies it.',
  })
  migrationSyncDelta(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationInput) input: MigrationInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationSyncDelta')
    return ask(context, input, 'DELTA')
  }

  @Mutation(() => MigrationPayload, {
    description:
      'Has changes read by themselves, as the caller, from the next time on at which the migration is READY_FOR_DELTA. A time at which a pass is under way is passed over; what was missed is made up for once.',
  })
  migrationScheduleSet(
    @Ctx() context: ApiContext,
    @Arg('input', () => MigrationScheduleInput) input: MigrationScheduleInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.migrationScheduleSet')
    const { actor, identity, permissions } = context.caller
    return settled({ migration: null }, async () => {
      const id = decodeId('run', input.migrationId)
      return inTenant(context, async (tx) => {
        const owner = { actor, keyId: identity.keyId, permissions: [...permissions] }
        const asked = { schedule: input.schedule ?? null, timeZone: input.timeZone ?? null, owner }
        await scheduleMigration(tx, id, asked, new Date())
        return shown(context, tx, id)
      })
    })
  }
}

function checkObjects({ objects }: MigrationCreateInput): void {
  if (objects.length === 0 || objects.length > MIGRATION_OBJECTS_MAX) {
    throw new Refusal(
      'INVALID_INPUT',
      `A migration has 1 to ${MIGRATION_OBJECTS_MAX} objects; this one has ${objects.length}.`,
      ['objects'],
    )
  }
  const seen = new Set<string>()
  for (const [at, { object, sampleSize }] of objects.entries()) {
    if (seen.has(object)) {
      throw new Refusal('INVALID_INPUT', `The object ${object} is there twice.`, ['objects', String(at), 'object'])
    }
    seen.add(object)
    if (sampleSize != null && (sampleSize < 1 || sampleSize > MIGRATION_SAMPLE_RECORDS_MAX)) {
      throw new Refusal(
        'INVALID_INPUT',
        `A sample has 1 to ${MIGRATION_SAMPLE_RECORDS_MAX} records; ${sampleSize} were asked for.`,
        ['objects', String(at), 'sampleSize'],
      )
    }
  }
}

async function checkFields(
  tx: PoolTx,
  recordType: Parameters<typeof loadRecordType>[1],
  mapping: readonly ColumnMapping[],
  where: readonly string[],
): Promise<void> {
  const type = await loadRecordType(tx, recordType)
  for (const [at, { field }] of mapping.entries()) {
    if (field !== null && !isMappable(type, field) && fieldOf(type, field) === null) {
      throw new Refusal('UNKNOWN_FIELD', `A ${type.label.toLowerCase()} has no field ${JSON.stringify(field)}.`, [
        ...where,
        String(at),
        'field',
      ])
    }
  }
}

/** Columns are fields of the object, and what the adapter adds to them. */
function checkColumns(
  { object, descriptor, drift }: MigrationObjectRow<VendorObject>,
  mapping: readonly ColumnMapping[],
): void {
  if (descriptor === null) {
    return
  }
  const known = new Set(descriptor.fields.map(({ name }) => name))
  for (const [at, { column, field }] of mapping.entries()) {
    if (
      field !== null &&
      column !== null &&
      drift.some(({ gone, columns }) => gone === true && columns.includes(column))
    ) {
      throw new Refusal(
        'SCHEMA_DRIFT',
        `${object}.${column} is gone at the source. Leave it out, or map another field.`,
        ['mapping', String(at), 'column'],
      )
    }
    if (field !== null && column !== null && !known.has(column)) {
      throw new Refusal('UNKNOWN_COLUMN', `${object} has no field ${JSON.stringify(column)}.`, [
        'mapping',
        String(at),
        'column',
      ])
    }
  }
}

@Resolver(() => Migration)
export class MigrationResolver {
  @FieldResolver(() => Integration)
  async integration(@Root() { run }: MigrationView, @Ctx() context: ApiContext): Promise<Integration> {
    return inTenant(context, async (tx) => {
      const found = await findIntegration(tx, run.integrationId)
      if (found === null) {
        throw new Error('a migration without its integration')
      }
      return showIntegration(found)
    })
  }

  @FieldResolver(() => [MigrationObjectType], { complexity: 20, description: 'In the order in which they are loaded.' })
  async objects(@Root() { run }: MigrationView, @Ctx() context: ApiContext): Promise<object[]> {
    return inTenant(context, async (tx) => {
      const [objects, passes] = [await migrationObjects(tx, run.id), await migrationPasses(tx, run.id)]
      const shownObjects: object[] = []
      for (const object of objects) {
        const imports = []
        for (const { importRunId } of passes.filter((pass) => pass.object === object.object)) {
          const found = importRunId === null ? null : await findRun(tx, importRunId)
          if (found?.kind === 'IMPORT') {
            imports.push(found)
          }
        }
        const open = may(context, 'PII_READ')
        const shownImports = imports.map((one) => showRun(context, one)) as unknown as ImportRun[]
        shownObjects.push({
          object: object.object,
          recordType: recordTypeEnum(object.recordType),
          mapping: {
            columns: object.mapping ?? [],
            conflicts: open ? object.conflicts : object.conflicts.map(withoutValues),
            unmappedRequiredFields: [],
          },
          expected: object.expected,
          extracted: object.extracted,
          watermark: object.watermark,
          importRun: shownImports.at(-1) ?? null,
          passes: shownImports,
          counts: sum(imports.map(({ counts }) => counts)),
          drift: object.drift,
          problems: Object.entries(object.problems).map(([code, problem]) => ({ code, ...problem })),
        } satisfies MigrationObjectType)
      }
      return shownObjects
    })
  }

  @FieldResolver(() => VerificationReportType, { nullable: true, description: 'The newest proof.' })
  verification(@Root() { run }: MigrationView, @Ctx() context: ApiContext): VerificationReportType | null {
    if (run.verification === null) {
      return null
    }
    const { config } = context.services
    const { url } = makeLink(
      config,
      { kind: 'report', tenantId: context.caller.tenantId, object: run.id, actor: context.caller.actor },
      'verification.json',
    )
    return { ...run.verification, fileUrl: url }
  }

  @FieldResolver(() => Date, { nullable: true, name: 'nextRunAt' })
  nextRunAt(@Root() { run }: MigrationView): Date | null {
    return run.nextDueAt
  }
}

function withoutValues(conflict: MappingConflict): MappingConflict {
  return { ...conflict, values: [], readings: [] }
}

function sum(all: readonly Counts[]): RowCounts {
  const add = (name: keyof Counts): number => all.reduce((n, counts) => n + (counts[name] ?? 0), 0)
  return {
    total: add('total'),
    read: add('read'),
    created: add('created'),
    updated: add('updated'),
    unchanged: add('unchanged'),
    skipped: add('skipped'),
    failed: add('failed'),
    unprocessed: add('unprocessed'),
    reverted: add('reverted'),
    kept: add('kept'),
    deleted: add('deleted'),
  }
}
