import 'reflect-metadata'
import { Arg, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql'
import type { Tx } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { decodeId, encodeId } from '../ids.js'
import { recordTypes } from '../records/index.js'
import {
  deleteExportTemplate,
  type ExportTemplateRow,
  findExportTemplate,
  listExportTemplates,
  saveExportTemplate,
} from '../runs/export-templates.js'
import { defaultExportFormat } from '../runs/exports.js'
import { DeletePayload } from '../schema/business-rules.js'
import { IdInput } from '../schema/custom-fields.js'
import { ExportRun, ExportTemplate, ExportTemplatePayload, ExportTemplateSaveInput } from '../schema/exports.js'
import { type ApiContext, inTenant, may } from './context.js'
import { templateOf } from './export-inputs.js'
import { shownFilter } from './filters.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { type RunView, recordTypeEnum, recordTypeOf, showRun } from './views.js'

/** An export template as the API shows it. */
export type ExportTemplateView = ExportTemplate & {
  readonly __typename: 'ExportTemplate'
  readonly id: string
  /** Its UUID. */
  readonly $: string
}

/** What the caller may see of a template. */
export function showExportTemplate(context: ApiContext, template: ExportTemplateRow): ExportTemplateView {
  const { filter, recordType } = template
  return {
    __typename: 'ExportTemplate',
    id: encodeId('exportTemplate', template.id),
    $: template.id,
    name: template.name,
    recordType: recordTypeEnum(recordType),
    schedule: template.schedule,
    createdAt: template.createdAt,
    filter:
      filter === null ? null : JSON.stringify(shownFilter(recordTypes[recordType], filter, may(context, 'PII_READ'))),
    columns: template.columns?.map(({ field }) => field) ?? [],
    format: template.format.format ?? defaultExportFormat.format,
    timeZone: template.timeZone,
    nextRunAt: template.nextRunAt,
    disabledReason: template.disabledReason,
    owner: template.owner.actor,
  }
}

@Resolver(() => ExportTemplate)
export class ExportTemplateResolver {
  @Query(() => [ExportTemplate], { description: 'Of the tenant, by name.' })
  async exportTemplates(@Ctx() context: ApiContext): Promise<ExportTemplateView[]> {
    requirePermission(context, 'Query.exportTemplates')
    const templates = await inTenant(context, listExportTemplates)
    return templates.map((template) => showExportTemplate(context, template))
  }

  @Mutation(() => ExportTemplatePayload, {
    description: 'Keeps an export for all members of the tenant. Its schedule, if it has one, runs as the caller.',
  })
  exportTemplateSave(
    @Ctx() context: ApiContext,
    @Arg('input', () => ExportTemplateSaveInput) input: ExportTemplateSaveInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.exportTemplateSave')
    const { actor, identity, permissions } = context.caller
    return settled({ exportTemplate: null }, () =>
      inTenant(context, async (tx) => {
        const kept = await templateOf(tx, recordTypeOf(input.recordType), input, permissions)
        const template = {
          ...kept,
          id: input.id == null ? null : decodeId('exportTemplate', input.id),
          name: input.name,
          schedule: input.schedule ?? null,
          timeZone: input.timeZone ?? null,
          owner: { actor, keyId: identity.keyId, permissions: [...permissions] },
        }
        const id = await saveExportTemplate(tx, template, new Date())
        return { exportTemplate: showExportTemplate(context, await found(tx, id)) }
      }),
    )
  }

  @Mutation(() => DeletePayload, { description: 'Its exports stay, and those under way go on.' })
  exportTemplateDelete(@Ctx() context: ApiContext, @Arg('input', () => IdInput) input: IdInput): Promise<object> {
    requirePermission(context, 'Mutation.exportTemplateDelete')
    return settled({ deletedId: null }, () =>
      inTenant(context, async (tx) => {
        const id = decodeId('exportTemplate', input.id)
        if (!(await deleteExportTemplate(tx, id))) {
          throw new Refusal('NOT_FOUND', 'There is no export template with this id.', ['id'])
        }
        return { deletedId: encodeId('exportTemplate', id) }
      }),
    )
  }

  @FieldResolver(() => ExportRun, {
    nullable: true,
    complexity: 5,
    description:
      'The newest export made from it, by its schedule or by hand; null for none. One that failed tells why.',
  })
  async lastRun(@Root() template: ExportTemplateView, @Ctx() context: ApiContext): Promise<RunView | null> {
    const run = await context.loaders.lastRunOfTemplate(template.$)
    return run === null ? null : showRun(context, run)
  }
}

async function found(tx: Tx, id: string): Promise<ExportTemplateRow> {
  const template = await findExportTemplate(tx, id)
  if (template === null) {
    throw new Error('an export template that was just written is not there')
  }
  return template
}
