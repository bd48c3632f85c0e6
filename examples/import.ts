/**
 * Imports a file, watches it live to the end and reads its issues. Runs on Node 24 as it is:
 *
 *   export PORTAGE_TOKEN=...                      # a sign-in token; `npm start` prints one
 *   node examples/import.ts examples/contacts.csv CONTACT
 *
 * Exit codes: 0 completed, 2 completed with errors, 1 anything else.
 */
import { randomUUID } from 'node:crypto'
import { openAsBlob } from 'node:fs'
import { basename } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'graphql-ws'

const [path = 'examples/contacts.csv', recordType = 'CONTACT'] = process.argv.slice(2)
const url = `${process.env.PORTAGE_URL ?? 'http://127.0.0.1:4000'}/graphql`
const authorization = `Bearer ${process.env.PORTAGE_TOKEN ?? ''}`

interface Answer<T> {
  readonly data?: T
  readonly errors?: readonly { readonly message: string }[]
}

/** Data of an answer; throws what is wrong with the operation or the sign-in. */
function dataOf<T>({ data, errors }: Answer<T>): T {
  if (data === undefined || data === null || errors !== undefined) {
    throw new Error(errors?.map(({ message }) => message).join('\n') ?? 'the server answered nothing')
  }
  return data
}

async function ask<T>(query: string, variables: object): Promise<T> {
  const headers = { authorization, 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  return dataOf((await response.json()) as Answer<T>)
}

/** Uploads the file and starts the import in one request: the GraphQL multipart request specification. */
async function start(): Promise<string> {
  const query = `mutation ($input: ImportCreateInput!) {
    importCreate(input: $input) { importRun { id } userErrors { code message } } }`
  // Keep the key if you may have to send the request again: the same key with the same input never imports twice.
  const input = { file: null, recordType, confirmation: 'ALWAYS', idempotencyKey: randomUUID() }
  const form = new FormData()
  form.set('operations', JSON.stringify({ query, variables: { input } }))
  form.set('map', JSON.stringify({ 0: ['variables.input.file'] }))
  // Good for some hundred megabytes: fetch holds the file in memory while it sends.
  form.set('0', await openAsBlob(path), basename(path))
  // The second header tells that this is no form of somebody else's web page.
  const headers = { authorization, 'apollo-require-preflight': 'true' }
  const response = await fetch(url, { method: 'POST', headers, body: form })
  interface Created {
    readonly importCreate: {
      readonly importRun: { readonly id: string } | null
      readonly userErrors: readonly { readonly message: string }[]
    }
  }
  const { importRun, userErrors } = dataOf((await response.json()) as Answer<Created>).importCreate
  if (importRun === null) {
    throw new Error(`The import was refused: ${userErrors.map(({ message }) => message).join(' ')}`)
  }
  return importRun.id
}

type Event = { readonly sequence: string } & (
  | { readonly __typename: 'RunStatusChanged'; readonly to: string }
  | { readonly __typename: 'RunProgressed'; readonly progress: { readonly fraction: number | null } }
  | {
      readonly __typename: 'RowsSettled'
      readonly fromRow: number
      readonly toRow: number
      readonly issueCount: number
    }
  | { readonly __typename: 'StreamGap' }
)

const ended = ['COMPLETED', 'COMPLETED_WITH_ERRORS', 'FAILED', 'CANCELED', 'EXPIRED', 'AWAITING_MAPPING']

/** Shows what happens to the run as it happens and answers the status that it ends with. */
async function watch(runId: string): Promise<string> {
  const query = `subscription ($runId: ID!, $after: String) { runEvents(runId: $runId, after: $after) {
    __typename sequence
    ... on RunStatusChanged { to }
    ... on RunProgressed { progress { fraction } }
    ... on RowsSettled { fromRow toRow issueCount }
  } }`
  // The client's own retries would start from the beginning again; we go on behind the last event that we saw.
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    connectionParams: { authorization },
    retryAttempts: 0,
  })
  let after: string | null = null
  try {
    for (;;) {
      try {
        const answers: AsyncIterable<unknown> = client.iterate({ query, variables: { runId, after } })
        for await (const answer of answers) {
          const { runEvents: event } = dataOf(answer as Answer<{ runEvents: Event }>)
          after = event.sequence
          show(event)
          if (event.__typename === 'RunStatusChanged' && ended.includes(event.to)) {
            return event.to
          }
        }
      } catch (error) {
        // A list of errors is a refusal and stays one; anything else is a lost connection.
        if (Array.isArray(error) || (error as { code?: number }).code === 4403) {
          throw new Error(`The subscription was refused: ${JSON.stringify(error)}`)
        }
      }
      console.log('The connection is lost; going on behind the last event')
      await pause(1000)
    }
  } finally {
    await client.dispose()
  }
}

function show(event: Event): void {
  switch (event.__typename) {
    case 'RunStatusChanged':
      console.log(`Status: ${event.to}`)
      break
    case 'RunProgressed':
      console.log(`Progress: ${event.progress.fraction === null ? '?' : Math.round(event.progress.fraction * 100)}%`)
      break
    case 'RowsSettled':
      console.log(`Rows ${event.fromRow} to ${event.toRow} are settled, with ${event.issueCount} issues`)
      break
    case 'StreamGap':
      console.log('Some events are too old to be had; what is true now is in the run itself')
      break
    default:
      event satisfies never
  }
}

interface Issues {
  readonly importRun: {
    readonly counts: Record<string, number>
    readonly issues: {
      readonly totalCount: number
      readonly nodes: readonly {
        rowNumber: number
        column: string | null
        code: string
        value: string | null
        message: string
      }[]
      readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
    }
    readonly files: readonly { readonly kind: string; readonly url: string }[]
  }
}

/** Prints counts and all issues, page by page, and where the failed rows are. */
async function report(runId: string): Promise<void> {
  const query = `query ($runId: ID!, $after: String) { importRun(id: $runId) {
    counts { total created updated unchanged skipped failed }
    issues(first: 100, after: $after) {
      totalCount nodes { rowNumber column code value message } pageInfo { hasNextPage endCursor }
    }
    files { kind url }
  } }`
  let after: string | null = null
  for (;;) {
    const { importRun }: Issues = await ask<Issues>(query, { runId, after })
    if (after === null) {
      console.log('Counts:', JSON.stringify(importRun.counts))
      console.log(`${importRun.issues.totalCount} issues`)
    }
    for (const { rowNumber, column, code, value, message } of importRun.issues.nodes) {
      console.log(`  row ${rowNumber}, column ${column ?? '-'}: ${message} (${code}) ${JSON.stringify(value)}`)
    }
    if (!importRun.issues.pageInfo.hasNextPage) {
      const failed = importRun.files.find(({ kind }) => kind === 'FAILED_ROWS')
      if (failed !== undefined) {
        console.log(`Failed rows, to be corrected and imported again: ${failed.url}`)
      }
      return
    }
    after = importRun.issues.pageInfo.endCursor
  }
}

const runId = await start()
console.log(`Started ${runId}`)
const status = await watch(runId)
await report(runId)
process.exitCode = status === 'COMPLETED' ? 0 : status === 'COMPLETED_WITH_ERRORS' ? 2 : 1
