/**
 * What exports write, imports read back as unchanged, with no mapping given and not one issue: records of all types with the
 * nastiest values that there are, through every format. PORTAGE_ROUND_TRIP_ROWS sets how many records of each type (10,000 for the
 * whole of it), PORTAGE_ROUND_TRIP_FORMATS=CSV,XLSX which formats, plain ones only; PORTAGE_ROUND_TRIP_SEED repeats a run; a failure names its seed and the values that did not come home.
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'
import { customDefinition } from '../../src/records/custom.js'
import { recordTypes } from '../../src/records/index.js'
import type { FieldDefinition, FieldKind, RecordTypeName } from '../../src/records/types.js'
import type { ExportFormat } from '../../src/runs/types.js'
import { freshDatabase, type TestDatabase } from '../helpers/database.js'
import { Engine } from '../helpers/engine.js'
import { Random } from '../helpers/random.js'

const ROWS = Number(process.env.PORTAGE_ROUND_TRIP_ROWS ?? 60)
const SEED = Number(process.env.PORTAGE_ROUND_TRIP_SEED ?? Math.floor(Math.random() * 2 ** 31))

let db: TestDatabase
let engine: Engine
let tenant: string

const types: readonly RecordTypeName[] = ['contact', 'property', 'lead', 'activity']
const kinds: readonly Exclude<FieldKind, 'REFERENCE'>[] = [
  'TEXT',
  'LONG_TEXT',
  'EMAIL',
  'PHONE',
  'URL',
  'INTEGER',
  'DECIMAL',
  'MONEY',
  'BOOLEAN',
  'DATE',
  'DATE_TIME',
  'ENUM',
  'MULTI_ENUM',
]

const customOptions = [
  'C',
  'C#',
  '=1+1',
  '-none',
  '+',
  "'quoted",
  'a b',
  '#REF',
  'true',
  '0',
  'ÄÖÜ',
  '2026-01-01',
  '1.234',
]
const listOptions = ['C', 'C#', '=1+1', '-none', 'a b', '"q"', 'back\\slash', '{}', 'NULL', 'ÄÖÜ']

before(async () => {
  db = await freshDatabase()
  engine = await Engine.start(db, { chunkRows: 1000 })
  tenant = await engine.tenant()
  for (const [type, kind] of types.flatMap((one) => kinds.map((kind) => [one, kind] as const))) {
    await engine.rows(
      `insert into custom_field (tenant_id, id, record_type, key, position, label, kind, options, from_version, created_by)
       values ($1, $2, $3, $4, $5, $6, $7, $8, 1, 'test')`,
      [tenant, randomUUID(), type, keyOf(kind), kinds.indexOf(kind) + 1, `My ${kind}`, kind, optionsOf(kind)],
    )
  }
  for (const type of types) {
    await engine.rows('insert into record_schema (tenant_id, record_type, version) values ($1, $2, 1)', [tenant, type])
  }
  for (const name of ['ada', "o'neil+x", 'gone']) {
    await engine.rows('insert into member (tenant_id, id, email) values ($1, $2, $3)', [
      tenant,
      randomUUID(),
      `${name}@example.com`,
    ])
  }
})
after(async () => {
  await engine.close()
  await db.drop()
})

function keyOf(kind: FieldKind): string {
  return `my${kind.toLowerCase().replace('_', '')}`
}

function optionsOf(kind: FieldKind): string[] | null {
  return kind === 'ENUM' ? customOptions : kind === 'MULTI_ENUM' ? listOptions : null
}

/** Texts that something along the way might take for something else. Trimmed, as every stored text is. */
const nasty = [
  '=1+1',
  "=cmd|' /C calc'!A0",
  '="00123"',
  '==',
  "'=1",
  "''=x",
  "'",
  "''",
  "'plain",
  '+49 30 123456',
  '+1 call me',
  '-12.5',
  '-',
  '--1',
  '- a list entry',
  '@SUM(A1)',
  '＝1+1',
  '＋1',
  '－1',
  '＠x',
  '+',
  '%',
  '007',
  '000000000000000001',
  '123456789012345678',
  '0.10',
  '1e5',
  '1E400',
  '-0',
  '4.91512E+12',
  '1,234',
  '1.234,56',
  '12/05/2026',
  '2026-03-29',
  '2026-03-29T02:30:00+02:00',
  'TRUE',
  'false',
  'null',
  'NULL',
  '\\N',
  '\\.',
  'N/A',
  '#1',
  '# heading',
  '##',
  '#N/A!',
  'nil',
  'undefined',
  '[]',
  '{}',
  '{"a":1}',
  '[1,2]',
  '"',
  '""',
  '"quoted"',
  'a"b',
  'a,b;c|d\te',
  'line one\nline two',
  'line one\r\nline two\rline three',
  '"\n,"\r\n;',
  'tab\there',
  'back\\slash \\n \\t \\\\',
  '😀',
  '👩‍👩‍👧‍👦 family',
  'é',
  'e\u0301',
  'Z\u0351\u036B\u0343algo',
  'שלום עולם',
  '‮evil',
  '\u200bzero\u200b',
  'non\u00a0breaking',
  '中文，逗号',
  'İstanbul ı',
  'ﬁ ligature',
  '\u0001control\u001f',
  'a\u0085b',
  'a\u2028b\u2029c',
  '\ufffd',
  'x\ufeffy',
  '<script>alert(1)</script>',
  '&amp; &#10; _x000D_ _x0041_',
  "Robert'); DROP TABLE contact;--",
  '$1 ${x} {{y}} %s',
  'http://example.com',
  'sep=;',
  'id',
  'contact.email',
] as const

