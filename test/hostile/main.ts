/** Prints what becomes of every hostile file, as the table of docs/SECURITY.md. Ends with 1 where one differs from that. */
import { hostileFiles } from './files.js'
import { difference, measure, outcomeOf } from './measure.js'

const mebibytes = (bytes: number | null): string =>
  bytes === null || bytes === 0 ? '-' : (bytes / 1024 ** 2).toFixed(0)

console.log('| File | Outcome | Seconds | Process MiB | Child MiB |\n|---|---|---:|---:|---:|')
for (const file of hostileFiles) {
  const found = await measure(file)
  const outcome = found.code === null ? outcomeOf(found) : `\`${found.code}\``
  console.log(
    `| ${file.title.replaceAll(/ \[[A-Z]+-\d+\]/g, '')} | ${outcome} | ${found.seconds.toFixed(2)} | ${mebibytes(found.processBytes)} | ${mebibytes(found.childBytes)} |`,
  )
  const other = difference(file, found)
  if (other !== null || found.seconds > 10) {
    process.exitCode = 1
    console.error(`${file.title}: ${other ?? 'took too long'}`)
  }
}
