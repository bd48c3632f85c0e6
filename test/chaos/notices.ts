/** Kills of the worker around the ends of runs: each run is told by one e-mail and by one delivery of a webhook, whenever it died. */
import { setTimeout as pause } from 'node:timers/promises'
import { loadConfig } from '../../src/config.js'
import { Lane } from '../../src/db/lane.js'
import { withTenant } from '../../src/db/tx.js'
import { encodeId } from '../../src/ids.js'
import { laneOptions } from '../../src/jobs/context.js'
import { saveWebhook } from '../../src/runs/webhooks.js'
import { newContacts } from '../helpers/files.js'
import { Random } from '../helpers/random.js'
import { HookSink, MailSink } from '../helpers/sinks.js'
import type { House } from './house.js'
import type { Result } from './scenarios.js'

/** Rows of each run: a chunk or two. */
const ROWS = 400

/** When the worker is killed: while the last rows are written, within a second behind the end, or in the middle of telling. */
const moments = ['end', 'behind', 'mail', 'hook'] as const

const READER = 'reader@example.com'

/** So many runs, the worker killed once around the end of each. */
export async function noticeKills(house: House, kills: number, seed: number): Promise<Result> {
  const random = new Random(seed)
  const mail = await MailSink.start()
  const hooks = await HookSink.start()
  const faults: string[] = []
  const killed: Record<(typeof moments)[number], number> = { end: 0, behind: 0, mail: 0, hook: 0 }
  let twice = 0
  let retries = 0
  const started = performance.now()
  try {
    const settings = {
      ...mail.settings,
      PORTAGE_WEBHOOK_ORIGINS: hooks.origin,
      PORTAGE_CHUNK_ROWS: '200',
    }
    await house.hire(settings)
    const tenantId = await house.tenant('told')
    await subscribe(house, tenantId, settings, hooks.origin)
    for (let round = 0; round < kills; round++) {
      const moment = moments[round % moments.length] ?? 'end'
      const mails = mail.mails.all.length
      const hooked = hooks.hooks.all.length
      const runId = await house.startImport(tenantId, 'contact', newContacts(seed + round, ROWS), {}, READER)
      if (moment === 'end') {
        await house.reached(tenantId, runId, ROWS / 2)
        await pause(random.below(60))
      } else {
        await house.ended(tenantId, runId)
        if (moment === 'behind') {
          await pause(random.below(1000))
        } else {
          // At the very moment at which the receiver has it and the worker does not know yet.
          await (moment === 'mail'
            ? mail.mails.until((all) => all.length > mails)
            : hooks.hooks.until((all) => all.length > hooked))
        }
      }
      const active = await house.crew.active()
      house.crew.kill(active)
      killed[moment] += 1
      await active.exited
      await house.ended(tenantId, runId)
      await house.until(`run ${runId} has been told`, async () =>
        (await waiting(house, tenantId)) === 0 ? true : null,
      )
      await house.crew.complete()

      const shown = encodeId('run', runId)
      const letters = mail.mails.all.filter(({ text }) => text.includes(shown))
      const deliveries = hooks.hooks.all.filter(({ body }) => body.includes(shown))
      const ids = new Set(deliveries.map(({ headers }) => headers['webhook-id']))
      if (new Set(letters.map(({ messageId }) => messageId)).size !== 1 || ids.size !== 1) {
        faults.push(`${moment}: ${letters.length} e-mails, ${ids.size} deliveries tell of ${runId}`)
      }
      if (letters.length > 1 && moment !== 'mail') {
        faults.push(`${moment}: an e-mail was handed over ${letters.length} times although nothing could be uncertain`)
      }
      twice += letters.length - 1
      retries += deliveries.length - ids.size
    }
    const facts = await house.one<{ n: number }>(
      "select count(*)::int as n from outbox where tenant_id = $1 and event = 'RUN_COMPLETED'",
      [tenantId],
    )
    if (facts.n !== kills) {
      faults.push(`${facts.n} facts of ${kills} runs`)
    }
  } finally {
    await house.dismiss()
    await mail.close()
    await hooks.close()
  }
  return {
    name: 'kill -9 around the ends of runs that are told [CS-11]',
    faults,
    figures: {
      ...killed,
      'e-mails handed over twice with one Message-ID': twice,
      'deliveries repeated with one id': retries,
      seconds: Math.round((performance.now() - started) / 1000),
    },
  }
}

async function subscribe(
  house: House,
  tenantId: string,
  settings: Readonly<Record<string, string>>,
  origin: string,
): Promise<void> {
  const config = loadConfig({
    ...settings,
    PORTAGE_ROLE: 'worker',
    PORTAGE_DATA_DIR: house.dataDir,
    DATABASE_URL: house.db.workerUrl,
  })
  const lane = await Lane.open(laneOptions(house.db.apiUrl, 'chaos'))
  try {
    await withTenant(lane, tenantId, (tx) =>
      saveWebhook(tx, config, {
        id: null,
        url: `${origin}/hook`,
        events: ['RUN_COMPLETED'],
        rotateSecret: false,
        actor: READER,
      }),
    )
  } finally {
    await lane.close()
  }
}

/** What is still to be told to anybody. */
async function waiting(house: House, tenantId: string): Promise<number> {
  const { n } = await house.one<{ n: number }>(
    `select ((select count(*) from outbox where tenant_id = $1 and spread_at is null)
       + (select count(*) from mail where tenant_id = $1 and next_attempt_at is not null)
       + (select count(*) from webhook_delivery where tenant_id = $1 and next_attempt_at is not null))::int as n`,
    [tenantId],
  )
  return n
}
