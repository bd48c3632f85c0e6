import assert from 'node:assert/strict'
import { test } from 'node:test'
import { classify } from '../../../src/adapters/files/kinds.js'

const columns: readonly [string, readonly string[]][] = [
  ['EMAIL', ['anna@example.com', 'b.c+d@mail.example.co.uk', ' max@müller.de ']],
  ['EMAIL', ['a@b.de', 'c@d.de', 'e@f.de', 'g@h.de', 'not an address']],
  ['URL', ['https://example.com/a?b=c', 'http://x.org', 'www.example.de/é']],
  ['URL', ['example.com', 'shop.example.co.uk/path']],
  ['PHONE', ['+49 30 1234567', '(555) 123-4567', '555.123.4567', '030/1234567', '0301234567']],
  ['PHONE', ['+15551234567', '5551234567', '5559876543']],
  ['PHONE', ['555-123-4567 x12', '555-123-4567 ext. 9']],
  ['INTEGER', ['0', '12', '-3', '1,234', '12 345', "1'000"]],
  ['INTEGER', ['5551234567', '5559876543']],
  ['DECIMAL', ['1.5', '2', '-0.25', '1,234.50']],
  ['DECIMAL', ['1,5', '2,25', '1.234,50']],
  ['DECIMAL', ['1.5E+10', '2e5']],
  ['MONEY', ['$1,234.50', '€ 12', '12,50 €', 'USD 100', '100 CHF', '-$5', '($5.00)', '1.000,- €'].slice(0, 7)],
  ['MONEY', ['$100', '200', '300', '400']],
  ['BOOLEAN', ['yes', 'No', 'YES']],
  ['BOOLEAN', ['ja', 'nein', 'TRUE', 'false']],
  ['BOOLEAN', ['1', '0', '0', '1', '1', '0', '0', '1']],
  ['INTEGER', ['1', '0', '1']],
  ['DATE', ['2024-02-29', '2024/1/5', '31.12.2024', '12/31/24']],
  ['DATE', ['12 Jan 2024', 'March 3, 2024', '3. Mai 2024', 'Mon, 12 Feb 2024', '5-Dec-23']],
  ['DATE', ['20240131', '19991231']],
  ['INTEGER', ['20240131', '19991231', '12345678']],
  ['DATE_TIME', ['2024-02-29T10:00:00Z', '2024-02-29 10:00', '31.12.2024, 23:59:59', '12/31/2024 11:59 PM']],
  ['DATE_TIME', ['2024-02-29T10:00:00.000+02:00', '2024-02-29']],
  ['TEXT', ['Anna', 'Berlin', 'a, b']],
  ['TEXT', ['01234', '04109']],
  ['TEXT', ['12345-6789', '98765-4321']],
  ['TEXT', ['12345678901234567', '12345678901234568']],
  ['TEXT', ['31.13.2024', '2024-02-99', '99/99/2024']],
  ['TEXT', ['12 May Street 20', 'v1.2.3']],
  ['LONG_TEXT', ['one\ntwo', 'x'.repeat(300), 'short']],
]

for (const [kind, values] of columns) {
  test(`takes ${values.map((value) => value.slice(0, 20)).join(' | ')} for ${kind}`, () => {
    assert.equal(classify(values).kind, kind)
  })
}

test('is the surer the more values fit', () => {
  const one = classify(['a@b.de']).confidence
  const many = classify(Array.from({ length: 50 }, (_, index) => `a${index}@b.de`)).confidence
  const mixed = classify(
    Array.from({ length: 50 }, (_, index) => (index % 10 === 0 ? 'none' : `a${index}@b.de`)),
  ).confidence
  assert.ok(one > 0.5 && one < mixed && mixed < many && many < 1, `${one} ${mixed} ${many}`)
})

test('knows nothing about a blank column', () => {
  assert.deepEqual(classify(['', ' ', '\t']), { kind: 'TEXT', confidence: 0 })
  assert.deepEqual(classify([]), { kind: 'TEXT', confidence: 0 })
})

test('reads numbers with the decimal separator that a person gave', () => {
  assert.equal(classify(['1.234', '5.678'], { decimalSeparator: ',' }).kind, 'INTEGER')
  assert.equal(classify(['1.234', '5.678'], { decimalSeparator: '.' }).kind, 'DECIMAL')
  assert.equal(classify(['1,5', '2,5'], { decimalSeparator: '.' }).kind, 'TEXT')
})

test('takes no long time for hostile values', () => {
  const hostile = ['a', '1', '.', '-', 'a.', '1,', '1.', ' 1', "1'", 'a@', '@', '1 ', '12:', 'jan ', '$', '('].map(
    (part) => part.repeat(320 / part.length),
  )
  const started = process.cpuUsage()
  for (const value of hostile) {
    for (const tail of ['', '!', '@', '\n', 'x']) {
      classify(Array.from({ length: 100 }, () => value.slice(1) + tail))
    }
  }
  const { user } = process.cpuUsage(started)
  assert.ok(user < 2_000_000, `${user} us`)
})
