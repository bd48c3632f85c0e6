/** Names of files, as they are shown and downloaded by. */
import { NAME_LENGTH_MAX } from '../limits.js'

/** The last part of a path, without control characters and characters that turn text around; cut at NAME_LENGTH_MAX. */
export function safeName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? ''
  const clean = last
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '')
    .trim()
    .slice(0, NAME_LENGTH_MAX)
    .toWellFormed()
  return clean === '' || clean === '.' || clean === '..' ? 'file.csv' : clean
}

/** Name under which the failed rows of a file are given back. */
export function failedRowsName(name: string): string {
  return `${name.replace(/\.[^.]{1,10}$/, '')}-failed-rows.csv`
}

/** Name under which the rows of a file that were not come to are given back. */
export function unprocessedRowsName(name: string): string {
  return `${name.replace(/\.[^.]{1,10}$/, '')}-unprocessed-rows.csv`
}
