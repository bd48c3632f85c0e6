import type { RunInListFragment } from '../api/generated.ts'
import { To } from './parts.tsx'
import { kindInWords, runHref } from './run-words.ts'

/** What a run is about, its file or what it is, leading to it. */
export function RunName({ run }: { readonly run: RunInListFragment }) {
  return <To href={runHref(run)}>{run.__typename === 'ImportRun' ? run.source.name : kindInWords(run.kind)}</To>
}
