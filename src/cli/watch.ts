/** Watching a run to its end, and telling how it went. */
import { type Api, ApiError } from './api.js'
import { follow } from './follow.js'
import { clean, type Io } from './io.js'
import { progressLine, report, words } from './report.js'
import {
  ended,
  eventsQuery,
  exitCode,
  type RunEvent,
  type RunReport,
  readReport,
  readStatus,
  undecided,
} from './runs.js'

/**
 * Shows a run live until it has ended or waits for a person, then its report. Answers the exit code. With `json` every
 * event is a line, and the report the last one. `seen`: the last event that was shown before; null for none. Throws ApiError
 * NOT_FOUND for an id that is no run's.
 */
export async function watchRun(
  api: Api,
  runId: string,
  io: Io,
  json: boolean,
  seen: string | null = null,
): Promise<number> {
  await followToRest(api, runId, io, json, seen)
  const run = await readReport(api, runId)
  if (run === null) {
    throw new ApiError('NOT_FOUND', `The run "${clean(runId)}" is gone.`)
  }
  tell(run, io, json)
  return exitCode(run.status)
}

/** A run at its end, as text or as a line of JSON. */
export function tell(run: RunReport, io: Io, json: boolean): void {
  if (json) {
    io.out(JSON.stringify({ event: 'report', run }))
  } else {
    report(run).forEach((line) => io.out(line))
  }
}

/**
 * The same without the report. Answers the sequence of the last event that was shown; null for none.
 */
export async function followToRest(
  api: Api,
  runId: string,
  io: Io,
  json: boolean,
  seen: string | null = null,
): Promise<string | null> {
  const status = await readStatus(api, runId)
  if (status === null) {
    throw new ApiError('NOT_FOUND', `There is no run with the id "${clean(runId)}".`)
  }
  return atRest(status) ? seen : followRun(api, runId, io, json, seen)
}

async function followRun(api: Api, runId: string, io: Io, json: boolean, seen: string | null): Promise<string | null> {
  let lost = false
  let last = seen
  const events = follow<RunEvent>({
    api,
    query: eventsQuery,
    variables: (after) => ({ runId, after: after ?? seen }),
    event: (data) => (data as { runEvents: RunEvent }).runEvents,
    signal: io.signal,
    onConnection: (state) => {
      if (state === 'lost' && !lost) {
        io.note('The connection is lost; trying again. The run goes on meanwhile.')
      }
      lost = state === 'lost'
    },
  })
  try {
    for await (const event of events) {
      last = event.sequence
      if (json) {
        const { __typename, ...rest } = event
        io.out(JSON.stringify({ event: __typename, ...rest }))
      } else {
        show(event, io)
      }
      if (mayEnd(event)) {
        // Looked up, because the events of a run that is being undone tell of its first end too.
        const status = await readStatus(api, runId)
        if (status === null || atRest(status)) {
          break
        }
      }
    }
  } finally {
    io.status('')
  }
  return last
}

/** Nothing more happens by itself. */
function atRest(status: string): boolean {
  return ended.has(status) || undecided.has(status)
}

// What a gap swallowed may have been the end.
function mayEnd(event: RunEvent): boolean {
  return event.__typename === 'StreamGap' || (event.__typename === 'RunStatusChanged' && atRest(event.to))
}

function show(event: RunEvent, io: Io): void {
  if (event.__typename === 'RunProgressed') {
    io.status(progressLine(event.counts, event.progress, new Date()))
  } else if (event.__typename === 'RunStatusChanged' && !ended.has(event.to)) {
    const reason = event.reason === null ? '' : `: ${clean(event.reason.message)}`
    io.note(`${words(event.to)}${reason}`)
  }
}
