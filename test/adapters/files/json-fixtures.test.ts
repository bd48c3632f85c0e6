import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { convertedLines } from '../../../src/adapters/files/convert.js'
import type { Detection } from '../../../src/adapters/files/detection.js'
import { type InspectRequest, inspectHere } from '../../../src/adapters/files/inspect.js'
import { RowFileSource } from '../../../src/adapters/files/row-file.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import type { Row } from '../../../src/adapters/source.js'
import { Refusal } from '../../../src/errors.js'
import type { SourceOptions } from '../../../src/pipeline/types.js'
import { random } from './random.js'

interface Expected {
  readonly said?: Partial<SourceOptions>
  readonly refused?: string
  readonly format?: string
  readonly jsonPath?: string | null
  readonly headerRow?: number
  readonly columns?: readonly string[]
  /** Cells of each row, or the code of its fault. */
  readonly rows?: readonly (readonly string[] | string)[]
  /** Of the rows; counted from the first data row where absent. */
  readonly numbers?: readonly number[]
}

const FIXTURES = join(import.meta.dirname, '../../../../test/fixtures/json')
const fixtures = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8')) as Record<string, Expected>

async function rowsOf(bytes: Buffer, request: InspectRequest, detection: Detection): Promise<Row[]> {
  let text = ''
  for await (const lines of convertedLines(heldBytes(bytes), detection, request, AbortSignal.timeout(10_000))) {
    text += lines
  }
  const names = detection.columns.map(({ name }) => name)
  const rows: Row[] = []
  for await (const group of new RowFileSource(heldBytes(Buffer.from(text)), names).rows(
    null,
    AbortSignal.timeout(10_000),
  )) {
    rows.push(...group)
  }
  return rows
}

for (const [name, expected] of Object.entries(fixtures)) {
  test(`${name} is read as expected`, async () => {
    const bytes = readFileSync(join(FIXTURES, name))
    const request = { name, byteSize: bytes.length, overrides: { ...noSourceOptions, ...expected.said } }
    const detection = await inspectHere(heldBytes(bytes), request).catch((error: unknown) => {
      assert.ok(error instanceof Refusal, String(error))
      return error.code
    })
    if (typeof detection === 'string') {
      assert.equal(detection, expected.refused)
      return
    }
    assert.deepEqual(
      {
        format: detection.format,
        jsonPath: detection.jsonPath,
        headerRow: detection.headerRow,
        columns: detection.columns.map((column) => column.name),
      },
      {
        format: expected.format,
        jsonPath: expected.jsonPath,
        headerRow: expected.headerRow ?? null,
        columns: expected.columns,
      },
    )
    const rows = await rowsOf(bytes, request, detection)
    assert.deepEqual(
      rows.map((row) => row.fault?.code ?? row.cells),
      expected.rows,
    )
    assert.deepEqual(
      rows.map((row) => row.number),
      expected.numbers ?? rows.map((_, index) => index + detection.firstDataRow),
    )
  })
}

test('no damage to any of them makes looking or reading fail, or changes what objects are', async () => {
  const of = random(17)
  const names = Object.keys(fixtures)
  const before = Object.getOwnPropertyNames(Object.prototype).length
  let read = 0
  for (let round = 0; round < 1_000; round += 1) {
    const name = of.pick(names)
    let bytes = readFileSync(join(FIXTURES, name))
    for (let times = 1 + of.below(4); times > 0; times -= 1) {
      const at = of.below(bytes.length + 1)
      const put = of.chance(0.5)
        ? Buffer.of(of.below(256))
        : Buffer.from(of.pick(['{', '}', '[', ']', '"', ',', ':', '\n']))
      bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + of.below(3))])
    }
    const request = { name, byteSize: bytes.length, overrides: { ...noSourceOptions, ...fixtures[name]?.said } }
    try {
      const detection = await inspectHere(heldBytes(bytes), request)
      const rows = await rowsOf(bytes, request, detection)
      assert.ok(rows.every((row) => row.fault !== null || row.cells.length >= detection.columns.length))
      read += 1
    } catch (error) {
      assert.ok(error instanceof Refusal, `${name}, round ${round}: ${String(error)}`)
    }
  }
  assert.ok(read > 300, `${read} were read`)
  assert.equal(Object.getOwnPropertyNames(Object.prototype).length, before)
})
