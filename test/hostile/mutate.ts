/** Damages files, the same way for the same seed. */
import { gzipSync } from 'node:zlib'
import type { Random } from '../helpers/random.js'
import { type ZipPart, zipOf } from '../helpers/zip-file.js'
import type { Sample } from './samples.js'

/** What readers trip over: ends, quotes, numbers at their edges, names of the prototype, tags without an end. */
const tokens: readonly Buffer[] = [
  ...[
    '"',
    "'",
    '""',
    ',',
    ';',
    '\t',
    '\r',
    '\n',
    '\r\n',
    '\0',
    '\\',
    '\ufeff',
    '{',
    '}',
    '[',
    ']',
    ':',
    'null',
    'true',
    '-',
    '1e999',
    '-0',
    '99999999999999999999',
    '4294967296',
    '2147483647',
    '0',
    '\\u0000',
    '\\ud800',
    '__proto__',
    '"__proto__":{"polluted":1},',
    'constructor',
    'prototype',
    'hasOwnProperty',
    'toString',
    '<',
    '>',
    '</',
    '/>',
    '<!--',
    ']]>',
    '<![CDATA[',
    '<!DOCTYPE x [<!ENTITY a "b">]>',
    '&a;',
    '&#0;',
    '&#x110000;',
    '&#xD800;',
    '&amp;',
    'r="XFD1048576"',
    'r="A0"',
    't="s"',
    's="99999"',
    '<row>',
    '</row>',
    '<c r="ZZZ1">',
    '<v>',
    '<f>',
    '<t>',
    '<row r="1048577">',
    'xmlns=""',
    'sep=',
    'PK\u0003\u0004',
    '../../etc/passwd',
    'table:number-columns-repeated="99999999"',
    'table:number-rows-repeated="99999999"',
    'ss:Index="99999999"',
    'colspan="99999999"',
    'rowspan="0"',
    '['.repeat(200),
    '{"a":'.repeat(200),
    '"'.repeat(99),
    ','.repeat(5_000),
  ].map((text) => Buffer.from(text)),
  ...[[0xff], [0xfe, 0xff], [0x80], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x1f, 0x8b, 8, 0]].map(
    (bytes) => Buffer.from(bytes),
  ),
  Buffer.alloc(4, 0xff),
  Buffer.alloc(64),
]

function one(random: Random, bytes: Buffer, other: Buffer): Buffer {
  const size = bytes.length
  const at = random.below(size + 1)
  const length = Math.min(
    size - at,
    random.chance(0.7) ? 1 + random.below(8) : 1 + random.below(Math.max(1, size >> 1)),
  )
  switch (random.below(9)) {
    case 0: {
      const flipped = Buffer.from(bytes)
      if (at < size) {
        flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8))
      }
      return flipped
    }
    case 1:
      return bytes.subarray(0, at)
    case 2:
      return Buffer.concat([bytes.subarray(0, at + length), bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)])
    case 4: {
      const to = Math.min(size, at + length + random.below(64))
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(at + length, to),
        bytes.subarray(at, at + length),
        bytes.subarray(Math.max(to, at + length)),
      ])
    }
    case 5:
    case 6:
      return Buffer.concat([bytes.subarray(0, at), random.pick(tokens), bytes.subarray(at)])
    case 7: {
      const written = Buffer.from(bytes)
      random.pick(tokens).copy(written, at)
      return written
    }
    default: {
      const from = random.below(other.length + 1)
      return Buffer.concat([bytes.subarray(0, at), other.subarray(from)])
    }
  }
}

function several(random: Random, bytes: Buffer, other: Buffer): Buffer {
  let made = bytes
  for (let left = random.chance(0.5) ? 1 : 1 + random.below(6); left > 0; left -= 1) {
    made = one(random, made, other)
  }
  return made
}

/** A damaged file made of a valid one, or of two. */
export function mutated(random: Random, samples: readonly Sample[]): { readonly name: string; readonly bytes: Buffer } {
  const { name, bytes, parts, packed } = random.pick(samples)
  const other = random.pick(samples)
  const otherBytes = other.bytes ?? zipOf(other.parts ?? [])
  if (bytes !== undefined) {
    const damaged = several(random, bytes, otherBytes)
    return { name, bytes: packed === 'GZIP' ? gzipSync(damaged) : damaged }
  }
  const kept = (parts ?? []).filter(() => !random.chance(0.02))
  const chosen = random.below(Math.max(1, kept.length))
  const damaged = kept.map((part, index): ZipPart => {
    if (index !== chosen && !random.chance(0.1)) {
      return part
    }
    const data = Buffer.from(part.data)
    return { ...part, data: several(random, data, Buffer.from(random.pick(kept).data)) }
  })
  return { name, bytes: zipOf(damaged) }
}
