import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { serverAudits } from 'graphql-http'
import { type Actor, authorization, World } from './world.js'

/** How many audits the suite has; a newer one with more would otherwise pass unseen. */
const AUDITS = 61

let world: World
let actor: Actor

before(async () => {
  world = await World.start({ worker: false })
  actor = await world.actor(await world.tenant())
})
after(() => world.close())

test('passes every audit of GraphQL over HTTP', async () => {
  const audits = serverAudits({
    url: `${world.url}/graphql`,
    fetchFn: (url: string, init?: RequestInit) => {
      const headers = new Headers(init?.headers)
      headers.set('authorization', authorization(actor).authorization ?? '')
      // GET without it could be a page of another site.
      headers.set('apollo-require-preflight', 'true')
      return fetch(url, { ...init, headers })
    },
  })
  assert.equal(audits.length, AUDITS)
  const failed: string[] = []
  for (const audit of audits) {
    const result = await audit.fn()
    if (result.status !== 'ok') {
      failed.push(`${audit.id} ${audit.name}: ${result.status} ${result.reason}`)
    }
  }
  assert.deepEqual(failed, [])
})
