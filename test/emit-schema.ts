/**
 * Writes what follows from the code: `schema.graphql`, `docs/TRANSFORMS.md`, the tables of statements in docs/OPERATIONS.md and
 * docs/SECURITY.md, and in `test/contract-pending.txt` what the contract promises and later work delivers. Run after a change of the API, and read the difference before committing it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { breakingChanges, emittedSdl, projectFile } from './helpers/contract.js'
import { transformsDocument } from './helpers/transforms-document.js'
import { operations, security, withTable } from './statements.js'

writeFileSync(projectFile('schema.graphql'), emittedSdl())
writeFileSync(
  projectFile('test/contract-pending.txt'),
  breakingChanges()
    .map((change) => `${change}\n`)
    .join(''),
)
writeFileSync(projectFile('docs/TRANSFORMS.md'), transformsDocument())
for (const [path, statements] of [
  ['docs/OPERATIONS.md', operations],
  ['docs/SECURITY.md', security],
] as const) {
  writeFileSync(projectFile(path), withTable(readFileSync(projectFile(path), 'utf8'), statements))
}
