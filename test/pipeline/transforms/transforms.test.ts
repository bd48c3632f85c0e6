/** Every transform over many texts: what people write, nothing at all, and what is meant to harm. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TRANSFORM_VALUE_LENGTH_MAX } from '../../../src/limits.js'
import { exampleText, transforms } from '../../../src/pipeline/transforms/index.js'
import type { TransformCall } from '../../../src/pipeline/types.js'
import { call, run } from './world.js'

/** Texts and what becomes of them; null for what cannot be read. */
type Cases = readonly (readonly [value: string, becomes: string | null])[]

const tables: readonly (readonly [call: TransformCall, cases: Cases])[] = [
  [
    call('trim'),
    [
      ['', ''],
      ['\u00A0\u200B Ada\uFEFF\t', 'Ada'],
      ['Ada Lovelace', 'Ada Lovelace'],
      ['   ', ''],
    ],
  ],
  [
    call('collapseSpaces'),
    [
      ['a \u00A0\r\n b', 'a b'],
      [' a ', 'a'],
      ['', ''],
    ],
  ],
  [
    call('removeSpaces'),
    [
      ['1 234\u202F567', '1234567'],
      ['\t', ''],
    ],
  ],
  [
    call('upper'),
    [
      ['straße', 'STRASSE'],
      ['éa😀', 'ÉA😀'],
      ['', ''],
    ],
  ],
  [
    call('lower'),
    [
      ['ÀÉ', 'àé'],
      ['İ', 'i̇'],
    ],
  ],
  [
    call('title'),
    [
      ['ada LOVELACE', 'Ada Lovelace'],
      ["o'brien's", "O'Brien's"],
      ['d’angelo', 'D’Angelo'],
      ["JOHN'S HOUSE", "John's House"],
      ['jean-luc élan', 'Jean-Luc Élan'],
      ['12th street', '12th Street'],
      ['', ''],
    ],
  ],
  [
    call('sentence'),
    [
      ['HELLO WORLD', 'Hello world'],
      ['«été»', '«Été»'],
      ['123', '123'],
    ],
  ],
  [
    call('removeAccents'),
    [
      ['Ångström Łódź Çelik', 'Angstrom Lodz Celik'],
      ['Größe', 'Grosse'],
      ['e\u0301', 'e'],
      ['Андрей', 'Андрей'],
      ['हिन्दी', 'हिन्दी'],
      ['Ἀθῆναι', 'Αθηναι'],
    ],
  ],
  [
    call('replace', { find: '.', with: '$&' }),
    [
      ['a.b.', 'a$&b$&'],
      ['', ''],
      ['ab', 'ab'],
    ],
  ],
  [call('replace', { find: 'aa' }), [['aaaaa', 'a']]],
  [
    call('removeCharacters', { characters: '()😀' }),
    [
      ['(1)😀', '1'],
      ['😁', '😁'],
      ['', ''],
    ],
  ],
  [
    call('digitsOnly'),
    [
      ['+1 (512) 555', '1512555'],
      ['abc', ''],
      ['١٢', ''],
    ],
  ],
  [
    call('removePrefix', { prefix: 'ID-' }),
    [
      ['id-7', '7'],
      ['ID-ID-7', 'ID-7'],
      ['7', '7'],
      ['ID-', ''],
    ],
  ],
  [
    call('removeSuffix', { suffix: 'KG' }),
    [
      ['5kg', '5'],
      ['kg5', 'kg5'],
      ['g', 'g'],
    ],
  ],
  [
    call('addPrefix', { prefix: ' x' }),
    [
      ['1', ' x1'],
      ['', ''],
    ],
  ],
  [
    call('addSuffix', { suffix: 'x' }),
    [
      ['1', '1x'],
      ['', ''],
    ],
  ],
  [
    call('split', { separator: ',', part: 2 }),
    [
      ['a, b ,c', 'b'],
      ['a', ''],
      ['', ''],
      [',,', ''],
    ],
  ],
  [
    call('split', { separator: ' - ', part: -1 }),
    [
      ['a - b - c', 'c'],
      ['a', 'a'],
    ],
  ],
  [call('split', { separator: '-', part: -3 }), [['a-b', '']]],
  [
    call('before', { find: '@' }),
    [
      ['a@b@c', 'a'],
      ['ab', 'ab'],
    ],
  ],
  [
    call('after', { find: '@' }),
    [
      ['a@b@c', 'b@c'],
      ['ab', ''],
    ],
  ],
  [
    call('substring', { start: 2, length: 2 }),
    [
      ['abcd', 'bc'],
      ['a', ''],
      ['😀😁😂😃', '😁😂'],
      ['', ''],
    ],
  ],
  [
    call('substring', { start: -2 }),
    [
      ['abcd', 'cd'],
      ['a', 'a'],
      ['a😀b', '😀b'],
    ],
  ],
  [
    call('truncate', { length: 3 }),
    [
      ['abcdef', 'abc'],
      ['ab😀', 'ab'],
    ],
  ],
  [
    call('padStart', { length: 5 }),
    [
      ['42', '00042'],
      ['123456', '123456'],
      ['', ''],
    ],
  ],
  [call('padEnd', { length: 4, with: 'ab' }), [['x', 'xaba']]],
  [
    call('firstLine'),
    [
      ['\r\n\r\na \r\nb', 'a'],
      ['a', 'a'],
      ['\n', ''],
    ],
  ],
  [
    call('joinLines'),
    [
      ['a\r\n\r\n b\rc', 'a, b, c'],
      ['a', 'a'],
    ],
  ],
  [
    call('stripHtml'),
    [
      ['<p>a</p><p>b</p>', 'a\n\nb'],
      ['a<br/>b', 'a\nb'],
      ['<script>alert(1)</script>x', 'x'],
      ['<STYLE>p{}</style  >x', 'x'],
      ['<!-- <b>no</b> -->yes', 'yes'],
      ['1 < 2 and 3 > 2', '1 < 2 and 3 > 2'],
      ['<b', '<b'],
      ['<script>open', 'open'],
      ['<!-- open', '<!-- open'],
      ['&lt;b&gt; &eacute;&nbsp;x', '<b> é x'],
      ['<a href="x">link</a>', 'link'],
      ['', ''],
    ],
  ],
  [
    call('unescapeHtml'),
    [
      ['&amp;lt;', '&lt;'],
      ['&#233;&#x1F600;', 'é😀'],
      ['&nothing;', '&nothing;'],
      ['&#0;', '\uFFFD'],
      ['AT&T', 'AT&T'],
    ],
  ],
  [
    call('default', { value: 'x' }),
    [
      ['', 'x'],
      ['y', 'y'],
    ],
  ],
  [
    call('blankIf', { value: ['N/A', ' none '] }),
    [
      ['n/a', ''],
      ['NONE', ''],
      ['n/a!', 'n/a!'],
      ['', ''],
    ],
  ],
  [
    call('date', { format: 'dd/MM/yyyy' }),
    [
      ['03/04/2025', '2025-04-03'],
      ['31/12/2025 10:00', '2025-12-31'],
      ['12/31/2025', null],
      ['2025-12-31', '2025-12-31'],
      ['1 March 2026', '2026-03-01'],
      ['0000-00-00', ''],
      ['soon', null],
      ['', ''],
    ],
  ],
  [
    call('dateTime', { format: 'MM/dd/yyyy', timeZone: 'Europe/Berlin' }),
    [
      ['07/04/2025 09:30', '2025-07-04T07:30:00Z'],
      ['01/04/2025', '2025-01-03T23:00:00Z'],
      ['2025-07-04T09:30:00+02:00', '2025-07-04T07:30:00Z'],
      ['13/13/2025', null],
    ],
  ],
  [
    call('excelDate'),
    [
      ['61', '1900-03-01'],
      ['45292', '2024-01-01'],
      ['45292.75', '2024-01-01'],
      ['60', null],
      ['2958465', '9999-12-31'],
      ['2958466', null],
      ['-5', null],
      ['1e5', null],
    ],
  ],
  [
    call('number', { locale: 'de-DE' }),
    [
      ['1.234,5', '1234.5'],
      ['1.234', '1234'],
      ['-1,5', '-1.5'],
      ['85 %', '85'],
      ['abc', null],
      ['', ''],
      ['9'.repeat(100), null],
    ],
  ],
  [call('number', { locale: 'fr' }), [['1 234,5', '1234.5']]],
  [call('number', { locale: 'de-CH' }), [['1’234.5', '1234.5']]],
  [
    call('number'),
    [
      ['1,234.5', '1234.5'],
      ['1.234', '1.234'],
    ],
  ],
  [
    call('money', { locale: 'de-DE', currency: 'EUR' }),
    [
      ['1.234,50 €', '1234.50'],
      ['EUR 5', '5'],
      ['5', '5'],
      ['5 $', null],
      ['5 USD', null],
      ['x', null],
    ],
  ],
  [
    call('money', { currency: 'usd' }),
    [
      ['$1,234.50', '1234.50'],
      ['US$5', '5'],
      ['€5', null],
    ],
  ],
  [
    call('money', { part: 'currency' }),
    [
      ['€ 5', 'EUR'],
      ['5 CHF', 'CHF'],
      ['5', ''],
      ['$5', null],
      ['five', null],
    ],
  ],
  [call('money', { part: 'currency', currency: 'CAD' }), [['$5', 'CAD']]],
  [
    call('multiply', { by: '0.01' }),
    [
      ['12345', '123.45'],
      ['-100', '-1'],
      ['0', '0'],
      ['1,000', null],
      ['1'.repeat(61), null],
    ],
  ],
  [call('multiply', { by: '1.1' }), [['1.1', '1.21']]],
  [
    call('round', { places: 2 }),
    [
      ['1.005', '1.01'],
      ['-1.005', '-1.01'],
      ['2.5', '2.5'],
      ['0.001', '0'],
    ],
  ],
  [
    call('round'),
    [
      ['2.5', '3'],
      ['-2.5', '-3'],
      ['x', null],
    ],
  ],
  [
    call('phone', { country: 'de' }),
    [
      ['0171 1234567', '+491711234567'],
      ['+1 512 555 0101', '+15125550101'],
      ['call me', null],
      ['', ''],
    ],
  ],
  [
    call('boolean'),
    [
      ['Ja', 'true'],
      ['0', 'false'],
      ['maybe', null],
      ['', ''],
    ],
  ],
  [
    call('boolean', { yes: ['opted in'], no: ['opted out'] }),
    [
      ['Opted In', 'true'],
      ['OPTED OUT', 'false'],
      ['yes', null],
    ],
  ],
  [call('boolean', { yes: 'x', otherwise: 'false' }), [['anything', 'false']]],
  [
    call('extractEmail'),
    [
      ['Ada <Ada@Example.com>, home', 'Ada@Example.com'],
      ['mailto:a@b.de', 'a@b.de'],
      ['write to a@b.co.', 'a@b.co'],
      ['@@', ''],
      ['no address', ''],
    ],
  ],
  [
    call('extractUrl'),
    [
      ['see (https://example.com/a?b=1).', 'https://example.com/a?b=1'],
      ['www.example.com', 'www.example.com'],
      ['javascript:alert(1)', ''],
      ['http://', ''],
    ],
  ],
  [
    call('extractNumber'),
    [
      ['about 1,250.5 sqft', '1250.5'],
      ['A-12', '12'],
      ['-3 °C', '-3'],
      ['3 bd 2 ba', '3'],
      ['none', ''],
      ['', ''],
    ],
  ],
  [call('extractNumber', { locale: 'de-DE' }), [['ca. 1.250,5 m²', '1250.5']]],
  [
    call('domain'),
    [
      ['Ada@Mail.Example.com', 'mail.example.com'],
      ['https://www.example.com:8080/x?y@z', 'example.com'],
      ['not a host', ''],
      ['', ''],
    ],
  ],
  [
    call('splitName', { part: 'first' }),
    [
      ['Berg, Anna Maria', 'Anna Maria'],
      ['Madonna', ''],
      ['Acme GmbH', ''],
      ['', ''],
      ['x'.repeat(501), null],
    ],
  ],
  [
    call('splitName', { part: 'last' }),
    [
      ['Dr. Anna van der Berg jr.', 'van der Berg'],
      ['张 伟', '伟'],
    ],
  ],
  [call('splitName', { part: 'suffix' }), [['Martin King Jr.', 'Jr.']]],
  [call('splitName', { part: 'prefix' }), [['Dr. Anna Berg', 'Dr.']]],
]