const tagWords = [
  'hot',
  '=1+1',
  'a b',
  '"q"',
  "o'clock",
  'back\\slash',
  '{}',
  'NULL',
  'tab\tin',
  '"a; b"',
  '"c, d"',
  '"e|f:::g"',
  '"say ""x"""',
  'un"closed',
  'zwei\nZeilen',
  '-x',
  '@y',
  '007',
  '😀',
  ':',
  '::',
]
const moments = [
  '2026-03-29T00:59:59.999999Z',
  '2026-03-29T01:00:00Z',
  '2026-10-25T00:30:00.000001Z',
  '2026-10-25T01:30:00.5Z',
  '1970-01-01T00:00:00Z',
  '1969-12-31T23:59:59.123Z',
  '1900-01-01T00:00:00Z',
  '2999-12-31T23:59:59.999Z',
]
const days = ['2026-03-29', '2026-10-25', '1970-01-01', '1900-02-28', '2000-02-29', '1582-10-10', '1000-01-01']

/** Required fields that are made of others where a row has none. */
const built = new Set(['displayName', 'title', 'name', 'subject'])

class Maker {
  readonly #random: Random
  constructor(random: Random) {
    this.#random = random
  }

  text(max: number): string {
    const random = this.#random
    for (;;) {
      const text = random.chance(0.6)
        ? random.pick(nasty)
        : random.chance(0.5)
          ? `${random.pick(nasty)} ${random.pick(nasty)}`
          : random.chance(0.05)
            ? 'long '
                .repeat(Math.ceil(max / 5))
                .slice(0, max)
                .trim()
            : `plain ${random.below(1e6)}`
      const trimmed = text.trim()
      if (trimmed.length <= max && trimmed !== '') {
        return trimmed
      }
    }
  }

