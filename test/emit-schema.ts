/**
 * Writes what follows from the code: `schema.graphql`, `docs/TRANSFORMS.md`, and in `test/contract-pending.txt` what the contract promises and
 * later work delivers. Run after a change of the API, and read the difference before committing it.
 */
import { writeFileSync } from 'node:fs'
import { breakingChanges, emittedSdl, projectFile } from './helpers/contract.js'
import { transformsDocument } from './helpers/transforms-document.js'

writeFileSync(projectFile('schema.graphql'), emittedSdl())
writeFileSync(projectFile('test/contract-pending.txt'), `${breakingChanges().join('\n')}\n`)
writeFileSync(projectFile('docs/TRANSFORMS.md'), transformsDocument())
