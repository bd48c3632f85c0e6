import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { rowsOf, withAllColumns } from '../../../src/adapters/files/convert.js'
import type { Detection } from '../../../src/adapters/files/detection.js'
import { inspectFile, inspectHere } from '../../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../../src/adapters/files/sniff.js'
import { heldBytes } from '../../../src/adapters/files/stream-bytes.js'
import { Refusal } from '../../../src/errors.js'
import { zipOf } from '../../helpers/zip-file.js'

const signal = new AbortController().signal

async function read(bytes: Buffer, name = 'file') {
  const open = heldBytes(bytes)
  const request = { name, byteSize: bytes.length, overrides: noSourceOptions }
  const found = await inspectFile(open, request)
  const detection = await withAllColumns(open, { ...request, detection: found }, signal)
  const rows: (readonly string[] | string)[] = []
  for await (const group of rowsOf(open, { ...request, detection }, signal)) {
    rows.push(...group.map((row) => row.fault?.code ?? row.cells))
  }
  return { found, detection, rows }
}

const namesOf = ({ columns }: Detection): string[] => columns.map(({ name }) => name)

const json = '{"data":[{"name":"Zoë","n":0.10},{"name":"李","n":{"m":1}},{"name":"x",}]}'
const lines = '{"name":"Zoë","n":0.10}\n{"name":"李","n":{"m":1}}\n{"name":"x",}\n{"name":"y"}\n'
const expected = [['Zoë', '0.10', ''], ['李', '', '1'], 'UNPARSABLE_ROW']

test('JSON and NDJSON give the same rows as they are, packed and in other encodings', async () => {
  for (const [text, format, rows] of [
    [json, 'JSON', expected],
    [lines, 'NDJSON', [...expected, ['y', '', '']]],
  ] as const) {
    for (const bytes of [
      Buffer.from(text),
      gzipSync(text),
      zipOf([{ name: 'export/contacts.txt', data: text }]),
      Buffer.from(`\uFEFF${text}`, 'utf16le'),
      gzipSync(Buffer.from(`\uFEFF${text}`, 'utf16le')),
    ]) {
      const { detection, rows: found } = await read(bytes)
      assert.deepEqual([detection.format, detection.estimatedRowCount], [format, rows.length])
      assert.deepEqual(namesOf(detection), ['name', 'n', 'n.m'])
      assert.deepEqual(found, rows)
    }
  }
})

test('names that come far down are columns too, with a warning', async () => {
  const record = (index: number): string => `{"id":${index},"note":"${'x'.repeat(1000)}"}`
  const records = [...Array.from({ length: 400 }, (_, index) => record(index)), '{"id":400,"late":{"name":"here"}}']
  for (const text of [`[${records.join(',\n')}]`, records.join('\n')]) {
    const { found, detection, rows } = await read(Buffer.from(text))
    assert.deepEqual(namesOf(found), ['id', 'note'])
    assert.deepEqual(namesOf(detection), ['id', 'note', 'late.name'])
    assert.match(detection.warnings.join(), /"late\.name"/)
    assert.deepEqual(rows.at(-1), ['400', '', 'here'])
    assert.deepEqual(rows[0], ['0', 'x'.repeat(1000), ''])
    assert.ok(Math.abs((found.estimatedRowCount ?? 0) - 401) < 10, `${found.estimatedRowCount} rows`)
  }
})

test('kinds and samples of the columns are told', async () => {
  const { found } = await read(
    Buffer.from('[{"mail":"a@example.com","n":1.5},{"mail":"b@example.com","n":2.50},{"mail":null}]'),
  )
  assert.deepEqual(
    found.columns.map(({ kind, fillRate, samples }) => [kind, fillRate, samples]),
    [
      ['EMAIL', 0.6667, ['a@example.com', 'b@example.com']],
      [found.columns[1]?.kind, 0.6667, ['1.5', '2.50']],
    ],
  )
  assert.notEqual(found.columns[1]?.kind, 'TEXT')
})

test('text in brackets that is no JSON stays CSV', async () => {
  for (const text of ['[id],[name]\n1,Ada\n2,Bo\n', '{id};{name}\n1;Ada\n2;Bo\n', '[1] x,y\n2,3\n4,5\n']) {
    assert.equal((await read(Buffer.from(text))).detection.format, 'CSV', text)
  }
})

test('an array that breaks off is refused, whether its end is looked at or not', async () => {
  const text = `[${'{"a":"xxxxxxxxxxxxxxxx"},\n'.repeat(20_000)}`
  for (const part of [text.slice(0, 1000), text]) {
    await assert.rejects(
      read(Buffer.from(part)),
      (error) => error instanceof Refusal && error.code === 'FILE_UNREADABLE',
    )
  }
})

test('a first record that is longer than what is looked at is refused in words', async () => {
  const text = `[{"a":"${'x'.repeat(300_000)}"}]`
  await assert.rejects(read(Buffer.from(text)), /first record does not end within the first 256 KiB/)
})

test('one column of text that is named as JSON is broken JSON; a table is only misnamed', async () => {
  const inspected = (text: string, name: string) => {
    const bytes = Buffer.from(text)
    return inspectHere(heldBytes(bytes), { name, byteSize: bytes.length, overrides: noSourceOptions })
  }
  for (const text of ['abc', ']', '1]', '[1', 'nul', "'a'", '{"a":']) {
    await assert.rejects(inspected(text, 'data.json'), { name: 'Refusal', code: 'FILE_UNREADABLE' }, text)
  }
  assert.equal((await inspected('Name,City\nAda,London\n', 'data.json')).format, 'CSV')
  assert.equal((await inspected('abc\ndef\n', 'data.csv')).format, 'CSV')
})
