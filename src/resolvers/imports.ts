import 'reflect-metadata'
import type { FileUpload } from 'graphql-upload-ts'
import { Arg, Ctx, Mutation, Resolver } from 'type-graphql'
import { once } from '../access/idempotency.js'
import { findMemberByEmail } from '../access/members.js'
import { requireSpace } from '../access/space.js'
import { addCustomFields, loadRecordType } from '../adapters/crm/custom-fields.js'
import type { DetectedColumn, Detection } from '../adapters/files/detection.js'
import { ERRORS_COLUMN, ROW_COLUMN } from '../adapters/files/failed-rows.js'
import type { PoolTx } from '../db/database.js'
import type { SourceFile } from '../db/entities.js'
import { Refusal } from '../errors.js'
import { failpoint } from '../failpoints.js'
import { decodeId } from '../ids.js'
import type { ColumnMapping, ImportOptions, SourceOptions } from '../pipeline/types.js'
import { customDefinition, withCustomFields } from '../records/custom.js'
import { fieldOf } from '../records/index.js'
import type { RecordType } from '../records/types.js'
import { createImport, defaultImportOptions, updateImportMapping } from '../runs/imports.js'
import { templateFor } from '../runs/mapping-templates.js'
import { findRun } from '../runs/read.js'
import { mappingOfOrigin } from '../runs/retry.js'
import type { ImportRunRow } from '../runs/types.js'
import type { ColumnMappingInput } from '../schema/mapping.js'
import { ImportCreateInput, ImportCreatePayload, ImportMappingUpdateInput, ImportRunPayload } from '../schema/runs.js'
import { type ApiContext, inTenant } from './context.js'
import { findFile } from './files.js'
import {
  checkMapping,
  columnMappings,
  importOptions,
  type NewCustomField,
  newCustomFields,
  over,
  sourceOptions,
} from './inputs.js'
import { requirePermission } from './permission.js'
import { settled } from './refusals.js'
import { detect, discard, receive, record } from './uploads.js'
import { type RunView, recordTypeOf, showRun } from './views.js'

@Resolver()
export class ImportResolver {
  @Mutation(() => ImportCreatePayload, {
    description: 'Starts an import. It reads the file, and goes on by itself unless somebody has to decide something.',
  })
  importCreate(
    @Ctx() context: ApiContext,
    @Arg('input', () => ImportCreateInput) input: ImportCreateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.importCreate')
    return settled({ importRun: null }, async () => {
      checkStart(input)
      const request: ImportRequest = {
        input,
        options: { ...defaultImportOptions, ...importOptions(input.options) },
        source: sourceOptions(input.source),
      }
      const { file } = input
      return {
        importRun: file == null ? await importStored(context, request) : await importUpload(context, request, file),
      }
    })
  }

  @Mutation(() => ImportRunPayload, {
    description:
      'Gives a run that is AWAITING_MAPPING another mapping, and looks at the file again. Options that are absent stay as they are.',
  })
  importMappingUpdate(
    @Ctx() context: ApiContext,
    @Arg('input', () => ImportMappingUpdateInput) input: ImportMappingUpdateInput,
  ): Promise<object> {
    requirePermission(context, 'Mutation.importMappingUpdate')
    return settled({ importRun: null }, async () => {
      const runId = decodeId('run', input.runId)
      const options = importOptions(input.options)
      const mapping = columnMappings(input.mapping)
      const said = sourceOptions(input.source)
      const before = await inTenant(context, (tx) => findRun(tx, runId))
      if (before === null || before.kind !== 'IMPORT') {
        throw new Refusal('NOT_FOUND', 'There is no import with this id.', ['runId'])
      }
      const custom = newFields(context, input.mapping)
      await checkUpdate(context, before, { mapping, options, source: said, custom })
      const importRun = await inTenant(context, async (tx) => {
        await addCustomFields(tx, before.recordType, custom, { actor: context.caller.actor, known: 'USE' })
        await checkOwner(tx, options.defaultOwnerEmail ?? null)
        const source = said === null ? null : over(before.sourceOptions, said)
        await updateImportMapping(tx, { runId, mapping, options, source })
        return showImport(context, tx, runId)
      })
      return { importRun }
    })
  }
}

