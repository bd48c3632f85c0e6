/** Addresses in one cell, as people write them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ADDRESS_LENGTH_MAX, splitAddress } from '../../../src/pipeline/transforms/address.js'

const parts = ['line1', 'city', 'state', 'postalCode', 'country'] as const

/** Texts with their first line, city, state, post code and country. */
const cases: readonly (readonly [
  text: string,
  line1: string | null,
  city: string | null,
  state: string | null,
  postalCode: string | null,
  country: string | null,
])[] = [
  ['Austin, TX 78701', null, 'Austin', 'TX', '78701', null],
  ['Austin, TX', null, 'Austin', 'TX', null, null],
  ['Austin TX 78701', null, 'Austin', 'TX', '78701', null],
  ['Austin, Texas 78701-1234', null, 'Austin', 'Texas', '78701-1234', null],
  ['Austin, TX, 78701', null, 'Austin', 'TX', '78701', null],
  ['123 Main St, Austin, TX 78701', '123 Main St', 'Austin', 'TX', '78701', null],
  ['123 Main St, Apt 4, Austin, TX 78701, USA', '123 Main St, Apt 4', 'Austin', 'TX', '78701', 'US'],
  ['123 Main St\nAustin, TX 78701\nUnited States', '123 Main St', 'Austin', 'TX', '78701', 'US'],
  ['123 Main St Austin TX 78701', '123 Main St', 'Austin', 'TX', '78701', null],
  ['350 5th Ave, New York, NY 10118', '350 5th Ave', 'New York', 'NY', '10118', null],
  ['Los Angeles, CA', null, 'Los Angeles', 'CA', null, null],
  ['Toronto, ON M5V 2T6, Canada', null, 'Toronto', 'ON', 'M5V 2T6', 'CA'],
  ['Toronto, ON, CA', null, 'Toronto', 'ON', null, 'CA'],
  ['Sydney NSW 2000', null, 'Sydney', 'NSW', '2000', null],
  ['10 Downing Street, London SW1A 2AA', '10 Downing Street', 'London', null, 'SW1A 2AA', null],
  ['10 Downing Street, London, SW1A 2AA, UK', '10 Downing Street', 'London', null, 'SW1A 2AA', 'GB'],
  ['12345 Berlin', null, 'Berlin', null, '12345', null],
  ['D-12345 Berlin', null, 'Berlin', null, '12345', null],
  ['Musterstr. 5, 12345 Berlin', 'Musterstr. 5', 'Berlin', null, '12345', null],
  ['Musterstr. 5, 12345 Berlin, Deutschland', 'Musterstr. 5', 'Berlin', null, '12345', 'DE'],
  ['12345 Berlin, DE', null, 'Berlin', null, '12345', 'DE'],
  ['Wilmington, DE', null, 'Wilmington', 'DE', null, null],
  ['8001 Zürich', null, 'Zürich', null, '8001', null],
  ['10 rue de Rivoli, 75001 Paris, France', '10 rue de Rivoli', 'Paris', null, '75001', 'FR'],
  ['Paris, France', null, 'Paris', null, null, 'FR'],
  ['1012 AB Amsterdam', null, 'Amsterdam', null, '1012 AB', null],
  ['Calle Mayor 1, 28013 Madrid', 'Calle Mayor 1', 'Madrid', null, '28013', null],
  ['Via Roma 1, 00184 Roma RM', 'Via Roma 1', 'Roma', 'RM', '00184', null],
  ['111 22 Stockholm', null, 'Stockholm', null, '111 22', null],
  ['00-950 Warszawa', null, 'Warszawa', null, '00-950', null],
  ['Lisboa', null, 'Lisboa', null, null, null],
  ['1000-205 Lisboa', null, 'Lisboa', null, '1000-205', null],
  ['Av. Paulista 1000, São Paulo - SP, 01310-100, Brasil', 'Av. Paulista 1000', 'São Paulo', 'SP', '01310-100', 'BR'],
  ['New York', null, 'New York', null, null, null],
  ['12 Unknown Place', '12 Unknown Place', null, null, null, null],
  ['78701', null, null, null, '78701', null],
  ['', null, null, null, null, null],
  [', ;\n', null, null, null, null, null],
]

for (const [text, ...expected] of cases) {
  test(`${JSON.stringify(text)} is split as people read it`, () => {
    const address = splitAddress(text)
    assert.ok(address !== null)
    assert.deepEqual(
      parts.map((part) => address[part]),
      expected,
    )
  })
}

test('a text that is too long for an address is none', () => {
  assert.ok(splitAddress('x'.repeat(ADDRESS_LENGTH_MAX)) !== null)
  assert.equal(splitAddress('x'.repeat(ADDRESS_LENGTH_MAX + 1)), null)
})
