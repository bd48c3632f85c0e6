/** A worker as `npm start` runs it, to which a simulator is the CRM. Arguments: system, address and token of the simulator. */
import { loadConfig } from '../src/config.js'
import { startWorker } from '../src/jobs/start.js'
import { openAdapter } from '../src/runs/vendors.js'
import type { CrmSystem } from '../src/systems.js'
import { apiOf } from '../test/simulators/api.js'

const [system, url = '', accessToken = ''] = process.argv.slice(2) as [CrmSystem, string?, string?]
const adapter = await openAdapter(system)
const api = apiOf(
  {
    url,
    oauth: { connect: () => ({ accessToken }) },
    now: () => Date.now(),
    advance: () => undefined,
    setClock: () => undefined,
  },
  system,
)
const worker = await startWorker(loadConfig(process.env), {
  openVendor: () => Promise.resolve({ adapter, api, close: () => Promise.resolve() }),
})
process.once('SIGTERM', () => {
  void worker.close().then(() => process.exit(0))
})
process.on('disconnect', () => process.exit(1))
process.send?.('ready')
