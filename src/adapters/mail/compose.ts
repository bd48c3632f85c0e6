/**
 * The words of e-mails. Facts and a link: what kind of run, how many rows, who started it. No value of a field, no name of a file
 * (people put names of people into those), no message of an error, which may quote a cell. Pure.
 */

/** Rows of a run, by what became of them; a kind of run has those that mean something for it. */
export type Counts = Readonly<Record<string, number | null>>

export interface RunFacts {
  /** As the API shows it. */
  readonly runId: string
  readonly kind: string
  readonly status: string
  /** Code of the status reason; null: there is none. */
  readonly reason: string | null
  readonly recordType: string | null
  readonly createdBy: string
  readonly counts: Counts
}

export type MailFacts =
  | ({ readonly event: 'RUN_COMPLETED' | 'RUN_FAILED' | 'RUN_ACTION_NEEDED' } & RunFacts)
  | { readonly event: 'INTEGRATION_ACTION_NEEDED'; readonly systemName: string }
  | { readonly event: 'WEBHOOK_DISABLED'; readonly host: string }
  | {
      readonly event: 'QUOTA_WARNING'
      readonly quota: string
      readonly used: number
      readonly limit: number
      readonly unit: string
      readonly resetsAt: string | null
    }

export interface MailContext {
  readonly tenantName: string
  /** Where people look at Portage, without a trailing slash. */
  readonly publicUrl: string
  readonly at: Date
}

export interface Composed {
  readonly subject: string
  readonly text: string
  readonly html: string
}

interface Words {
  readonly title: string
  readonly sentence: string
  readonly facts: readonly (readonly [label: string, value: string])[]
  readonly link: { readonly label: string; readonly path: string }
}

const kinds: Readonly<Record<string, string>> = {
  IMPORT: 'Import',
  ROLLBACK: 'Rollback',
  EXPORT: 'Export',
  BUNDLE_EXPORT: 'Export of a bundle',
  BUNDLE_IMPORT: 'Import of a bundle',
  MIGRATION: 'Migration',
}

const plurals: Readonly<Record<string, string>> = {
  contact: 'contacts',
  lead: 'leads',
  property: 'properties',
  activity: 'activities',
}

/** In the order in which they are told; those that are 0 are left out, the total is not. */
const outcomes: readonly (readonly [name: string, label: string])[] = [
  ['created', 'Created'],
  ['updated', 'Updated'],
  ['deleted', 'Deleted'],
  ['unchanged', 'Unchanged'],
  ['skipped', 'Skipped'],
  ['reverted', 'Reverted'],
  ['kept', 'Kept as they are'],
  ['failed', 'Failed'],
  ['unprocessed', 'Not come to'],
]

/** Subject, text and HTML of one e-mail. Whatever comes from outside is cut, put on one line, and escaped in the HTML. */
export function composeMail(facts: MailFacts, { tenantName, publicUrl, at }: MailContext): Composed {
  const { title, sentence, facts: rows, link } = wordsOf(facts)
  const all: (readonly [string, string])[] = [
    ['Workspace', oneLine(tenantName)],
    ...rows.map(([label, value]) => [label, oneLine(value)] as const),
    ['Time', `${at.toISOString().slice(0, 19).replace('T', ' ')} UTC`],
  ]
  const url = `${publicUrl}${link.path}`
  const reason =
    'You get this because you started it or look after it. Which e-mails you get can be changed under notification preferences.'
  return {
    subject: `${title} – ${oneLine(tenantName)}`,
    text: [
      sentence,
      '',
      ...all.map(([label, value]) => `${label}: ${value}`),
      '',
      `${link.label}: ${url}`,
      '',
      '--',
      reason,
      '',
    ].join('\n'),
    html: [
      '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>',
      escaped(title),
      '</title></head><body style="font-family:system-ui,sans-serif;color:#1a1a1a">',
      `<h1 style="font-size:1.2em">${escaped(title)}</h1><p>${escaped(sentence)}</p><table>`,
      ...all.map(
        ([label, value]) =>
          `<tr><th scope="row" style="text-align:left;padding-right:1.5em;font-weight:normal;color:#555">${escaped(label)}</th><td>${escaped(value)}</td></tr>`,
      ),
      `</table><p><a href="${escaped(url)}">${escaped(link.label)}</a></p>`,
      `<p style="color:#555;font-size:.85em">${escaped(reason)}</p></body></html>`,
    ].join(''),
  }
}

