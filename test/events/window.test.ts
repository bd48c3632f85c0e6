import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromRow, type Gap, type LoggedEvent } from '../../src/events/event.js'
import { Window } from '../../src/events/window.js'
import { Random } from '../helpers/random.js'
import { type Draft, progress, settled, status } from './world.js'

const roomy = { events: 1000, bytes: 10_000_000, issues: 100 }

function logged(sequence: number, runId: string, draft: Draft): LoggedEvent {
  return fromRow({ sequence, run_id: runId, run_kind: 'IMPORT', at: new Date(sequence), ...draft })
}

function drain(window: Window): (LoggedEvent | Gap)[] {
  const events: (LoggedEvent | Gap)[] = []
  for (let event = window.take(); event !== null; event = window.take()) {
    events.push(event)
  }
  return events
}

function outline(events: readonly (LoggedEvent | Gap)[]): string[] {
  return events.map((event) => {
    switch (event.type) {
      case 'RowsSettled':
        return `${event.sequence} ${event.runId} rows ${event.body.fromRow}-${event.body.toRow}`
      case 'RunProgressed':
        return `${event.sequence} ${event.runId} read ${event.body.counts.read}`
      case 'RunStatusChanged':
        return `${event.sequence} ${event.runId} ${event.body.to}`
      case 'StreamGap':
        return `${event.sequence} gap from ${event.from}`
      default:
        return event satisfies never
    }
  })
}

function fold(log: readonly (readonly [string, Draft])[]): string[] {
  const window = new Window(roomy, true)
  for (const [index, [runId, draft]] of log.entries()) {
    window.add(logged(index + 1, runId, draft))
  }
  window.releaseAll()
  return outline(drain(window))
}

test('chunks of one run become one delivery of rows and one of progress', () => {
  const log: [string, Draft][] = [
    ['a', settled(2, 11)],
    ['a', progress(10)],
    ['a', settled(12, 21)],
    ['a', progress(20)],
    ['a', settled(22, 31)],
    ['a', progress(30)],
  ]
  assert.deepEqual(fold(log), ['5 a rows 2-31', '6 a read 30'])
})

test('rows with a hole between them are not joined', () => {
  assert.deepEqual(
    fold([
      ['a', settled(2, 11)],
      ['a', settled(13, 20)],
    ]),
    ['1 a rows 2-11', '2 a rows 13-20'],
  )
})

test('rows that an undo settles backwards are joined in the order of the file', () => {
  assert.deepEqual(
    fold([
      ['a', settled(12, 21)],
      ['a', settled(2, 11)],
    ]),
    ['2 a rows 2-21'],
  )
})

test('rows of two runs that alternate stay apart, since no one sequence could resume both', () => {
  const log: [string, Draft][] = [
    ['a', settled(2, 3)],
    ['b', settled(2, 3)],
    ['a', settled(4, 5)],
    ['b', settled(4, 5)],
  ]
  assert.deepEqual(fold(log), ['1 a rows 2-3', '2 b rows 2-3', '3 a rows 4-5', '4 b rows 4-5'])
})

test('nothing is folded across a change of status', () => {
  const log: [string, Draft][] = [
    ['a', settled(2, 3)],
    ['a', progress(2)],
    ['b', status('QUEUED', 'RUNNING')],
    ['a', settled(4, 5)],
    ['a', progress(4)],
  ]
  assert.deepEqual(fold(log), ['1 a rows 2-3', '2 a read 2', '3 b RUNNING', '4 a rows 4-5', '5 a read 4'])
})

test('joined rows add their counts, list the first hundred issues and count them all', () => {
  const window = new Window(roomy, true)
  window.add(logged(1, 'a', settled(2, 101, 70)))
  window.add(logged(2, 'a', settled(102, 201, 60)))
  window.releaseAll()
  const [event] = drain(window)
  assert.ok(event?.type === 'RowsSettled')
  assert.equal(event.body.counts.read, 200)
  assert.equal(event.body.counts.kept, 0)
  assert.equal(event.body.counts.failed, 130)
  assert.equal(event.body.issueCount, 130)
  assert.deepEqual(
    event.body.issues.map((issue) => issue.rowNumber),
    [...Array.from({ length: 70 }, (_, index) => 2 + index), ...Array.from({ length: 30 }, (_, index) => 102 + index)],
  )
})

test('a list of issues that was cut is not continued behind the cut', () => {
  const window = new Window(roomy, true)
  window.add(logged(1, 'a', settled(2, 301, 150)))
  window.add(logged(2, 'a', settled(302, 401, 60)))
  window.releaseAll()
  const [event] = drain(window)
  assert.ok(event?.type === 'RowsSettled')
  assert.equal(event.body.issues.at(-1)?.rowNumber, 101)
  assert.equal(event.body.issueCount, 210)
})

test('a status is let out at once and takes along what was before it', () => {
  const window = new Window(roomy, true)
  window.add(logged(1, 'a', progress(1)))
  window.releaseUrgent()
  assert.equal(window.ready, false)
  window.add(logged(2, 'b', status('QUEUED', 'RUNNING')))
  window.add(logged(3, 'a', progress(2)))
  window.releaseUrgent()
  assert.deepEqual(outline(drain(window)), ['1 a read 1', '2 b RUNNING'])
  assert.equal(window.empty, false)
})

