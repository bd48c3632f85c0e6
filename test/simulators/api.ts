/** A `VendorApi` for a simulator: the project's own HTTP layer and limits, without a database, a budget or waiting. */
import { type Access, type Answer, HttpClient, type Wait } from '../../src/adapters/http/client.js'
import { VendorUnauthorized } from '../../src/adapters/http/errors.js'
import { policyOf } from '../../src/adapters/http/policy.js'
import { PlannedPause, type VendorApi } from '../../src/adapters/vendor.js'
import { Hidden } from '../../src/hidden.js'
import type { CrmSystem } from '../../src/systems.js'
import type { Simulator } from './common/types.js'

/** What is asked of a simulator to speak to it; the simulator itself may run in another process. */
export interface Simulated extends Pick<Simulator, 'url' | 'now' | 'advance' | 'setClock'> {
  readonly oauth: { connect(): { readonly accessToken: string } }
}

/** Close it before the simulator. Waits pass at once by moving the simulator's clock; a planned pause does the same. */
export interface SimulatedApi extends VendorApi {
  /** Requests that went out, further attempts included. */
  readonly sent: () => number
  /** Tokens of the vendor's budget, as the requests said they cost. */
  readonly cost: () => number
  close(): void
}

/** Signs in without a browser, and again wherever a token is not taken any more. */
export function apiOf(simulator: Simulated, system: CrmSystem): SimulatedApi {
  let token = simulator.oauth.connect().accessToken
  let cost = 0
  let sent = 0
  const client = new HttpClient({
    policy: policyOf(system),
    rule: { hosts: [], standIns: [simulator.url] },
    budget: {
      take: (_lanes, price) => {
        cost += price
        return Promise.resolve({ kind: 'permit', id: 'any' })
      },
      give: () => Promise.resolve(),
    },
    observe: () => {
      sent += 1
    },
    surroundings: {
      now: () => simulator.now(),
      sleep: (milliseconds) => {
        simulator.advance(milliseconds)
        return Promise.resolve()
      },
      random: () => 0.5,
    },
  })
  const ask = async <T>(what: (access: Access) => Promise<Answer<T> | Wait>): Promise<Answer<T>> => {
    for (let attempt = 1; ; attempt++) {
      try {
        const answer = await what({ origin: simulator.url, token: new Hidden(token) })
        if (answer.kind === 'wait') {
          throw new PlannedPause(answer)
        }
        return answer
      } catch (error) {
        if (error instanceof PlannedPause && attempt < 10) {
          simulator.setClock(error.until)
        } else if (error instanceof VendorUnauthorized && attempt < 10) {
          token = simulator.oauth.connect().accessToken
        } else {
          throw error
        }
      }
    }
  }
  return {
    json: (request) => ask((access) => client.json(access, request)),
    stream: (request) => ask((access) => client.stream(access, request)),
    sent: () => sent,
    cost: () => cost,
    close: () => client.close(),
  }
}
