import { inspect } from 'node:util'

/**
 * A text that must not be seen: a token, a key, a client's secret. Printed, logged, put together with other text or made
 * JSON of it reads `[hidden]`; only who asks for it by name gets it.
 */
export class Hidden {
  readonly #text: string
  constructor(text: string) {
    this.#text = text
  }
  /** The text itself, for the one place that sends or seals it. */
  reveal(): string {
    return this.#text
  }
  toString(): string {
    return '[hidden]'
  }
  toJSON(): string {
    return '[hidden]'
  }
  [inspect.custom](): string {
    return '[hidden]'
  }
}
