#!/usr/bin/env node
import { processIo } from './io.js'
import { portage } from './portage.js'

// Whoever read our output has gone, e.g. `head`.
process.stdout.on('error', () => process.exit(1))
process.exitCode = await portage(process.argv.slice(2), processIo())