for (const [transform, cases] of tables) {
  const args = transform.arguments.map(({ name, value }) => `${name} ${JSON.stringify(value)}`).join(', ')
  test(`${transform.name}(${args}) makes what its table says`, () => {
    assert.deepEqual(
      cases.map(([value]) => [value, run([transform], value)]),
      cases.map(([value, becomes]) => [value, becomes]),
    )
  })
}

test('mapValues replaces whole values, whatever their case, and the rest by otherwise', () => {
  const pairs = [
    { name: 'from', value: 'Y' },
    { name: 'to', value: 'Yes' },
    { name: 'from', value: 'y' },
    { name: 'to', value: 'small' },
    { name: 'from', value: '' },
    { name: 'to', value: 'nothing' },
  ]
  const map = { name: 'mapValues', arguments: pairs }
  assert.deepEqual(
    ['Y', 'y', 'Z', ''].map((value) => run([map], value)),
    ['Yes', 'small', 'Z', 'nothing'],
  )
  const strict = { name: 'mapValues', arguments: [...pairs.slice(0, 4), { name: 'otherwise', value: 'other' }] }
  assert.deepEqual(
    ['Z', ''].map((value) => run([strict], value)),
    ['other', ''],
  )
})

test('columns are joined, tried in turn and put into templates', () => {
  const columns = { A: 'a', Blank: '', 'B C': 'b' }
  const cases: [TransformCall, string, string][] = [
    [call('join', { column: ['A', 'Blank', 'B C'] }), 'own', 'own a b'],
    [call('join', { column: ['A', 'Own'], separator: '-' }), 'own', 'a-own'],
    [call('join', { column: ['Blank'] }), '', ''],
    [call('firstNonEmpty', { column: ['Blank', 'A'] }), '', 'a'],
    [call('firstNonEmpty', { column: ['Blank', 'A'] }), 'own', 'own'],
    [call('firstNonEmpty', { column: ['A', 'Own'] }), 'own', 'a'],
    [call('template', { text: '{B C}, {A} {{x}} {Own}' }), 'own', 'b, a {x} own'],
    [call('template', { text: '({Blank})' }), '', ''],
    [call('template', { text: '{ A }{A}' }), '', 'aa'],
  ]
  for (const [transform, value, becomes] of cases) {
    assert.equal(run([transform], value, columns), becomes, JSON.stringify(transform))
  }
})

