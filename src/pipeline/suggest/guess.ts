/** Which record type a file is about. */
import { recordTypes } from '../../records/index.js'
import type { RecordTypeName } from '../../records/types.js'
import { exactMeanings } from './candidates.js'
import type { ColumnLike } from './column.js'
import { readHeader } from './header.js'
import { lexiconOf } from './lexicon.js'
import { recognise, shareOf } from './packs.js'

export interface RecordTypeGuess {
  readonly recordType: RecordTypeName
  /** From 0.25 (no idea) to 1. */
  readonly confidence: number
}

/** Files of people are the most frequent ones and share most of their columns with leads. */
const PRIOR: Readonly<Record<RecordTypeName, number>> = { contact: 0.6, lead: 0, property: 0, activity: 0 }

const OWN_IDS: readonly (readonly [RecordTypeName, ReadonlySet<string>])[] = [
  [
    'contact',
    new Set([
      'contact id',
      'person id',
      'contact owner',
      'client id',
      'customer id',
      'kontakt besitzer',
      'kontaktinhaber',
      'proprietaire du contact',
      'propietario del contacto',
      'proprietario do contato',
      'proprietario del contatto',
      'contactpersooneigenaar',
    ]),
  ],
  [
    'lead',
    new Set([
      'lead id',
      'lead owner',
      'lead status',
      'deal id',
      'deal owner',
      'deal stage',
      'opportunity id',
      'leadbesitzer',
      'proprietaire du lead',
      'propietario del lead',
      'proprietario do lead',
      'proprietario del lead',
      'lead eigenaar',
    ]),
  ],
  ['property', new Set(['listing id', 'mls number', 'property id', 'list price', 'listing key'])],
  [
    'activity',
    new Set(['activity id', 'task id', 'event id', 'subject', 'due date', 'call duration', 'activity type']),
  ],
]

/**
 * Guesses the record type of a file from its headers: what only contacts have speaks for contacts, what all record
 * types have for none.
 */
export function guessRecordType(columns: readonly ColumnLike[]): RecordTypeGuess {
  const headers = columns.map((column) => readHeader(column.name))
  const names = Object.keys(recordTypes) as RecordTypeName[]
  const scores = new Map<RecordTypeName, number>(names.map((name) => [name, PRIOR[name]]))
  const raise = (name: RecordTypeName, by: number): void => {
    scores.set(name, scores.get(name)! + by)
  }
  const lexiconByName = new Map(names.map((name) => [name, lexiconOf(recordTypes[name])]))
  for (const header of headers) {
    const strengths = names.map((name) => {
      const meanings = exactMeanings(header, recordTypes[name], lexiconByName.get(name)!)
      // That a reference to a property can stand in a lead makes no file of properties a file of leads.
      return Math.max(0, ...meanings.map(({ target, alone }) => (target.name.includes('.') ? alone * 0.5 : alone)))
    })
    const mean = strengths.reduce((sum, strength) => sum + strength, 0) / names.length
    names.forEach((name, index) => raise(name, strengths[index]! - mean))
    const words = header.words.join(' ')
    for (const [name, own] of OWN_IDS) {
      if (own.has(words)) {
        raise(name, 0.5)
      }
    }
    if (header.entity?.explicit === true) {
      for (const entity of header.entity.names) {
        if (entity !== 'organization') {
          raise(entity, 0.8)
        }
      }
    }
  }
  for (const name of names) {
    const pack = recognise(headers, lexiconByName.get(name)!.packs)
    if (pack !== null) {
      raise(name, 3 * shareOf(headers, pack))
    }
  }
  const ranked = [...scores].sort((a, b) => b[1] - a[1])
  const total = ranked.reduce((sum, [, score]) => sum + Math.exp(score - ranked[0]![1]), 0)
  return { recordType: ranked[0]![0], confidence: Math.round(1000 / total) / 1000 }
}