  /** The value of a field as a file may have it; null for none. */
  value(field: FieldDefinition, row: number): unknown {
    const random = this.#random
    // What a cell of a workbook holds.
    const max = Math.min(field.maxLength ?? 100, 32_767)
    switch (field.kind) {
      case 'TEXT':
      case 'LONG_TEXT':
        return field.form === 'CURRENCY'
          ? random.pick(['EUR', 'USD', 'JPY'])
          : field.form === 'COUNTRY' && random.chance(0.7)
            ? random.pick(['DE', 'US', 'Germany', 'Deutschland', 'GB', 'UK', 'Georgia', 'XK', 'Côte d’Ivoire', 'CI'])
            : this.text(max)
      case 'EMAIL':
        return random.pick([
          `p${row}@example.com`,
          `shared${random.below(5)}@example.com`,
          `+plus${row}@example.com`,
          `=eq${row}@example.com`,
          `-dash${row}@example.com`,
          `o'neil${row}@example.com`,
          `ünï${row}@exämple.com`,
          `UPPER${row}@Example.COM`,
        ])
      case 'PHONE':
        return random.pick([
          '+49 30 901820',
          '+4930901820',
          '030/901820',
          '+1 (212) 555-0123 ext. 45',
          '+1 212 555 0123;ext=7',
          '0171-1234567 (evenings)',
          '-1',
          '=12',
          '007',
          '٠١٢٣٤٥٦٧٨٩',
          '+999999999999999',
        ])
      case 'URL':
        return random.pick([
          'https://example.com/?a=1&b=2#c',
          'example.com',
          'http://user:pass@example.com:8080/%20x',
          'https://example.com/ü,;|',
          "https://example.com/'=x",
        ])
      case 'INTEGER': {
        const low = field.min ?? 0
        const high = field.max ?? 100
        return random.chance(0.3) ? random.pick([low, high]) : low + random.below(Math.min(high - low, 1e6) + 1)
      }
      case 'DECIMAL':
      case 'MONEY': {
        const scale = Number(/,(\d+)\)/.exec(field.sqlType)?.[1] ?? 0)
        const low = Math.max(field.min ?? 0, -1e11)
        const high = Math.min(field.max ?? 1000, 999_999_999_999)
        const whole = random.chance(0.5) ? random.below(Math.min(high, 1000)) : random.below(high)
        const digits = String(random.below(10 ** Math.min(scale, 8))).padStart(scale, '0')
        const text = `${random.chance(0.5) && low < 0 && -whole > low ? '-' : ''}${whole === 0 && low > 0 ? 1 : whole}.${random.chance(0.3) ? '10'.padEnd(scale, '0').slice(0, scale) : digits}`
        return text
      }
      case 'BOOLEAN':
        return random.pick(['true', 'false', 'yes', '0'])
      case 'DATE':
        return field.form === 'PAST' ? random.pick(['1900-02-28', '2000-02-29', '1999-12-31']) : random.pick(days)
      case 'DATE_TIME':
        return random.pick(moments)
      case 'ENUM':
        return random.pick(field.options ?? [])
      case 'MULTI_ENUM': {
        const words = field.options ?? tagWords
        return Array.from({ length: 1 + random.below(3) }, () => random.pick(words)).join(';')
      }
      case 'REFERENCE':
        return null
    }
  }

  /** A row for a file that makes records: `null` where nothing is said. */
  row(type: RecordTypeName, fields: readonly FieldDefinition[], row: number): Record<string, unknown> {
    const random = this.#random
    const made: Record<string, unknown> = {}
    for (const field of fields) {
      // Names are built from other fields where they are not given.
      if (field.reference === null && random.chance(!field.required ? 0.6 : built.has(field.name) ? 0.7 : 1)) {
        made[field.name] = this.value(field, row)
      }
    }
    made.externalId = random.chance(0.7)
      ? random.pick([`${row}`, `00${row}`, `=${row}`, `'=${row}`, `${10 ** 17 + row}`])
      : null
    made.sourceSystem = random.chance(0.5) ? random.pick(['salesforce', '=odd', 'file', 'x y']) : null
    made.ownerEmail = random.chance(0.5)
      ? random.pick(['ada@example.com', "o'neil+x@example.com", 'gone@example.com'])
      : null
    // Rules of the tables.
    for (const [low, high] of [
      ['startAt', 'endAt'],
      ['listingContractDate', 'closeDate'],
      ['listingContractDate', 'expirationDate'],
      ['budgetMin', 'budgetMax'],
      ['bedroomsMin', 'bedroomsMax'],
    ] as const) {
      if (made[low] !== undefined && made[high] !== undefined) {
        delete made[high]
      }
    }
    if (random.chance(0.5)) {
      if (type === 'contact') {
        made['organization.email'] = `org${random.below(3)}@example.com`
      } else if (type === 'property') {
        made['ownerContact.email'] = `org${random.below(3)}@example.com`
      } else {
        made['contact.email'] = `org${random.below(3)}@example.com`
        made['property.listingId'] = `L${random.below(3)}`
      }
    }
    return made
  }
}

/**
 * Makes about `count` records by an import, so that every value stands as the engine writes it: what a rule of the table or a field
 * does not take is dropped. Answers how many were made.
 */
async function fill(type: RecordTypeName, random: Random, from: number, count: number): Promise<number> {
  const fields = [
    ...recordTypes[type].fields,
    ...kinds.map((kind) => customDefinition({ key: keyOf(kind), label: `My ${kind}`, kind, options: optionsOf(kind) })),
  ]
  const maker = new Maker(random)
  const rows: Record<string, unknown>[] = Array.from({ length: count }, (_, at) => maker.row(type, fields, from + at))
  const names = new Set(rows.flatMap((row) => Object.keys(row)))
  const map = Object.fromEntries([...names].map((name) => [name.replace('.', ' '), name]))
  const lines = [
    JSON.stringify(Object.fromEntries([...names].map((name) => [name.replace('.', ' '), null]))),
    ...rows.map((row) =>
      JSON.stringify(Object.fromEntries(Object.entries(row).map(([name, value]) => [name.replace('.', ' '), value]))),
    ),
  ]
  if (from === 0 && (type === 'contact' || type === 'property')) {
    const known = Array.from({ length: 3 }, (_, at) =>
      type === 'contact' ? `Org ${at},org${at}@example.com` : `Home ${at},L${at}`,
    )
    await engine.import(tenant, {
      type,
      csv: `Name,Key\n${known.join('\n')}\n`,
      map: { Name: type === 'contact' ? 'displayName' : 'name', Key: type === 'contact' ? 'email' : 'listingId' },
    })
  }
  const run = await engine.import(tenant, {
    type,
    csv: `${lines.join('\n')}\n`,
    map,
    source: { format: 'NDJSON' },
    options: { onInvalidRow: 'DROP_VALUE', onDuplicate: 'CREATE', onMissingRelation: 'DROP_LINK' },
  })
  const created = run.counts.created ?? 0
  assert.ok(created > count * 0.7, JSON.stringify([run.statusReason, run.counts, await problems(run.id)]))
  return created
}

