import { randomFillSync } from 'node:crypto'

/** Random bytes are drawn for so many ids at once. */
const BATCH = 4096

/**
 * A source of UUIDs (version 7) that are in order within the process: the time in milliseconds, then a counter, then chance.
 * A record's id is made by the reader, so that a chunk needs no answer from the database to know it.
 */
export function newIds(): () => string {
  const random = Buffer.alloc(BATCH * 8)
  let used = BATCH
  let time = 0
  let counter = 0
  return () => {
    if (used === BATCH) {
      randomFillSync(random)
      used = 0
    }
    const now = Date.now()
    if (now > time) {
      time = now
      counter = 0
    } else if (counter === 0xfff) {
      // 4,096 ids in this millisecond: borrow the next one, as RFC 9562 section 6.2 allows.
      time += 1
      counter = 0
    } else {
      counter += 1
    }
    const stamp = time.toString(16).padStart(12, '0')
    const offset = used * 8
    used += 1
    const tail = random.toString('hex', offset, offset + 8)
    const variant = ((random[offset] ?? 0) & 0x3f) | 0x80
    return `${stamp.slice(0, 8)}-${stamp.slice(8)}-7${counter.toString(16).padStart(3, '0')}-${variant.toString(16)}${tail.slice(2, 4)}-${tail.slice(4)}`
  }
}