test('without folding every event comes as it was written', () => {
  const window = new Window(roomy, false)
  window.add(logged(1, 'a', settled(2, 3)))
  window.add(logged(2, 'a', progress(2)))
  window.add(logged(3, 'a', settled(4, 5)))
  window.add(logged(4, 'a', progress(4)))
  window.releaseAll()
  assert.deepEqual(outline(drain(window)), ['1 a rows 2-3', '2 a read 2', '3 a rows 4-5', '4 a read 4'])
})

test('a full window says so by number and by size', () => {
  const few = new Window({ ...roomy, events: 1 }, true)
  few.add(logged(1, 'a', settled(2, 3)))
  assert.equal(few.full, true)
  const small = new Window({ ...roomy, bytes: 2000 }, true)
  small.add(logged(1, 'a', settled(2, 3)))
  assert.equal(small.full, false)
  small.add(logged(2, 'a', settled(4, 50, 40, 500)))
  assert.equal(small.full, true)
  small.releaseAll()
  drain(small)
  assert.equal(small.bytes, 0)
})

/** Chunks of several runs in turn, statuses now and then. */
function randomLog(next: () => number): LoggedEvent[] {
  const runs = ['a', 'b', 'c'].map((id) => ({ id, row: 2 }))
  const log: LoggedEvent[] = []
  const add = (runId: string, draft: Draft) => log.push(logged(log.length + 1, runId, draft))
  while (log.length < 120) {
    // Long stretches of one run and rapid change between runs both occur.
    const run = runs[next() < 0.7 ? 0 : Math.floor(next() * runs.length)] ?? { id: 'a', row: 2 }
    if (next() < 0.08) {
      add(run.id, status('QUEUED', 'RUNNING'))
      continue
    }
    const rows = 1 + Math.floor(next() * 5)
    add(run.id, settled(run.row, run.row + rows - 1, Math.floor(next() * rows)))
    run.row += rows + (next() < 0.1 ? 1 : 0)
    add(run.id, progress(run.row))
  }
  return log
}

function rowsOf(events: readonly (LoggedEvent | Gap)[]): string[] {
  const rows: string[] = []
  for (const event of events) {
    if (event.type === 'RowsSettled') {
      for (let row = event.body.fromRow; row <= event.body.toRow; row += 1) {
        rows.push(`${event.runId}${row}`)
      }
    }
  }
  return rows
}

test('whoever leaves after any delivered event and resumes there misses and repeats nothing (2,000 seeds)', () => {
  for (let seed = 1; seed <= 2000; seed += 1) {
    const random = new Random(seed)
    const next = () => random.next()
    const log = randomLog(next)
    const bounds = { events: 1 + Math.floor(next() * 30), bytes: next() < 0.3 ? 4000 : 1_000_000, issues: 100 }
    const seen: (LoggedEvent | Gap)[] = []
    let position = 0
    while (position < log.length) {
      const window = new Window(bounds, next() < 0.9)
      let fed = position
      for (let connected = true; connected; ) {
        for (let batch = Math.floor(next() * 20); batch > 0 && fed < log.length && !window.full; batch -= 1) {
          window.add(log[fed] as LoggedEvent)
          fed += 1
        }
        if (window.full || next() < 0.3 || fed === log.length) {
          window.releaseAll()
        } else {
          window.releaseUrgent()
        }
        for (let event = window.take(); event !== null; event = window.take()) {
          assert.ok(event.sequence > position, `seed ${seed}: sequence ${event.sequence} after ${position}`)
          position = event.sequence
          seen.push(event)
          // Here is the promise: what was delivered so far is exactly what the log holds up to this sequence.
          const written = log.slice(0, position)
          assert.deepEqual(rowsOf(seen).toSorted(), rowsOf(written).toSorted(), `seed ${seed}: rows up to ${position}`)
          const statuses = written.filter((each) => each.type === 'RunStatusChanged').map((each) => each.sequence)
          const statusesSeen = seen.filter((each) => each.type === 'RunStatusChanged').map((each) => each.sequence)
          assert.deepEqual(statusesSeen, statuses, `seed ${seed}: statuses up to ${position}`)
          if (next() < 0.1) {
            connected = false
            break
          }
        }
        connected &&= fed < log.length || !window.empty
      }
    }
    for (const runId of ['a', 'b', 'c']) {
      const last = log.findLast((event) => event.runId === runId && event.type === 'RunProgressed')?.sequence
      const lastSeen = seen.findLast((event) => event.type === 'RunProgressed' && event.runId === runId)?.sequence
      assert.equal(lastSeen, last, `seed ${seed}: newest progress of ${runId}`)
    }
    const issues = (events: readonly (LoggedEvent | Gap)[]) =>
      events.reduce((sum, event) => sum + (event.type === 'RowsSettled' ? event.body.issueCount : 0), 0)
    assert.equal(issues(seen), issues(log), `seed ${seed}: issues`)
  }
})
