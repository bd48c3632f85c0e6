/**
 * What is happening, as it happens. A broken connection is taken up after the last event that was seen: the service then tells what
 * was missed, once, so that nothing on a page jumps back or is counted twice.
 */
import { useContext, useEffect, useEffectEvent } from 'react'
import {
  RunEventsDocument,
  type RunEventsSubscription,
  TenantEventsDocument,
  type TenantEventsSubscription,
} from '../api/generated.ts'
import { note } from '../api/recorder.ts'
import { ApiSocket } from './socket.ts'

/** Events are handed on together, so many milliseconds apart: a page draws no more often. */
const TOGETHER_MS = 100

/** The service joins what happens within so many milliseconds. */
const INTERVAL_MS = 250

/** A stream that the service has ended is taken up again after so long, and twice as long each further time. Milliseconds. */
const AGAIN_MS = 1_000
const AGAIN_MS_MAX = 30_000

/** What asking again does not change. */
const finalCodes = new Set(['NOT_FOUND', 'FORBIDDEN', 'UNAUTHENTICATED', 'INVALID_INPUT'])

export type TenantEvent = TenantEventsSubscription['tenantEvents']
export type RunEvent = RunEventsSubscription['runEvents']

/** Follows a run from its first event. `onEvents` gets events in order, each once. */
export function useRunEvents(runId: string, onEvents: (events: readonly RunEvent[]) => void): void {
  useFollow<RunEvent>(RunEventsDocument, { runId }, 'runEvents', onEvents)
}

/** Follows all runs of the tenant from now on. `onOpen`: the stream (again) runs, so what was read before it may be old. */
export function useTenantEvents(
  onEvents: (events: readonly TenantEvent[]) => void,
  onOpen: () => void = () => undefined,
): void {
  useFollow<TenantEvent>(TenantEventsDocument, {}, 'tenantEvents', onEvents, onOpen)
}

function useFollow<E extends { readonly sequence: string }>(
  operation: unknown,
  fixed: Readonly<Record<string, unknown>>,
  field: string,
  onEvents: (events: readonly E[]) => void,
  onOpen: () => void = () => undefined,
): void {
  const socket = useContext(ApiSocket)
  const handle = useEffectEvent(onEvents)
  const opened = useEffectEvent(onOpen)
  const key = JSON.stringify(fixed)
  useEffect(() => {
    if (socket === null) {
      return
    }
    // The client sends this object anew whenever it connects: `after` moves with what has been seen.
    const variables: Record<string, unknown> & { after: string | null } = {
      ...(JSON.parse(key) as object),
      after: null,
      minIntervalMs: INTERVAL_MS,
    }
    const query = operation as string
    note({ kind: 'subscription', query, variables: { ...variables } } as never)
    let waiting: E[] = []
    let timer: ReturnType<typeof setTimeout> | null = null
    const flush = () => {
      timer = null
      const events = waiting
      waiting = []
      handle(events)
    }
    const stopListening = socket.on('connected', () => opened())
    let unsubscribe = () => {}
    let wait = AGAIN_MS
    let again: ReturnType<typeof setTimeout> | undefined
    let ended = false
    const begin = () => {
      unsubscribe = socket.subscribe<Record<string, E>>(
        { query, variables },
        {
          next: ({ data }) => {
            const event = data?.[field]
            if (event === undefined || (variables.after !== null && event.sequence <= variables.after)) {
              return
            }
            wait = AGAIN_MS
            variables.after = event.sequence
            waiting.push(event)
            timer ??= setTimeout(flush, TOGETHER_MS)
          },
          // What is refused for good is told by the queries of the page, which ask for the same things.
          error: (error) => {
            if (!isFinal(error)) {
              takeUp()
            }
          },
          complete: () => takeUp(),
        },
      )
    }
    const takeUp = () => {
      if (!ended) {
        again = setTimeout(() => {
          opened()
          begin()
        }, wait)
        wait = Math.min(wait * 2, AGAIN_MS_MAX)
      }
    }
    begin()
    return () => {
      ended = true
      clearTimeout(again)
      stopListening()
      unsubscribe()
      if (timer !== null) {
        clearTimeout(timer)
      }
    }
  }, [socket, operation, key, field])
}

/** Whether an end of a stream, a list of errors or a closed socket, is one that stays. */
function isFinal(error: unknown): boolean {
  return (
    Array.isArray(error) &&
    error.some((each: { readonly extensions?: { readonly code?: string } }) =>
      finalCodes.has(each.extensions?.code ?? ''),
    )
  )
}
