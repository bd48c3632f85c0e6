import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { rowsOf } from '../../../src/adapters/files/convert.js'
import { inspectFile } from '../../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import { BOOK_TYPES, bookOf, page, written } from './legacy-rows.js'

/** Looks at a file and reads it as the service does, in the sandbox. */
async function read(bytes: Buffer) {
  const open = heldBytes(bytes)
  const request = { name: 'leads.csv', byteSize: bytes.length, overrides: noSourceOptions }
  const detection = await inspectFile(open, request)
  const rows: unknown[] = []
  for await (const group of rowsOf(open, { ...request, detection }, new AbortController().signal)) {
    rows.push(...group.map(({ number, cells }) => [number, ...cells]))
  }
  return { detection, rows }
}

describe('a workbook of an older or another make, in the sandbox', () => {
  const book = bookOf([
    ['Name', 'Zip'],
    ['Ann', '00700'],
    ['Bob', '01000'],
  ])
  const files: readonly (readonly [what: string, bytes: Buffer, format: string])[] = [
    ...BOOK_TYPES.filter(([type]) => !/^biff[34]$/.test(type)).map(
      ([type, format]) => [type, written(book, type), format] as const,
    ),
    ['html', Buffer.from(page('<tr><th>Name<th>Zip<tr><td>Ann<td>00700<tr><td>Bob<td>01000')), 'XLS'],
  ]
  for (const [what, bytes, format] of files) {
    it(`is told by its content and read (${what})`, async () => {
      const { detection, rows } = await read(bytes)
      assert.equal(detection.format, format)
      assert.equal(detection.headerRow, 1)
      assert.deepEqual(
        detection.columns.map(({ name }) => name),
        ['Name', 'Zip'],
      )
      assert.deepEqual(rows, [
        [2, 'Ann', '00700'],
        [3, 'Bob', '01000'],
      ])
    })
  }

  it('is refused where a page holds no table', async () => {
    const login = Buffer.from('<!DOCTYPE html><html><body>Please sign in</body></html>')
    await assert.rejects(read(login), { name: 'Refusal', code: 'FILE_TYPE_UNSUPPORTED', message: /without a table/ })
  })
})
