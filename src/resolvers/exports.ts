import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, ID, Int, Mutation, Query, Resolver, Root } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { requireSpace } from '../access/space.js'
import { exportSql } from '../adapters/crm/export.js'
import { Refusal } from '../errors.js'
import { decodeId } from '../ids.js'
import { EXPORT_PREVIEW_ROWS_MAX } from '../limits.js'
import { createExport } from '../runs/exports.js'
import { findRun } from '../runs/read.js'
import { ExportCreateInput, ExportCreatePayload, ExportRun } from '../schema/exports.js'
import { PreviewRow } from '../schema/preview.js'
import { type ApiContext, inTenant } from './context.js'
import { exportOf } from './export-inputs.js'
import { requirePermission } from './permission.js'
import { asked, settled } from './refusals.js'
import { type ExportRunView, type RunView, showRun } from './views.js'

@Resolver()
export class ExportResolver {
  @Query(() => ExportRun, { nullable: true })
  async exportRun(@Ctx() context: ApiContext, @Arg('id', () => ID) id: string): Promise<RunView | null> {
    requirePermission(context, 'Query.exportRun')
    const run = await inTenant(context, (tx) => findRun(tx, decodeId('run', id)))
    return run?.kind === 'EXPORT' ? showRun(context, run) : null
  }

  @Query(() => [PreviewRow], {
    complexity: ({ childComplexity, args }) => 10 + childComplexity * Math.max(1, Number(args.first)),
    description:
      'The first rows of such an export, as they stand now: `cells` as the file has them, `values` by field as they are. Of what is no CSV ' +
      'the cells are the values. Nothing is started; `idempotencyKey` is not looked at.',
  })
  exportPreview(
    @Ctx() context: ApiContext,
    @Arg('input', () => ExportCreateInput) input: ExportCreateInput,
    @Arg('first', () => Int, { nullable: true, defaultValue: 10 }) first: number | null,
  ): Promise<PreviewRow[]> {
    requirePermission(context, 'Query.exportPreview')
    return asked(() => preview(context, input, first ?? 10))
  }

  @Mutation(() => ExportCreatePayload, {
    description:
      'Starts an export of what the filter finds, at one moment. Without columns, fields that the caller may not see are left out, see ' +
      '`leftOutFields`; named ones are refused.',
  })
  exportCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => ExportCreateInput) input: ExportCreateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.exportCreate')
    const { idempotencyKey: key, ...said } = input
    return settled({ exportRun: null }, async () => {
      await requireSpace(context.services.spaceNow, 0)
      return inTenant(context, async (tx) => {
        const { id } = await once(tx, { key, operation: 'exportCreate', input: said }, async () => {
          const { spec, templateId } = await exportOf(tx, input, context.caller.permissions)
          return createExport(tx, { actor: context.caller.actor, spec, templateId })
        })
        const run = await findRun(tx, id)
        return { exportRun: run === null ? null : showRun(context, run) }
      })
    })
  }
}

@Resolver(() => ExportRun)
export class ExportRunResolver {
  @FieldResolver(() => [String], {
    description:
      'Fields that the file does not have because whoever started it may not see them: it asked for no columns of its own.',
  })
  leftOutFields(@Root() { run }: ExportRunView): readonly string[] {
    return run.spec.leftOut ?? []
  }
}

/** The same statement that writes the file, with an end after the first rows. */
async function preview(context: ApiContext, input: ExportCreateInput, first: number): Promise<PreviewRow[]> {
  if (first < 1 || first > EXPORT_PREVIEW_ROWS_MAX) {
    throw new Refusal('INVALID_INPUT', `A preview has 1 to ${EXPORT_PREVIEW_ROWS_MAX} rows.`, ['first'])
  }
  return inTenant(context, async (tx) => {
    const { spec, type } = await exportOf(tx, input, context.caller.permissions)
    const { columns, format } = spec
    const csv = format.format === 'CSV'
    await tx.query("select set_config('datestyle', 'ISO, YMD', true), set_config('timezone', $1, true)", [
      format.timeZone,
    ])
    const rows = await tx.query<{ cells: (string | null)[]; values: (string | null)[] }>(
      exportSql(tx.tenantId, type, spec).preview(format, first),
    )
    // Files with a header count it as their first row, as imports do.
    const before = csv || format.format === 'XLSX' ? 2 : 1
    const none = format.nullText === '' ? null : format.nullText
    return rows.map(({ cells, values }, index) => ({
      rowNumber: index + before,
      cells: columns.map(({ header }, at) => ({
        column: header,
        value: csv ? (cells[at] ?? none) : (values[at] ?? null),
      })),
      values: columns.map(({ field }, at) => ({ key: field, value: values[at] ?? null })),
      issues: [],
    }))
  })
}
