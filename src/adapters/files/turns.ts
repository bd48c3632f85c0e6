/** Who has much to do in a process that answers others takes turns with them, and with each other. */

const waiting: (() => void)[] = []

/**
 * Resolves in a turn of the event loop of its own: of all who ask, however many, one goes on in each turn, in the order of their
 * asking. So four files that arrive at once hold up an answer by little more than one file does.
 */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve)
    if (waiting.length === 1) {
      setImmediate(next)
    }
  })
}

function next(): void {
  waiting.shift()?.()
  if (waiting.length > 0) {
    setImmediate(next)
  }
}
