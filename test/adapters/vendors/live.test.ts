/**
 * A look at the services themselves, reading only, for who has credentials at hand: `PORTAGE_LIVE_<SYSTEM>_TOKEN` (an access token
 * with the scopes of reading) and `PORTAGE_LIVE_<SYSTEM>_ORIGIN` (where the account's API is, e.g. https://acme.my.salesforce.com).
 * Without them nothing is asked. A few requests for each object; no record's content is printed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HttpClient, type Wait } from '../../../src/adapters/http/client.js'
import { policyOf } from '../../../src/adapters/http/policy.js'
import { PlannedPause, type VendorApi, type VendorRow } from '../../../src/adapters/vendor.js'
import { Hidden } from '../../../src/hidden.js'
import { openAdapter } from '../../../src/runs/vendors.js'
import { type CrmSystem, crmSystems } from '../../../src/systems.js'

/** Records of each object that are read once more by their ids. */
const AGAIN = 5

function client(system: CrmSystem, origin: string, token: string): VendorApi & { close(): void } {
  const { hostname, protocol } = new URL(origin)
  const http = new HttpClient({
    policy: policyOf(system),
    // A simulator on this machine, to try the test itself.
    rule: protocol === 'http:' ? { hosts: [], standIns: [origin] } : { hosts: [hostname], standIns: [] },
    budget: { take: () => Promise.resolve({ kind: 'permit', id: 'any' }), give: () => Promise.resolve() },
    observe: () => undefined,
  })
  const access = { origin, token: new Hidden(token) }
  const answered = async <T extends { readonly kind: string }>(asked: Promise<T | Wait>): Promise<Exclude<T, Wait>> => {
    const answer = await asked
    if (answer.kind === 'wait') {
      throw new PlannedPause(answer as Wait)
    }
    return answer as Exclude<T, Wait>
  }
  return {
    json: (request) => answered(http.json(access, request)),
    stream: (request) => answered(http.stream(access, request)),
    close: () => http.close(),
  }
}

for (const system of crmSystems) {
  const name = `PORTAGE_LIVE_${system.toUpperCase()}`
  const token = process.env[`${name}_TOKEN`] ?? ''
  const origin = process.env[`${name}_ORIGIN`] ?? ''
  const skip = token === '' || origin === '' ? `${name}_TOKEN and ${name}_ORIGIN are not set` : false

  test(`${system} itself answers as its adapter reads it`, { skip, timeout: 300_000 }, async (context) => {
    const adapter = await openAdapter(system)
    const api = client(system, origin, token)
    const { signal } = context
    try {
      assert.ok((await adapter.check(api, signal)).id !== '')
      const clock = await adapter.clock(api, signal)
      assert.ok(Math.abs(Date.parse(clock) - Date.now()) < 3_600_000 || origin.startsWith('http:'), clock)
      const objects = await adapter.discover(api, signal)
      assert.ok(objects.length > 0)
      for (const object of objects.filter(({ suggestedRecordType }) => suggestedRecordType !== null)) {
        const { count, exact } = await adapter.count(api, object, signal)
        const fields = object.fields.map((field) => field.name).filter((field) => !field.startsWith('portage.'))
        const rows: VendorRow[] = []
        const window = { since: null, until: clock }
        for await (const page of adapter.extract(api, {
          object,
          fields,
          state: null,
          window,
          ids: null,
          filter: null,
          signal,
        })) {
          rows.push(...page.rows)
          break
        }
        assert.ok(!exact || rows.length > 0 === count > 0 || rows.every(({ deleted }) => deleted), object.name)
        const ids = rows
          .filter(({ deleted }) => !deleted)
          .slice(0, AGAIN)
          .map(({ externalId }) => externalId)
        const again = await adapter.read(api, object, ids, fields, signal)
        assert.deepEqual(again.map(({ externalId }) => externalId).toSorted(), ids.toSorted(), object.name)
        context.diagnostic(`${object.name}: ${count}${exact ? '' : ' or so'}, ${object.fields.length} fields`)
      }
    } finally {
      api.close()
    }
  })
}
