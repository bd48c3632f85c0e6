import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type JsonRecord, jsonRecords } from '../../../src/adapters/files/json.js'
import { Flattener } from '../../../src/adapters/files/json-flatten.js'
import { JsonSlicer } from '../../../src/adapters/files/json-slicer.js'
import { Refusal } from '../../../src/errors.js'
import { COLUMNS_MAX, JSON_DEPTH_MAX } from '../../../src/limits.js'
import { type Random, random } from './random.js'

const signal = new AbortController().signal

async function* cut(bytes: Buffer, sizes: () => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const size = sizes()
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** All that comes of the bytes: rows and how it ended. */
async function outcome(
  bytes: Buffer,
  path: string,
  sizes: () => number,
  { groupRows = 128, rowBytesMax = 4096 } = {},
): Promise<unknown[]> {
  const flattener = new Flattener()
  const out: unknown[] = []
  try {
    for await (const records of jsonRecords(cut(bytes, sizes), { path, signal, groupRows, rowBytesMax })) {
      for (const record of records) {
        const { cells, fault } = flattener.flatten(record)
        out.push([record.number, fault ?? cells])
      }
    }
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error))
    out.push([error.code, error.message])
  }
  return out
}

async function rowsOf(text: string, path = ''): Promise<unknown[]> {
  return outcome(Buffer.from(text), path, () => 64 * 1024)
}

async function recordsOf(text: string, options = {}): Promise<JsonRecord[]> {
  const records: JsonRecord[] = []
  for await (const group of jsonRecords(
    cut(Buffer.from(text), () => 100),
    { path: '', signal, ...options },
  )) {
    records.push(...group)
  }
  return records
}

function value(of: Random, depth: number): string {
  const blank = of.pick(['', '', '', ' ', '\n  ', '\t'])
  const some = <T>(make: () => T): T[] => Array.from({ length: of.below(4) }, make)
  switch (of.below(depth > 3 ? 6 : 9)) {
    case 0:
      return `${blank}"${of.pick(['', 'plain', 'é€😀', 'a\\"b\\\\', '[{]},:', '\\u00e9\\n', 'x'.repeat(of.below(300))])}"`
    case 1:
      return blank + of.pick(['0', '-0', '12', '1.50', '1e400', '-12.25', '123456789012345678901', '1E+2'])
    case 2:
      return of.pick(['true', 'false', 'null'])
    case 6:
    case 7:
      return `${blank}{${some(() => `"${of.pick(['a', 'b', 'c', '__proto__', 'x.y'])}"${blank}:${value(of, depth + 1)}`).join(',')}${blank}}`
    case 8:
      return `[${some(() => value(of, depth + 1)).join(',')}${blank}]${blank}`
    default:
      return `"${of.below(1e9)}"`
  }
}

function document(of: Random): string {
  const separator = of.pick([',', ',\n', ' ,\n  '])
  const records = Array.from({ length: of.below(12) }, () => {
    const names = ['id', 'name', 'tags', 'address', 'constructor'].slice(0, 1 + of.below(5))
    return `{${names.map((name) => `"${name}":${value(of, 1)}`).join(',')}}`
  })
  return `[${of.pick(['', '\n  '])}${records.join(separator)}\n]`
}

const JUNK = ['{', '}', '[', ']', ',', ':', '"', '\\', '\n', '0', '-', 'e', 'NaN', '//', '"__proto__":{"x":1}', '\xff']

function damaged(whole: Buffer, of: Random): Buffer {
  let bytes = whole
  for (let times = 1 + of.below(3); times > 0; times -= 1) {
    const at = of.below(bytes.length + 1)
    const put = Buffer.from(of.pick(JUNK), 'latin1')
    bytes = Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + of.below(3))])
  }
  return bytes
}

test('any cut of the bytes gives the same rows', async () => {
  const of = random(7)
  for (let round = 0; round < 300; round += 1) {
    const array = document(of)
    const [text, path] = of.pick([
      [array, ''],
      [`\uFEFF{"meta":{"a":[1,{}]},"data":{"rows":${array}},"n":1}`, 'data.rows'],
      [array.slice(0, of.below(array.length)), ''],
      [array.slice(1, -1).replaceAll(/\},\s*\{/g, '}\n{'), ''],
    ] as const)
    const bytes = of.chance(0.5) ? Buffer.from(text) : damaged(Buffer.from(text), of)
    const rowBytesMax = of.pick([100, 4096])
    const whole = await outcome(bytes, path, () => bytes.length, { rowBytesMax })
    assert.deepEqual(await outcome(bytes, path, () => 1, { rowBytesMax }), whole, text)
    const groupRows = 1 + of.below(5)
    assert.deepEqual(await outcome(bytes, path, () => 1 + of.below(20), { groupRows, rowBytesMax }), whole, text)
  }
})

test('records are what the platform makes of them', async () => {
  const of = random(11)
  for (let round = 0; round < 150; round += 1) {
    const text = document(of)
      .replaceAll('1.50', '1.5')
      .replaceAll(/-0(?=[,\]}\s])|1e400|1E\+2|123456789012345678901/g, '7')
    const records = await recordsOf(text)
    assert.deepEqual(
      records.map((record) => record.value),
      JSON.parse(text),
    )
    assert.ok(records.every(({ fault }) => fault === null))
  }
})