test('a chain hands each result to the next, and its own name means the value so far', () => {
  const chain = [
    call('trim'),
    call('upper'),
    call('template', { text: '{Own}/{B}' }),
    call('addSuffix', { suffix: '!' }),
  ]
  assert.equal(run(chain, ' ab ', { B: 'x' }), 'AB/x!')
  assert.equal(run([call('blankIf', { value: '-' }), call('default', { value: 'none' })], '-'), 'none')
})

test('the hash is that of salt and value', () => {
  // printf 'pepperada' | sha256sum
  assert.equal(run([call('hash', { salt: 'pepper' })], 'ada'), run([call('hash')], 'pepperada'))
  assert.equal(run([call('hash')], 'abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
})

for (const { name, example } of transforms) {
  test(`the example of ${name} holds`, () => {
    const made = run([{ name, arguments: example.arguments }], example.value, example.columns ?? {})
    assert.equal(made, example.becomes, exampleText(name, example))
  })
}

test('a blank value stays blank, but for transforms that are made for it', () => {
  const filling = new Set(['default', 'mapValues', 'join', 'firstNonEmpty', 'template'])
  for (const { name, example } of transforms) {
    if (!filling.has(name)) {
      assert.equal(run([{ name, arguments: example.arguments }], '', example.columns ?? {}), '', name)
    }
  }
})

/** Cells that make careless scanning take the square of their length. */
const MIB = 1024 * 1024
const hostile: readonly (readonly [what: string, cell: string])[] = [
  ['one letter', 'a'.repeat(MIB)],
  ['spaces', `x${' '.repeat(MIB - 2)}x`],
  ['open tags', '<'.repeat(MIB)],
  ['open comments', '<!--'.repeat(MIB / 4)],
  ['scripts without an end', '<script>'.repeat(MIB / 8)],
  ['end tags without an end', '<script></'.repeat(MIB / 10)],
  ['ampersands', '&'.repeat(MIB)],
  ['entities', '&#233;'.repeat(MIB / 8)],
  ['digits', '1'.repeat(MIB)],
  ['groups', '1,'.repeat(MIB / 2)],
  ['at signs', '@'.repeat(MIB)],
  ['addresses without a host', 'a@'.repeat(MIB / 2)],
  ['labels', 'a.'.repeat(MIB / 2)],
  ['web addresses', 'http://'.repeat(MIB / 7)],
  ['accents in disorder', '\u0315\u0316'.repeat(MIB / 4)],
  ['letters that grow', 'ŉ'.repeat(MIB / 2)],
  ['apostrophes', "a'".repeat(MIB / 2)],
  ['line breaks', '\r\n'.repeat(MIB / 2)],
  ['separators', ', '.repeat(MIB / 2)],
  ['emoji', '😀'.repeat(MIB / 4)],
]

for (const { name, example } of transforms) {
  test(`${name} takes time with the length of a cell, not with its square`, () => {
    const calls = [{ name, arguments: example.arguments }]
    const columns = example.columns ?? {}
    for (const [what, cell] of hostile) {
      const started = process.cpuUsage()
      const made = run(calls, cell, columns)
      const { user } = process.cpuUsage(started)
      assert.ok(made === null || made.length <= TRANSFORM_VALUE_LENGTH_MAX)
      // The slowest takes 150 ms; what goes with the square takes minutes.
      assert.ok(user < 3_000_000, `${what}: ${user / 1000} ms`)
    }
  })
}

test('a value may become as long as the limit says, and no longer', () => {
  const replace = call('replace', { find: 'a', with: 'bb' })
  assert.equal(run([replace], 'a'.repeat(TRANSFORM_VALUE_LENGTH_MAX / 2))?.length, TRANSFORM_VALUE_LENGTH_MAX)
  assert.equal(run([replace], `${'a'.repeat(TRANSFORM_VALUE_LENGTH_MAX / 2)}c`), null)
  const double = call('template', { text: '{A}{A}' })
  const half = 'x'.repeat(TRANSFORM_VALUE_LENGTH_MAX / 2)
  assert.equal(run([double], '', { A: half })?.length, TRANSFORM_VALUE_LENGTH_MAX)
  assert.equal(run([double], '', { A: `${half}x` }), null)
  const join = call('join', { column: ['A', 'A'], separator: '' })
  assert.equal(run([join], '', { A: half })?.length, TRANSFORM_VALUE_LENGTH_MAX)
  assert.equal(run([join], 'x', { A: half }), null)
  assert.equal(run([call('upper')], 'ß'.repeat(TRANSFORM_VALUE_LENGTH_MAX / 2))?.length, TRANSFORM_VALUE_LENGTH_MAX)
  assert.equal(run([call('upper')], 'ß'.repeat(TRANSFORM_VALUE_LENGTH_MAX / 2 + 1)), null)
})