async function problems(runId: string): Promise<unknown> {
  const issues = await engine.rows(
    'select row_number, code, column_name, field, value, message from run_issue where run_id = $1 order by row_number limit 12',
    [runId],
  )
  const changes = await engine.rows('select row_number, before, after from run_change where run_id = $1 limit 8', [
    runId,
  ])
  const mapping = await engine.rows(
    `select status, status_reason, mapping_conflicts, jsonb_path_query_array(mapping, '$[*] ? (@.field == null).column') as unmapped from run where id = $1`,
    [runId],
  )
  return { issues, changes, mapping }
}

const formats: readonly Partial<ExportFormat>[] = [
  { format: 'CSV' },
  { format: 'CSV', compression: 'GZIP' },
  { format: 'CSV', escapeFormulas: false, delimiter: ';', byteOrderMark: true },
  { format: 'CSV', delimiter: '\t', encoding: 'utf-16le', timeZone: 'Europe/Berlin' },
  { format: 'JSON' },
  { format: 'JSON', compression: 'GZIP' },
  { format: 'NDJSON' },
  { format: 'NDJSON', compression: 'GZIP' },
  { format: 'XLSX' },
  { format: 'XLSX', compression: 'GZIP' },
  { format: 'CSV', decimalSeparator: ',', delimiter: ';' },
  { format: 'NDJSON', timeZone: 'America/New_York' },
]

/** All of them for each type where it is asked for more than the suite's share; else they go round. */
function formatsOf(type: RecordTypeName): readonly Partial<ExportFormat>[] {
  const named = process.env.PORTAGE_ROUND_TRIP_FORMATS?.split(',')
  if (named !== undefined) {
    return named.flatMap((name) => formats.find(({ format }) => format === name) ?? [])
  }
  return process.env.PORTAGE_ROUND_TRIP_ROWS === undefined
    ? formats.filter((_, at) => at % types.length === types.indexOf(type))
    : formats
}

test('whatever exports write is read back as unchanged [DL-7]', { timeout: 3_600_000 }, async (t) => {
  const random = new Random(SEED)
  t.diagnostic(`seed ${SEED}, ${ROWS} records of each type`)
  for (const type of types) {
    for (let made = 0, from = 0; made < ROWS; ) {
      const count = Math.max(20, ROWS - made)
      made += await fill(type, random, from, count)
      from += count
    }
  }
  // Neither an owner who has left nor a record that is gone takes anything from those who name them.
  await engine.rows("update member set active = false where tenant_id = $1 and email = 'gone@example.com'", [tenant])
  await engine.rows("update contact set deleted_at = now() where tenant_id = $1 and email = 'org2@example.com'", [
    tenant,
  ])
  for (const type of types) {
    const [{ digest } = { digest: '' }] = await digestOf(type)
    for (const format of formatsOf(type)) {
      const name = `seed ${SEED}, ${type}, ${JSON.stringify(format)}`
      const { run: exported, bytes } = await engine.export(tenant, type, { format })
      assert.equal(exported.status, 'COMPLETED', name)
      const started = performance.now()
      const run = await engine.import(tenant, { type, csv: bytes })
      const rows = exported.counts.read
      const { total, unchanged } = run.counts
      const issues = await engine.rows('select from run_issue where run_id = $1 limit 1', [run.id])
      if (unchanged !== rows || total !== rows || issues.length > 0 || run.status !== 'COMPLETED') {
        assert.fail(
          `${name}: ${JSON.stringify({ rows, counts: run.counts })}\n${JSON.stringify(await problems(run.id), null, 1).slice(0, 20_000)}`,
        )
      }
      t.diagnostic(
        `${type} ${format.format} ${format.compression ?? ''}: ${unchanged} unchanged in ${Math.round(performance.now() - started)} ms`,
      )
    }
    assert.equal((await digestOf(type))[0]?.digest, digest, 'nothing was written')
  }
})

function digestOf(type: RecordTypeName): Promise<{ digest: string }[]> {
  return engine.rows(`select md5(string_agg(r::text, '|' order by id)) as digest from ${type} r where tenant_id = $1`, [
    tenant,
  ])
}
