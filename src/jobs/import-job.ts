/** What an import is made of, read once by whoever is about to rehearse or to write it. */
import { loadRecordTypeOf } from '../adapters/crm/custom-fields.js'
import type { WritePlan } from '../adapters/crm/stage.js'
import type { Cursor } from '../adapters/source.js'
import { first, one, withTenant } from '../db/tx.js'
import { compileMapping, createDefaults } from '../pipeline/map.js'
import { matchableFields } from '../pipeline/mapped.js'
import { onMissingRelation, relatedColumns, relatedMappings } from '../pipeline/related.js'
import { effectiveMatchRules, resolveMapping } from '../pipeline/resolve.js'
import { fieldsOfRule, uniqueRules } from '../pipeline/rules.js'
import type { ColumnEvidence, ColumnMapping, ImportOptions, ResolvedMapping } from '../pipeline/types.js'
import { fieldOf, recordTypes } from '../records/index.js'
import type { RecordTypeName } from '../records/types.js'
import { freezeRules } from '../runs/business-rules.js'
import type { RunStatus } from '../runs/status.js'
import type { ImportFile } from './analyze-import.js'
import type { Claim } from './claim.js'
import type { WorkerContext } from './context.js'

export interface Import {
  readonly claim: Claim
  readonly recordType: RecordTypeName
  readonly options: ImportOptions
  readonly resolved: ResolvedMapping
  readonly plan: WritePlan
  /** Records of other types that the rows make or change, see `pipeline/related`. */
  readonly related: readonly { readonly path: string; readonly plan: WritePlan }[]
  readonly cursor: Cursor | null
  readonly total: number
  readonly failed: number
  readonly settled: number
}

/** The import that a claim is about. Read after the claim: whatever a worker before has settled stands in it. */
export async function loadImport(context: WorkerContext, claim: Claim, file: ImportFile): Promise<Import> {
  return context.control.use((lane) =>
    withTenant(lane, claim.tenantId, async (tx) => {
      // Read after the token was bumped: whatever a worker before us has settled stands in the cursor by now.
      const run = await one<{
        record_type: RecordTypeName
        status: RunStatus
        mapping: ColumnMapping[]
        evidence: ColumnEvidence[]
        options: ImportOptions
        cursor: Cursor | null
        planned: boolean
        together: string[] | null
        migrated: boolean
        total: number
        failed: number
        settled: number
      }>(
        tx,
        `select r.record_type, r.status, r.mapping, r.evidence, r.options, r.cursor, r.plan_hash is not null as planned,
           (select array_agg(m.id) from run m where m.tenant_id = r.tenant_id and m.migration_run_id = r.migration_run_id) as together,
           r.migration_run_id is not null as migrated, r.total, r.failed, run_settled(r) as settled
         from run r where r.tenant_id = $1 and r.id = $2`,
        [claim.tenantId, claim.runId],
      )
      const type = await loadRecordTypeOf(tx, { id: claim.runId, recordType: run.record_type })
      // A rule over a field that has been archived rests.
      const frozen = await freezeRules(tx, claim.runId, run.status === 'PLANNING')
      const rules = frozen.rules.filter((rule) => fieldsOfRule(rule).every((name) => fieldOf(type, name) !== null))
      const { resolved: mapped } = resolveMapping({
        type,
        mapping: run.mapping,
        evidence: run.evidence,
        options: run.options,
        source: file.source,
      })
      const resolved: ResolvedMapping = rules.length === 0 ? mapped : { ...mapped, rules }
      const stageColumns = compileMapping(resolved, type).stageColumns
      const staged = matchableFields(stageColumns)
      const owner =
        run.options.defaultOwnerEmail === null
          ? null
          : await first<{ id: string }>(tx, 'select id from member where tenant_id = $1 and email = $2 and active', [
              claim.tenantId,
              run.options.defaultOwnerEmail.toLowerCase(),
            ])
      const plan: WritePlan = {
        recordType: type,
        stageColumns,
        rules: effectiveMatchRules(type, run.options, staged),
        runId: claim.runId,
        operation: run.options.operation,
        onDuplicate: run.options.onDuplicate,
        onMissingRelation: onMissingRelation(resolved, type),
        sourceSystem: run.options.sourceSystem ?? 'file',
        createDefaults: createDefaults(resolved, type),
        defaultOwnerId: owner?.id ?? null,
        onDrift: run.planned ? run.options.onDrift : null,
        unique: uniqueRules(rules, staged),
        referenceBase: run.options.referenceBase ?? null,
        guard: run.migrated ? (run.options.changedHere ?? 'KEEP') : null,
        ...(run.together === null ? {} : { plannedWith: run.together }),
      }
      const related = relatedMappings(resolved, type).map((mapping) => {
        const to = recordTypes[mapping.to]
        const columns = relatedColumns(mapping.path, compileMapping(mapping.resolved, to).stageColumns)
        const given = matchableFields(columns)
        const { operation, onDuplicate } = mapping.resolved.options
        return {
          path: mapping.path,
          plan: {
            ...plan,
            recordType: to,
            stageColumns: columns,
            rules: effectiveMatchRules(to, mapping.resolved.options, given),
            operation,
            onDuplicate,
            onMissingRelation: 'FAIL_ROW' as const,
            createDefaults: createDefaults(mapping.resolved, to),
            // Rules are those of the import's own record type.
            unique: [],
            // A plan notes the versions of the rows' own records.
            onDrift: null,
            guard: null,
          },
        }
      })
      return {
        claim,
        recordType: run.record_type,
        options: run.options,
        resolved,
        plan,
        related,
        cursor: run.cursor,
        total: run.total,
        failed: run.failed,
        settled: run.settled,
      }
    }),
  )
}

/** As it goes to the reading thread, which looks the record type up itself. */
export function withoutType(plan: WritePlan): Omit<WritePlan, 'recordType'> {
  const { recordType: _, ...rest } = plan
  return rest
}
