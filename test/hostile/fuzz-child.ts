/** Reads damaged files as the service reads them in its sandbox, but without the sandbox, one after the other. */
import '../../src/adapters/files/even-utf16.js'
import { convertedLines } from '../../src/adapters/files/convert.js'
import { fileTypeOf } from '../../src/adapters/files/file-type.js'
import { inspectHere } from '../../src/adapters/files/inspect.js'
import { noSourceOptions } from '../../src/adapters/files/sniff.js'
import { heldBytes } from '../../src/adapters/files/stream-bytes.js'
import { Refusal } from '../../src/errors.js'
import { Random } from '../helpers/random.js'
import type { FuzzAnswer, FuzzCase } from './fuzz.js'
import { mutated } from './mutate.js'
import { type FuzzFormat, type Sample, samplesOf } from './samples.js'

const valid = new Map<FuzzFormat, Sample[]>()

function prototypeState(): string {
  return [Object.prototype, Array.prototype, Function.prototype, String.prototype]
    .map((each) => Reflect.ownKeys(each).map(String).join())
    .join('|')
}

const untouched = prototypeState()

async function outcomeOf(name: string, bytes: Buffer): Promise<string> {
  const type = fileTypeOf(bytes)
  if (type.kind === 'refused') {
    return type.code
  }
  const open = heldBytes(bytes)
  const request = { name, byteSize: bytes.length, overrides: noSourceOptions }
  const signal = new AbortController().signal
  const detection = await inspectHere(open, request)
  let length = 0
  for await (const lines of convertedLines(open, detection, request, signal)) {
    length += lines.length
    for (const line of lines.split('\n', 3)) {
      if (line !== '' && !Array.isArray(JSON.parse(line))) {
        throw new Error('a line of the row file is no row')
      }
    }
  }
  return length === 0 ? 'no rows' : 'rows'
}

async function run({ seed, format }: FuzzCase): Promise<FuzzAnswer> {
  let samples = valid.get(format)
  if (samples === undefined) {
    samples = samplesOf(format)
    valid.set(format, samples)
  }
  const { name, bytes } = mutated(new Random(seed), samples)
  let outcome: string
  let crash: string | null = null
  try {
    outcome = await outcomeOf(name, bytes)
  } catch (error) {
    if (error instanceof Refusal) {
      outcome = error.code
    } else {
      outcome = 'crash'
      crash = error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
  }
  if (prototypeState() !== untouched) {
    outcome = 'prototype changed'
    crash = 'the prototype of all objects is no longer what it was'
  }
  return { seed, name, outcome, crash }
}

process.on('message', (cases: readonly FuzzCase[]) => {
  void (async () => {
    for (const each of cases) {
      process.send?.({ begins: each.seed })
      process.send?.(await run(each))
      // A promise that nobody waits for is told of before the next case begins.
      await new Promise((resolve) => setImmediate(resolve))
    }
    process.send?.({ done: true })
  })()
})
process.on('disconnect', () => process.exit())
