/** A CRM's simulator in a process of its own, so that its memory and time are not taken for ours. */
import { startHubspot } from '../test/simulators/hubspot/index.js'
import { startPipedrive } from '../test/simulators/pipedrive/index.js'
import { startSalesforce } from '../test/simulators/salesforce/index.js'
import type { FromSimulator, SimulatorStart, ToSimulator } from './migration-messages.js'

const { system, counts } = JSON.parse(process.argv[2] ?? '') as SimulatorStart
const start = { salesforce: startSalesforce, hubspot: startHubspot, pipedrive: startPipedrive }[system]
const simulator = await start({
  counts,
  // Texts that no database takes as they are belong to tests; here answers are made as fast as they can be.
  nasty: false,
  validate: false,
  limits: false,
  gzip: false,
  tokenSeconds: 7 * 86_400,
})
const token = simulator.oauth.connect().accessToken

function report(): void {
  const said: FromSimulator = {
    url: simulator.url,
    token,
    requests: simulator.requests.length,
    counts: Object.fromEntries(simulator.objects.map((object) => [object, simulator.count(object)])),
    rows: simulator.requests.reduce((sum, { rows }) => sum + rows, 0),
  }
  process.send?.(said)
}

process.on('message', (message: ToSimulator) => {
  if (message.do === 'change') {
    simulator.advance(3_600_000)
    simulator.edit(message.object, message.n)
    simulator.advance(600_000)
  }
  report()
})
process.on('disconnect', () => process.exit(0))
report()