test('no damage to a file makes its reader fail, or changes what objects are', async () => {
  const of = random(13)
  const before = Object.getOwnPropertyNames(Object.prototype).length
  let broken = 0
  for (let round = 0; round < 2_000; round += 1) {
    const bytes = damaged(Buffer.from(of.chance(0.5) ? document(of) : `{"a":{"b":${document(of)}},"c":[]}`), of)
    const found = await outcome(bytes, of.pick(['', 'a.b']), () => 1 + of.below(200))
    broken += found.some((row) => JSON.stringify(row).includes('UNPARSABLE_ROW')) ? 1 : 0
    assert.equal(({} as Record<string, unknown>)['x'], undefined)
  }
  assert.equal(Object.getOwnPropertyNames(Object.prototype).length, before)
  assert.ok(broken > 200, `${broken} of 2,000 with a broken row`)
})

test('a record at the limit is read, a longer one is a fault and not kept', async () => {
  const record = (length: number): string => `{"a":"${'x'.repeat(length - 8)}"}`
  for (const [length, codes] of [
    [4096, [undefined, undefined, undefined]],
    [4097, [undefined, 'ROW_TOO_LARGE', undefined]],
    [200_000, [undefined, 'ROW_TOO_LARGE', undefined]],
  ] as const) {
    const records = await recordsOf(`[${record(10)},${record(length)},${record(12)}]`, { rowBytesMax: 4096 })
    assert.deepEqual(
      records.map(({ fault }) => fault?.code),
      codes,
    )
    assert.deepEqual(records[2]?.value, { a: 'xxxx' })
  }
})

test('brackets within brackets are read up to the limit', async () => {
  const nested = (depth: number): string => `${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}`
  const rows = await recordsOf(`[{"a":${nested(JSON_DEPTH_MAX)}},{"a":${nested(JSON_DEPTH_MAX + 1)}}]`)
  assert.deepEqual(
    rows.map(({ fault }) => fault?.code),
    [undefined, 'UNPARSABLE_ROW'],
  )
})

test('records with as many names as there may be columns are read, with one more refused', () => {
  const named = (count: number): JsonRecord => ({
    number: 1,
    value: Object.fromEntries(Array.from({ length: count }, (_, index) => [`n${index}`, 'x'])),
    isEscaped: false,
    fault: null,
  })
  assert.equal(new Flattener().flatten(named(COLUMNS_MAX)).cells.length, COLUMNS_MAX)
  assert.throws(() => new Flattener().flatten(named(COLUMNS_MAX + 1)), { name: 'Refusal', code: 'LIMIT_EXCEEDED' })
})

test('what stands around the records must be JSON', async () => {
  for (const text of [
    '{"a":[{"x":1}]',
    '{"a":[{"x":1}]}}',
    '{"a":[{"x":1}],}',
    '{"a":[{"x":1}] "b":2}',
    '{a:[{"x":1}]}',
    '{"z":01,"a":[{"x":1}]}',
    '{"z":"\n","a":[{"x":1}]}',
    '{"z":[1,],"a":[{"x":1}]}',
    '{"z":{"y"},"a":[{"x":1}]}',
    '// a\n{"a":[{"x":1}]}',
    '{"a":[{"x":1}]} 5',
  ]) {
    const last = (await rowsOf(text, 'a')).at(-1) as unknown[]
    assert.equal(last[0], 'FILE_UNREADABLE', text)
    assert.match(String(last[1]), /at byte \d+: /, text)
  }
  assert.deepEqual(await rowsOf('{"z":[[1,{"a":[]}],"\\u00e9",-1.5e3,null],"a":[{"x":1}],"b":{}}', 'a'), [[1, ['1']]])
})

test('JSON without records says so', async () => {
  for (const text of ['5', '"x"', 'null', ' true ']) {
    assert.equal(((await rowsOf(text))[0] as unknown[])[0], 'FILE_TYPE_UNSUPPORTED', text)
  }
  assert.deepEqual(await rowsOf('[]'), [])
  assert.equal(((await rowsOf('{"a":1}', 'b'))[0] as unknown[])[0], 'FILE_TYPE_UNSUPPORTED')
})

test('a file without ends of records is refused, not read again and again', () => {
  const slicer = new JsonSlicer('', { rowBytesMax: 10_000 })
  slicer.push(Buffer.from(`[\n${'{"a":\n'.repeat(100_000)}`))
  assert.throws(
    () => {
      while (slicer.next(true).length > 0) {
        // Every record is looked for in vain.
      }
    },
    { name: 'Refusal', code: 'FILE_UNREADABLE' },
  )
})

test('a file of which most is broken is refused, one with as many good records is read', async () => {
  const broken = await outcome(Buffer.from(`[${'{a},,'.repeat(10_000)}{"a":1}]`), '', () => 64 * 1024)
  assert.equal((broken.at(-1) as unknown[])[0], 'FILE_UNREADABLE')
  const half = await rowsOf(`[${'{"a":1},{a},'.repeat(10_200)}{"a":1}]`)
  assert.equal(half.length, 20_401)
})

test('only a group of records is taken from the bytes at a time', async () => {
  let pulled = 0
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('[')
    for (;;) {
      pulled += 1
      yield Buffer.from('{"a":1},'.repeat(100))
    }
  }
  for await (const records of jsonRecords(chunks(), { path: '', signal })) {
    assert.equal(records.length, 100)
    if ((records[0]?.number ?? 0) > 500) {
      break
    }
  }
  assert.equal(pulled, 6)
})

test('an abort ends the reading', async () => {
  const stop = new AbortController()
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('[{"a":1},')
    stop.abort()
    yield Buffer.from('{"a":2}]')
  }
  const records = jsonRecords(chunks(), { path: '', signal: stop.signal })
  assert.equal((await records.next()).done, false)
  await assert.rejects(records.next(), { name: 'AbortError' })
})
