import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { portage } from '../../src/cli/portage.js'
import { fakeIo } from './fake-api.js'

let folder = ''
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'portage-inspect-'))
})
after(() => rm(folder, { recursive: true, force: true }))

async function file(name: string, bytes: string | Uint8Array): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, bytes)
  return path
}

async function told(...args: readonly string[]) {
  const { io, out, notes } = fakeIo()
  const code = await portage(['inspect', ...args], io)
  return { code, out, notes, text: out.join('\n') }
}

test('what is found is printed as one JSON text', async () => {
  const { code, text } = await told(await file('a.csv', 'Report\n\nName;City\nAda;London\nBo;Rome\n'))
  assert.equal(code, 0)
  const detection = JSON.parse(text) as Record<string, unknown> & { columns: { name: string }[] }
  assert.equal(detection.format, 'CSV')
  assert.equal(detection.delimiter, ';')
  assert.equal(detection.headerRow, 3)
  assert.deepEqual(
    detection.columns.map((column) => column.name),
    ['Name', 'City'],
  )
})

test('with --rows the header comes first, then each row with its number, faults with what is wrong', async () => {
  const csv = 'Name,City\nAda,London\n"Bo\nRay",Rome\nx,y,z\nCy,\n'
  for (const path of [await file('b.csv', csv), await file('b.csv.gz', gzipSync(csv))]) {
    const { code, out } = await told(path, '--rows')
    assert.equal(code, 0)
    const lines = out.map((line) => JSON.parse(line) as Record<string, unknown>)
    assert.deepEqual(lines[0], { row: 1, header: ['Name', 'City'] })
    assert.deepEqual(lines[1], { row: 2, cells: ['Ada', 'London'] })
    assert.deepEqual(lines[2], { row: 3, cells: ['Bo\nRay', 'Rome'] })
    assert.match(out[3] ?? '', /^\{"row":4,"error":\{"code":"WRONG_COLUMN_COUNT","message":"/)
    assert.deepEqual(lines[3]?.cells, ['x', 'y', 'z'])
    assert.deepEqual(lines[4], { row: 5, cells: ['Cy', ''] })
    assert.equal(lines.length, 5)
  }
})

test('what a person says wins', async () => {
  const path = await file('c.csv', 'a;b,c\n1;2,3\n')
  const { out } = await told(path, '--rows', '--delimiter', ';', '--header-row', '0')
  assert.deepEqual(
    out.map((line) => JSON.parse(line) as unknown),
    [
      { row: null, header: ['Column 1', 'Column 2'] },
      { row: 1, cells: ['a', 'b,c'] },
      { row: 2, cells: ['1', '2,3'] },
    ],
  )
})

test('what cannot be read is said on standard error, with exit code 1', async () => {
  const picture = await told(await file('p.csv', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex')))
  assert.equal(picture.code, 1)
  assert.deepEqual(picture.out, [])
  assert.match(picture.notes.join('\n'), /picture/)
  assert.equal((await told(join(folder, 'missing.csv'))).code, 1)
  assert.equal((await told(await file('d.csv', 'a,b\n1,2\n'), '--header-row', 'x')).code, 1)
  const cut = await told(await file('e.csv.gz', gzipSync('a,b\n1,2\n'.repeat(1000)).subarray(0, 30)))
  assert.equal(cut.code, 1)
  assert.match(cut.notes.join('\n'), /breaks off/)
})

test('many rows are written in parts, all of them and in order', async () => {
  const path = await file('f.csv', `n,m\n${Array.from({ length: 30_000 }, (_, index) => `${index},x\n`).join('')}`)
  const { out } = await told(path, '--rows')
  assert.equal(out.length, 30_001)
  assert.ok(out.slice(1).every((line, index) => line === `{"row":${index + 2},"cells":["${index}","x"]}`))
})
