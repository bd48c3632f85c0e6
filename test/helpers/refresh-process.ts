/** A process of its own that asks with an integration's token, several times at once. Started by a test with its settings. */
import { loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { laneOptions } from '../../src/jobs/context.js'
import { askOnce } from './bearer.js'

const [tenantId = '', integrationId = '', times = '1'] = process.argv.slice(2)
const settings = loadConfig()
const lanes = await Promise.all(
  Array.from({ length: Number(times) }, () => Lane.open(laneOptions(settings.databaseUrl ?? '', 'refresh'))),
)
process.send?.('ready')
await new Promise((resolve) => process.once('message', resolve))
process.send?.(await Promise.all(lanes.map((source) => askOnce({ source, settings }, tenantId, integrationId))))
await Promise.all(lanes.map((lane) => lane.close()))
process.disconnect()
