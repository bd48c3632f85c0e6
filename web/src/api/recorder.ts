/** The operations that this page has used, newest first: what the drawer of the API shows. */
import { useSyncExternalStore } from 'react'
import { type Operation, stringifyDocument } from 'urql'

/** One operation as it went to the service. */
export interface Recorded {
  readonly kind: 'query' | 'mutation' | 'subscription'
  readonly name: string
  readonly text: string
  readonly variables: Readonly<Record<string, unknown>>
}

/** So many are kept. */
const KEPT_MAX = 12

let recorded: readonly Recorded[] = []
const watchers = new Set<() => void>()

/** Keeps an operation; one of the same name replaces the one before. */
export function note(operation: Operation): void {
  const text = stringifyDocument(operation.query)
  const name = /^(?:query|mutation|subscription)\s+(\w+)/.exec(text)?.[1]
  if (name === undefined || operation.kind === 'teardown') {
    return
  }
  const entry = {
    kind: operation.kind,
    name,
    text: text.replaceAll(/^\s*__typename\n/gm, ''),
    variables: (operation.variables ?? {}) as Record<string, unknown>,
  }
  recorded = [entry, ...recorded.filter((each) => each.name !== name)].slice(0, KEPT_MAX)
  tell()
}

/** Begins anew: another page was opened. */
export function forget(): void {
  recorded = []
  tell()
}

/** As state of a component. */
export function useRecorded(): readonly Recorded[] {
  return useSyncExternalStore(
    (watcher) => {
      watchers.add(watcher)
      return () => watchers.delete(watcher)
    },
    () => recorded,
  )
}

// In a moment of its own: operations are noted while components render, who may not change each other then.
let due = false
function tell(): void {
  if (!due) {
    due = true
    queueMicrotask(() => {
      due = false
      for (const watcher of watchers) {
        watcher()
      }
    })
  }
}