function wordsOf(facts: MailFacts): Words {
  switch (facts.event) {
    case 'RUN_COMPLETED':
    case 'RUN_FAILED':
    case 'RUN_ACTION_NEEDED':
      return runWords(facts)
    case 'INTEGRATION_ACTION_NEEDED':
      return {
        title: `${facts.systemName} needs a new sign-in`,
        sentence: `${facts.systemName} does not take the sign-in any more. Until somebody signs in again nothing is read from it.`,
        facts: [['Connection', facts.systemName]],
        link: { label: 'Sign in again', path: '/console/integrations' },
      }
    case 'WEBHOOK_DISABLED':
      return {
        title: 'A webhook was disabled',
        sentence: 'Nothing has arrived at it for days, so nothing more is sent. Saving the webhook again enables it.',
        facts: [['Receiver', facts.host]],
        link: { label: 'Look at webhooks', path: '/console/settings' },
      }
    case 'QUOTA_WARNING':
      return {
        title: `A quota is nearly used up: ${oneLine(facts.quota)}`,
        sentence: `Of ${facts.limit} ${facts.unit}, ${facts.used} are used.`,
        facts: [
          ['Quota', facts.quota],
          ['Used', `${facts.used} of ${facts.limit} ${facts.unit}`],
          ['Resets', facts.resetsAt ?? 'not by itself'],
        ],
        link: { label: 'Look at quotas', path: '/console/settings' },
      }
    default:
      return facts satisfies never
  }
}

function runWords(facts: RunFacts & { readonly event: 'RUN_COMPLETED' | 'RUN_FAILED' | 'RUN_ACTION_NEEDED' }): Words {
  const { kind, status, recordType, counts } = facts
  const name = kinds[kind] ?? 'Run'
  const plural = recordType === null ? undefined : plurals[recordType]
  const what = plural === undefined ? name : `${name} of ${plural}`
  const failed = counts.failed ?? 0
  const [title, sentence] = verdict(facts.event, status, what, failed)
  return {
    title,
    sentence,
    facts: [
      ['Run', facts.runId],
      ['Status', status],
      ...(facts.reason === null ? [] : [['Reason', facts.reason] as const]),
      ...(counts.total == null ? [] : [['Rows', String(counts.total)] as const]),
      ...outcomes.flatMap(([key, label]) => ((counts[key] ?? 0) > 0 ? [[label, String(counts[key])] as const] : [])),
      ['Started by', facts.createdBy],
    ],
    link: {
      label: failed > 0 ? 'Look at the run and its failed rows' : 'Look at the run',
      path: `/console/runs/${encodeURIComponent(facts.runId)}`,
    },
  }
}

function verdict(event: string, status: string, what: string, failed: number): readonly [string, string] {
  if (event === 'RUN_FAILED') {
    return [`${what} failed`, 'The run has stopped for good. What it had written before stays and can be rolled back.']
  }
  if (event === 'RUN_COMPLETED') {
    return failed > 0
      ? [
          `${what} completed with ${failed} failed rows`,
          'All other rows are there. Failed rows can be corrected and tried again.',
        ]
      : [`${what} completed`, 'Everything was done.']
  }
  return status === 'AWAITING_MAPPING'
    ? [`${what} needs a mapping`, 'Somebody has to say which column is which field before it goes on.']
    : [
        `${what} waits for a confirmation`,
        'The plan is ready. Somebody has to look at it and confirm it before anything is written.',
      ]
}

function oneLine(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}

function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;')
}
