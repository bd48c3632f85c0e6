import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chunkSql, laneSettings } from '../../../src/adapters/crm/sql.js'
import { stageDdl, type WritePlan } from '../../../src/adapters/crm/stage.js'
import { applyChunk } from '../../../src/adapters/crm/write.js'
import { Lane } from '../../../src/db/lane.js'
import { withTenant } from '../../../src/db/tx.js'
import { newId } from '../../../src/ids.js'
import { laneOptions } from '../../../src/jobs/context.js'
import { compileMapping } from '../../../src/pipeline/map.js'
import { resolveMapping } from '../../../src/pipeline/resolve.js'
import { recordTypes } from '../../../src/records/index.js'
import { defaultImportOptions } from '../../../src/runs/imports.js'
import { freshDatabase } from '../../helpers/database.js'
import { columnMapping, Engine, emptySource } from '../../helpers/engine.js'

test('rows with a value that the server refuses during COPY fail, and the rows around them land', async () => {
  const db = await freshDatabase()
  const engine = await Engine.start(db)
  const lane = await Lane.open(laneOptions(db.workerUrl, 'write'))
  try {
    const tenantId = await engine.tenant()
    const request = { type: 'contact', csv: 'Id,Last\nx,X\n', map: { Id: 'externalId' } } as const
    const runId = await engine.createRun(tenantId, request)
    const type = recordTypes.contact
    const { resolved } = resolveMapping({
      type,
      mapping: [columnMapping('Id', 'externalId'), columnMapping('Last', 'lastName')],
      evidence: ['Id', 'Last'].map((name, index) => ({
        index,
        name,
        kind: 'TEXT' as const,
        kindConfidence: 1,
        filled: 5,
        samples: [],
        formats: {},
      })) as unknown as Parameters<typeof resolveMapping>[0]['evidence'],
      options: defaultImportOptions,
      source: emptySource,
    })
    const plan: WritePlan = {
      recordType: type,
      stageColumns: compileMapping(resolved, type).stageColumns,
      rules: [['externalId']],
      runId,
      operation: 'UPSERT',
      onDuplicate: 'UPDATE',
      onMissingRelation: 'FAIL_ROW',
      sourceSystem: 'file',
      createDefaults: {},
      defaultOwnerId: null,
      onDrift: null,
    }
    await lane.session(laneSettings)
    for (const statement of stageDdl(plan)) {
      await lane.session(statement)
    }
    // The second and the fourth row carry NUL, which no text column takes.
    const line = (row: number) => {
      const texts: Record<string, string> = { externalId: `id${row}`, lastName: `L${row % 2 ? '' : '\\000'}` }
      const cells = plan.stageColumns.map((column) => texts[column.field] ?? (column.role === 'new' ? 'N' : '\\N'))
      return [row, newId(), row * 10, 0, '\\N', '\\N', ...cells].join('\t')
    }
    const copy = [Buffer.from(`${[1, 2, 3, 4, 5].map(line).join('\n')}\n`)]
    const chunk = { firstRow: 1, lastRow: 5, copy, staged: 5, lastPass: 0, warned: [] }
    const applied = await withTenant(lane, tenantId, (tx) =>
      applyChunk(tx, plan, chunkSql(plan), { checks: null } as Parameters<typeof applyChunk>[3], chunk, {
        beforeMatch: () => Promise.resolve(true),
        changesExisting: () => undefined,
      }),
    )
    assert.deepEqual(applied.refused, [
      { row: 2, byte: 20 },
      { row: 4, byte: 40 },
    ])
    assert.deepEqual([applied.created, applied.failed, applied.whole], [3, 2, null])
    assert.deepEqual(
      applied.issues.map(({ row, code }) => [row, code]),
      [
        [2, 'INTERNAL'],
        [4, 'INTERNAL'],
      ],
    )
    const stored = await engine.rows('select external_id as id from contact where tenant_id = $1 order by 1', [
      tenantId,
    ])
    assert.deepEqual(stored, [{ id: 'id1' }, { id: 'id3' }, { id: 'id5' }])
  } finally {
    await lane.close()
    await engine.close()
    await db.drop()
  }
})
