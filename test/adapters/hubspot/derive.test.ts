import assert from 'node:assert/strict'
import { test } from 'node:test'
import { derive } from '../../../src/adapters/hubspot/derive.js'
import type { Linked } from '../../../src/adapters/hubspot/requests.js'
import type { VendorObject } from '../../../src/adapters/vendor.js'

function object(name: string): VendorObject {
  const contact = {
    name: 'portage.contact',
    label: 'Contact',
    kind: 'REFERENCE',
    custom: false,
    references: ['contacts'],
    options: null,
    calculated: false,
  } as const
  return { name, label: name, custom: false, recordCount: 0, suggestedRecordType: null, fields: [contact] }
}

function derived(
  name: string,
  properties: Readonly<Record<string, string | null>>,
  timeZone = 'Asia/Tokyo',
  linked: readonly Linked[] = [],
) {
  return derive(
    {
      object: object(name),
      account: { id: '1', timeZone, currency: 'JPY', serverTime: null },
      owners: new Map(),
      stages: [],
      links: new Map([['contacts', linked]]),
    },
    { id: '151', properties },
  )
}

test('the day of a moment is that of the account’s zone, and a zone is asked for once, however many records there are', (t) => {
  const made = t.mock.method(Intl, 'DateTimeFormat')
  for (let n = 0; n < 1000; n++) {
    assert.equal(
      derived('deals', { closedate: '2026-03-01T20:00:00Z' }, 'Pacific/Kiritimati').expectedCloseDate,
      '2026-03-02',
    )
  }
  assert.equal(made.mock.callCount(), 1)
  assert.equal(derived('deals', { closedate: '2026-03-01T14:59:59Z' }).expectedCloseDate, '2026-03-01')
  assert.equal(derived('deals', { closedate: '2026-03-01T15:00:00Z' }).expectedCloseDate, '2026-03-02')
  assert.equal(derived('deals', { closedate: '1772377200000' }).expectedCloseDate, '2026-03-02')
  assert.equal(derived('deals', { closedate: 'soon' }).expectedCloseDate, null)
})

test('who has no name is called by what there is, and else by the id', () => {
  const called = (name: string, properties: Readonly<Record<string, string | null>>) =>
    derived(name, properties).displayName
  assert.equal(
    called('contacts', { firstname: ' Ada ', lastname: 'Lovelace', email: 'ada@example.com' }),
    'Ada Lovelace',
  )
  assert.equal(called('contacts', { firstname: '', lastname: 'Lovelace' }), 'Lovelace')
  assert.equal(called('contacts', { firstname: ' ', company: 'Acme Verwaltung', phone: '+81 3 1' }), 'Acme Verwaltung')
  assert.equal(called('contacts', { email: 'ada@example.com', phone: '+81 3 1234 5678' }), 'ada@example.com')
  assert.equal(called('contacts', { email: '', phone: '+81 3 1234 5678' }), '+81 3 1234 5678')
  assert.equal(called('contacts', { mobilephone: '+81 90 1234' }), '+81 90 1234')
  assert.equal(called('contacts', {}), 'HubSpot 151')
  assert.equal(called('companies', { name: 'Acme', domain: 'acme.example' }), 'Acme')
  assert.equal(called('companies', { name: null, domain: 'acme.example' }), 'acme.example')
  assert.equal(called('companies', {}), 'HubSpot 151')
  assert.equal(called('deals', { dealname: 'Flat in Kyoto' }), 'Flat in Kyoto')
  assert.equal(called('deals', { dealname: '' }), 'HubSpot 151')
  assert.equal(called('leads', { hs_lead_name: ' ' }), 'HubSpot 151')
  assert.equal(derived('deals', {}, 'UTC', [{ id: '7', isPrimary: true }]).displayName, null)
})
