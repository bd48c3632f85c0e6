/** What is refused before a mapping is taken, and how the refusal says what to do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../../../src/errors.js'
import { TRANSFORM_ARGUMENT_LENGTH_MAX, TRANSFORMS_PER_COLUMN_MAX } from '../../../src/limits.js'
import { chains } from '../../../src/pipeline/transforms/build.js'
import type { TransformCall } from '../../../src/pipeline/types.js'
import { call, run } from './world.js'

const long = 'x'.repeat(TRANSFORM_ARGUMENT_LENGTH_MAX + 1)
const pair = (name: string, value: string) => ({ name, value })

const refused: readonly (readonly [what: string, call: TransformCall, message: RegExp, at: string])[] = [
  ['a misspelled name', call('splt'), /no transform "splt"\. Did you mean split\?/, 'name'],
  ['an unknown name', call('eval'), /no transform "eval"\. There are: trim, /, 'name'],
  ['a name of every object', call('constructor'), /no transform "constructor"/, 'name'],
  ['an empty name', call(''), /no transform ""/, 'name'],
  ['a missing argument', call('split', { separator: ',' }), /split: the argument "part" is missing\. Which part/, ''],
  ['an unknown argument', call('trim', { all: 'yes' }), /takes no argument "all", but none at all/, '0'],
  ['an unknown one of several', call('round', { digits: 2 }), /no argument "digits", but "places"/, '0'],
  ['an argument twice', call('replace', { find: ['a', 'b'] }), /"find" is given twice/, '1'],
  [
    'no number',
    call('split', { separator: ',', part: 'two' }),
    /"part" is "two"\. Expected a whole number from -1000 to 1000/,
    '1',
  ],
  ['a number out of range', call('padStart', { length: 1001 }), /Expected a whole number from 1 to 1000/, '0'],
  ['a fraction', call('truncate', { length: '1.5' }), /Expected a whole number/, '0'],
  ['the part before the first', call('split', { separator: ',', part: 0 }), /"part" is 0; the first part is 1/, ''],
  ['the character before the first', call('substring', { start: 0 }), /"start" is 0/, ''],
  ['an empty separator', call('split', { separator: '', part: 1 }), /"separator" is empty/, ''],
  ['nothing to find', call('replace', { find: '' }), /"find" is empty/, ''],
  ['an unknown choice', call('splitName', { part: 'middle' }), /Expected prefix or first or last or suffix/, '0'],
  ['an unknown date format', call('date', { format: 'day/month' }), /Expected one of yyyy-MM-dd /, '0'],
  ['an unknown language', call('number', { locale: 'klingon' }), /Expected a language such as de-DE/, '0'],
  ['an unknown zone', call('dateTime', { format: 'yyyy-MM-dd', timeZone: 'Mars' }), /Expected an IANA time zone/, '1'],
  ['an unknown country', call('phone', { country: 'XX' }), /Expected an ISO 3166-1 alpha-2 code/, '0'],
  ['an unknown currency', call('money', { currency: 'XXL' }), /Expected an ISO 4217 code/, '0'],
  ['no factor', call('multiply', { by: '1e9' }), /Expected a number such as 0\.01/, '0'],
  [
    'an unknown column',
    call('join', { column: 'Citty' }),
    /the file has no column "Citty"\. Did you mean "City"\?/,
    '0',
  ],
  ['an unknown column in a template', call('template', { text: '{City} {ZIP}' }), /no column "ZIP"/, '0'],
  [
    'a template that does not close',
    call('template', { text: '{City' }),
    /Expected a text with at least one column/,
    '0',
  ],
  [
    'a template without a column',
    call('template', { text: 'x {{y}}' }),
    /Expected a text with at least one column/,
    '0',
  ],
  [
    'a template within a template',
    call('template', { text: '{a{b}' }),
    /Expected a text with at least one column/,
    '0',
  ],
  ['a blank default', call('default', { value: ' ' }), /"value" is blank/, '0'],
  ['a long argument', call('replace', { find: long }), /has 1001 characters\. At most 1000/, '0'],
  ['NUL', call('replace', { find: '\0' }), /holds NUL/, '0'],
  ['half of a character', call('padStart', { length: 3, with: '\ud83d' }), /half of a character/, '1'],
  [
    'a from without a to',
    { name: 'mapValues', arguments: [pair('from', 'a'), pair('to', 'b'), pair('from', 'c')] },
    /each "from" has to be followed by its "to"/,
    '',
  ],
  [
    'a to before its from',
    { name: 'mapValues', arguments: [pair('to', 'a'), pair('from', 'b')] },
    /followed by its "to"/,
    '',
  ],
]

for (const [what, transform, message, at] of refused) {
  test(`${what} is refused`, () => {
    assert.throws(
      () => run([call('trim'), transform], 'x', { City: 'Austin' }),
      (error: unknown) => {
        assert.ok(error instanceof Refusal)
        assert.equal(error.code, 'TRANSFORM_INVALID')
        assert.match(error.message, /^Transform 2 of "notes"[,:]/)
        assert.match(error.message, message)
        const path = ['mapping', '0', 'transforms', '1', ...(at === 'name' ? ['name'] : ['arguments', at])]
        assert.deepEqual(
          error.field,
          path.filter((step) => step !== ''),
        )
        return true
      },
    )
  })
}

test('a chain may be as long as the limit says, and an argument too', () => {
  const chain = Array.from({ length: TRANSFORMS_PER_COLUMN_MAX }, () => call('addSuffix', { suffix: 'x' }))
  assert.equal(run(chain, '')?.length, 0)
  assert.equal(run(chain, 'a')?.length, TRANSFORMS_PER_COLUMN_MAX + 1)
  assert.throws(() => run([...chain, call('trim')], 'a'), /has 21 transforms\. At most 20/)
  assert.equal(run([call('addPrefix', { prefix: long.slice(1) })], 'a')?.length, TRANSFORM_ARGUMENT_LENGTH_MAX + 1)
})

test('the most that a chain can make of the longest cell is bounded in time', () => {
  const grow = Array.from({ length: TRANSFORMS_PER_COLUMN_MAX }, () =>
    call('replace', { find: 'a', with: 'a'.repeat(TRANSFORM_ARGUMENT_LENGTH_MAX) }),
  )
  assert.equal(run(grow, 'a'.repeat(1024 * 1024)), null)
  const worst = Array.from({ length: TRANSFORMS_PER_COLUMN_MAX }, () =>
    call('replace', { find: `b${'a'.repeat(999)}`, with: 'c' }),
  )
  const started = process.cpuUsage()
  assert.equal(run(worst, 'a'.repeat(1024 * 1024))?.length, 1024 * 1024)
  assert.ok(process.cpuUsage(started).user < 10_000_000)
})

test('chains that code builds are ones that are taken', () => {
  const columns = { City: 'Austin', State: 'TX' }
  assert.equal(run(chains.splitName('first'), 'Ada Lovelace'), 'Ada')
  assert.equal(run(chains.splitAddress('city'), '12345 Berlin'), 'Berlin')
  assert.equal(run(chains.join(['City', 'State'], ', '), '12 Main St', columns), '12 Main St, Austin, TX')
  assert.equal(run(chains.firstNonEmpty(['City']), '', columns), 'Austin')
  assert.equal(run(chains.template('{City} ({State})'), '', columns), 'Austin (TX)')
  assert.equal(run(chains.mapValues([{ from: 'a', to: 'b' }]), 'a'), 'b')
  assert.equal(run(chains.split('/', -1), 'a/b'), 'b')
})
