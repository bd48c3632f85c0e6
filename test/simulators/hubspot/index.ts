/** A simulated HubSpot account for tests: see `HubspotOptions` for what can be chosen of it. */
import { startSimulator } from '../common/harness.js'
import type { Simulator } from '../common/types.js'
import { type HubspotOptions, HubspotService } from './service.js'

export { type HubspotOptions, SEARCH_CAP } from './service.js'

/** Starts one on a free port. Close it when the test ends, which throws if it answered other than the service would. */
export function startHubspot(options: HubspotOptions = {}): Promise<Simulator> {
  return startSimulator((around) => new HubspotService(around, options), options)
}
