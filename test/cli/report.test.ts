import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bytes, clean, duration, table } from '../../src/cli/io.js'
import { progressLine, report } from '../../src/cli/report.js'
import type { RunReport } from '../../src/cli/runs.js'
import { importRun, noCounts, rollbackRun } from './runs.js'

test('the report of an import tells counts, issues, where the failed rows are and how to undo it', () => {
  assert.deepEqual(report(importRun() as unknown as RunReport), [
    'Import of contacts.csv: completed with errors in 12 s',
    'Run run_1',
    '',
    '  rows     1,000',
    '  created    900',
    '  updated     88',
    '  failed      12',
    '',
    'Issues',
    '  12 x INVALID_EMAIL, column "E-mail", rows 17 to 980',
    '      is not an e-mail address',
    '      for example "ada@", "bob at example", "c@d"',
    '',
    'Failed rows, to be corrected and imported again (12 rows), until 2026-11-22T10:00:00.000Z:',
    '  http://files/failed',
    '',
    'To undo it: npm run -s portage -- rollback run_1',
  ])
})

test('the report of a rollback lists what was changed since, with all three values', () => {
  assert.deepEqual(report(rollbackRun({ issueGroups: undefined }) as unknown as RunReport), [
    'Rollback run_2: completed in 12 s',
    '',
    '  rows      988',
    '  reverted  987',
    '  kept        1',
    '',
    '1 conflict: changed since the import',
    '  row 7, contact con_1, phone: before blank, imported "+491", now "+492"',
  ])
})

test('a run that waits for a mapping says what to decide and how', () => {
  const run = importRun({
    status: 'AWAITING_MAPPING',
    finishedAt: null,
    counts: noCounts,
    files: [],
    issueGroups: [],
    availableActions: [],
    mapping: {
      unmappedRequiredFields: ['lastName'],
      conflicts: [
        {
          code: 'AMBIGUOUS_FORMAT',
          field: 'birthDate',
          columns: ['Born'],
          message: 'Dates in "Born" can be read in two ways.',
          values: [],
          readings: [
            { format: 'dd/MM/yyyy', exampleValue: '03/04/1980', exampleReading: '1980-04-03' },
            { format: 'MM/dd/yyyy', exampleValue: '03/04/1980', exampleReading: '1980-03-04' },
          ],
        },
        // Told once, by what to do about it.
        {
          code: 'REQUIRED_UNMAPPED',
          field: 'lastName',
          columns: [],
          message: 'Nothing becomes "lastName".',
          values: [],
          readings: [],
        },
      ],
    },
  })
  assert.deepEqual(report(run as unknown as RunReport).slice(3), [
    'The mapping needs a decision:',
    '  Dates in "Born" can be read in two ways.',
    '      03/04/1980 is 1980-04-03 with --format "Born=dd/MM/yyyy"',
    '      03/04/1980 is 1980-03-04 with --format "Born=MM/dd/yyyy"',
    '  No column becomes "lastName", which is required: --map "Column=lastName"',
    'Nothing has been written. Decide and import again.',
  ])
})

test('progress shows a share where the total is known, and a count where it is not', () => {
  const counts = { ...noCounts, total: 1000, read: 500, created: 450, failed: 50 }
  const progress = {
    fraction: 0.5,
    rowsPerSecond: 1234.5,
    bytesRead: 1,
    bytesTotal: 2,
    etaAt: '2026-11-22T10:01:05.000Z',
  }
  const now = new Date('2026-11-22T10:00:00.000Z')
  assert.equal(
    progressLine(counts, progress, now),
    '[############------------] 50%  500 of 1,000 rows  1,235/s  1 min 5 s left  50 failed',
  )
  assert.equal(
    progressLine(
      { ...counts, total: null, failed: 0 },
      { ...progress, fraction: null, rowsPerSecond: null, etaAt: null },
      now,
    ),
    '450 rows',
  )
})

test('text of others cannot steer the terminal', () => {
  assert.equal(clean('a\u001b[2Jb\u009b1m\u202ec\r\nd'), 'a [2Jb 1m c  d')
})

test('sizes and times are short', () => {
  assert.deepEqual([999, 1000, 160_000_000, 1_000_000_000].map(bytes), ['999 B', '1.0 kB', '160 MB', '1.0 GB'])
  assert.deepEqual([400, 12_000, 185_000, 7_440_000].map(duration), ['0.4 s', '12 s', '3 min 5 s', '2 h 4 min'])
})

test('tables are as wide as their widest cells', () => {
  assert.deepEqual(
    table(
      [
        ['a', '1'],
        ['bbb', '200'],
      ],
      [1],
    ),
    ['a      1', 'bbb  200'],
  )
})