interface ImportRequest {
  readonly input: ImportCreateInput
  readonly options: ImportOptions
  readonly source: SourceOptions | null
}

function checkStart(input: ImportCreateInput): void {
  if ((input.file == null) === (input.fileId == null)) {
    throw new Refusal('INVALID_INPUT', 'Give either `file` or `fileId`.', ['file'])
  }
  if (input.mapping != null && input.mappingTemplateId != null) {
    throw new Refusal('INVALID_INPUT', 'Give either `mapping` or `mappingTemplateId`.', ['mappingTemplateId'])
  }
}

/** Imports a file that came with the request. File, key and run are recorded together or not at all. */
async function importUpload(context: ApiContext, request: ImportRequest, file: Promise<FileUpload>): Promise<RunView> {
  const received = await receive(context, { file, name: null, sha256: null, source: request.source })
  // Stays true when the answer of the commit is lost: a file too many is better than a row without its file.
  let recorded = false
  try {
    return await inTenant(context, async (tx) => {
      const { id, repeated } = await start(
        context,
        tx,
        request,
        received.stored.sha256,
        received.detection.columns,
        async () => {
          checkColumns(request, received.detection.columns, null, await typeOf(tx, request.input))
          return record(context, tx, received)
        },
      )
      const run = await showImport(context, tx, id)
      recorded = !repeated
      await failpoint('upload.before-commit')
      return run
    })
  } finally {
    if (!recorded) {
      await discard(context, received)
    }
  }
}

/** Imports a file that was uploaded before. */
async function importStored(context: ApiContext, request: ImportRequest): Promise<RunView> {
  const fileId = decodeId('file', request.input.fileId ?? '')
  // A repeated call is answered also when the file has been purged since: its row stays.
  const file = await context.loaders.file(fileId)
  if (file === null) {
    throw new Refusal('NOT_FOUND', 'There is no file with this id.', ['fileId'])
  }
  await requireSpace(context.services.spaceNow, file.byteSize)
  const columns = await columnsOf(context, file, request.source)
  return inTenant(context, async (tx) => {
    const { id } = await start(context, tx, request, file.sha256, columns, async () => {
      if ((await findFile(tx, fileId)) === null) {
        throw new Refusal('NOT_FOUND', 'The retention of this file has ended: upload it again.', ['fileId'])
      }
      checkColumns(request, columns, file.sourceOptions as SourceOptions | null, await typeOf(tx, request.input))
      return fileId
    })
    return showImport(context, tx, id)
  })
}

/** Creates the run over the file that `prepare` answers, once per idempotency key. */
async function start(
  context: ApiContext,
  tx: PoolTx,
  { input, options, source }: ImportRequest,
  sha256: string,
  columns: readonly DetectedColumn[],
  prepare: () => Promise<string>,
): Promise<{ readonly id: string; readonly repeated: boolean }> {
  const { recordType, mapping, mappingTemplateId, idempotencyKey, confirmation } = input
  const asked = { file: sha256, recordType, source, mapping, mappingTemplateId, options: input.options, confirmation }
  return once(tx, { key: idempotencyKey, operation: 'importCreate', input: asked }, async () => {
    await checkOwner(tx, options.defaultOwnerEmail)
    const template =
      mappingTemplateId == null
        ? null
        : await templateFor(tx, decodeId('mappingTemplate', mappingTemplateId), recordTypeOf(recordType))
    const custom = newFields(context, mapping ?? [])
    await addCustomFields(tx, recordTypeOf(recordType), custom, { actor: context.caller.actor, known: 'USE' })
    const sourceFileId = await prepare()
    return createImport(tx, {
      actor: context.caller.actor,
      sourceFileId,
      recordType: recordTypeOf(recordType),
      source,
      mapping: mapping == null ? await mappingBefore(tx, input, columns) : columnMappings(mapping),
      template,
      options,
      confirmation: input.confirmation ?? 'ALWAYS',
    })
  })
}

