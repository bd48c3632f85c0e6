import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openXlsx } from '../../../../src/adapters/files/xlsx/workbook.js'
import { SHARED_STRINGS_PLAIN_BYTES_MAX } from '../../../../src/limits.js'
import { largeColumns, largeRow, writeLargeXlsx } from '../../../helpers/xlsx-file.js'
import { bytesOf } from '../../../helpers/zip-file.js'

const ROWS = 70_000

for (const strings of ['shared', 'inline', 'unique'] as const) {
  test(`reads ${ROWS} rows with ${strings} texts, every cell`, { timeout: 60_000 }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'portage-xlsx-'))
    t.after(() => rm(folder, { recursive: true }))
    const path = join(folder, 'large.xlsx')
    await writeLargeXlsx(path, { rows: ROWS, strings, level: 1 })
    await using book = await openXlsx(bytesOf(await readFile(path), 50_000))
    assert.equal(book.sheets[0]?.estimatedRowCount, ROWS + 1)
    let count = 0
    let textBytes = 0
    for await (const group of book.rows(0, new AbortController().signal)) {
      for (const { number, cells, fault } of group) {
        const expected = number === 1 ? largeColumns : largeRow(number - 2, strings)
        count += 1
        if (fault !== null || number !== count || cells.join('\t') !== expected.join('\t')) {
          assert.deepEqual({ number, cells, fault }, { number: count, cells: expected, fault: null })
        }
        textBytes += (cells[3]?.length ?? 0) + (cells[6]?.length ?? 0)
      }
    }
    assert.equal(count, ROWS + 1)
    // Those that differ in each row alone are more than is kept unpacked.
    assert.ok(strings !== 'unique' || textBytes > SHARED_STRINGS_PLAIN_BYTES_MAX / 2)
  })
}
