/** Turns of the event loop, for who has much to do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownTurn } from '../../../src/adapters/files/turns.js'

test('of all who ask one goes on in each turn of the event loop, in the order of their asking', async () => {
  let loops = 0
  let counting = true
  const count = (): void => {
    loops += 1
    if (counting) {
      setImmediate(count)
    }
  }
  setImmediate(count)
  const went: [name: string, loop: number][] = []
  const work = async (name: string, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      await ownTurn()
      went.push([name, loops])
    }
  }
  await Promise.all([work('a', 3), work('b', 3), work('c', 1)])
  counting = false
  assert.deepEqual(
    went.map(([name]) => name),
    ['a', 'b', 'c', 'a', 'b', 'a', 'b'],
  )
  assert.equal(new Set(went.map(([, loop]) => loop)).size, went.length, 'each in a loop of its own')
})
