/** Which scenarios, how large, in which order. */
import type { House, Server } from './house.js'
import {
  activityReference,
  contactAndActivityRuns,
  contactReference,
  freezes,
  type Result,
  repeatsReference,
  rollback,
  serverKills,
  twoContactRuns,
  workerKills,
} from './scenarios.js'
import { disconnects } from './subscriber.js'

export interface Plan {
  readonly rows: number
  readonly kills: number
  readonly serverKills: number
  readonly freezes: number
  readonly undoKills: number
  /** Edits by hand between an import and its rollback. */
  readonly edits: number
  /** Rows of each of the imports with relations, with repeats and side by side; 0: without them. */
  readonly otherRows: number
  readonly subscriberRows: number
  /** 0: without subscribers. */
  readonly disconnects: number
}

export const full: Plan = {
  rows: 200_000,
  kills: 100,
  serverKills: 10,
  freezes: 5,
  undoKills: 20,
  edits: 1000,
  otherRows: 200_000,
  subscriberRows: 100_000,
  disconnects: 200,
}

/** What every `npm test` can afford. */
export const quick: Plan = {
  rows: 20_000,
  kills: 5,
  serverKills: 1,
  freezes: 1,
  undoKills: 2,
  edits: 100,
  otherRows: 0,
  subscriberRows: 5000,
  disconnects: 10,
}

/** Runs the plan, one result after the other. The same seed gives the same files and the same choices. */
export async function* carryOut(house: House, server: Server, plan: Plan, seed: number): AsyncGenerator<Result, void> {
  const sizes = { rows: plan.rows, kills: plan.kills, seed }
  const contacts = await contactReference(house, sizes)
  const killed = await workerKills(house, contacts, sizes)
  yield killed
  yield await freezes(house, contacts, plan.freezes)
  yield await rollback(house, killed.disturbed, plan.undoKills, 0, seed)
  const crashed = await serverKills(house, server, contacts, plan.serverKills)
  yield crashed
  yield await rollback(house, crashed.disturbed, plan.undoKills, plan.edits, seed + 1)
  if (plan.disconnects > 0) {
    yield await disconnects(house, { rows: plan.subscriberRows, seed }, plan.disconnects)
  }
  if (plan.otherRows > 0) {
    const others = { ...sizes, rows: plan.otherRows }
    yield await workerKills(house, await repeatsReference(house, others), others)
    const activities = await activityReference(house, others)
    yield await workerKills(house, activities, others)
    yield await contactAndActivityRuns(house, contacts, activities, others)
    yield await twoContactRuns(house, others)
  }
}