/** A template is laid over the file once all of it has been read: here the options alone are looked at. */
/** A file of failed rows is mapped as the import was that they come from; null for every other file. */
async function mappingBefore(
  tx: PoolTx,
  { recordType, mappingTemplateId }: ImportCreateInput,
  columns: readonly DetectedColumn[],
): Promise<readonly ColumnMapping[] | null> {
  const names = columns.map(({ name }) => name)
  if (mappingTemplateId != null || !names.includes(ROW_COLUMN)) {
    return null
  }
  const before = names.filter((name) => name !== ROW_COLUMN && name !== ERRORS_COLUMN)
  return mappingOfOrigin(tx, recordTypeOf(recordType), before)
}

function checkColumns(
  { input, options, source }: ImportRequest,
  columns: readonly DetectedColumn[],
  before: SourceOptions | null,
  type: RecordType,
): void {
  checkMapping({
    type,
    columns,
    mapping: columnMappings(input.mapping ?? []),
    options,
    source: over(before, source),
  })
}

async function checkUpdate(
  context: ApiContext,
  run: ImportRunRow,
  update: {
    readonly mapping: ReturnType<typeof columnMappings>
    readonly options: Partial<ImportOptions>
    readonly source: SourceOptions | null
    readonly custom: readonly NewCustomField[]
  },
): Promise<void> {
  const file = await context.loaders.file(run.sourceFileId)
  if (file === null || file.purgedAt != null) {
    throw new Refusal('INVALID_STATE', 'The retention of the file has ended: import it again.', ['runId'])
  }
  const source = over(over(file.sourceOptions as SourceOptions | null, run.sourceOptions), update.source)
  const standing = await inTenant(context, (tx) => loadRecordType(tx, run.recordType))
  const made = update.custom
    .map(({ field }) => customDefinition(field))
    .filter(({ name }) => fieldOf(standing, name) === null)
  checkMapping({
    type: withCustomFields(standing, made),
    columns: await columnsOf(context, file, source),
    mapping: update.mapping,
    options: { ...run.options, ...update.options },
    source,
  })
}

/** The columns of a stored file, read anew where somebody says something about it. */
async function columnsOf(
  context: ApiContext,
  file: SourceFile,
  source: SourceOptions | null,
): Promise<readonly DetectedColumn[]> {
  if (source === null || file.purgedAt != null) {
    return (file.detection as Detection).columns
  }
  const options = over(file.sourceOptions as SourceOptions | null, source)
  const detection = await detect(
    context.services.files,
    { key: file.storageKey, byteSize: file.byteSize },
    file.name,
    options,
  )
  return detection.columns
}

/** The custom fields that a mapping makes. Making them is not part of importing, and needs a permission of its own. */
function newFields(context: ApiContext, mapping: readonly ColumnMappingInput[]): NewCustomField[] {
  const fields = newCustomFields(mapping)
  if (fields.length > 0) {
    requirePermission(context, 'Mutation.customFieldCreate')
  }
  return fields
}

function typeOf(tx: PoolTx, input: ImportCreateInput): Promise<RecordType> {
  return loadRecordType(tx, recordTypeOf(input.recordType))
}

async function checkOwner(tx: PoolTx, email: string | null): Promise<void> {
  const owner = email === null ? null : await findMemberByEmail(tx, email)
  if (email !== null && owner?.active !== true) {
    throw new Refusal(
      'INVALID_INPUT',
      `No active member has the e-mail address ${JSON.stringify(email.slice(0, 100))}.`,
      ['options', 'defaultOwnerEmail'],
    )
  }
}

async function showImport(context: ApiContext, tx: PoolTx, runId: string): Promise<RunView> {
  const run = await findRun(tx, runId)
  if (run === null) {
    throw new Error('an import is gone in the transaction that made it')
  }
  return showRun(context, run)
}
