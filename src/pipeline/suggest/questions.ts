/** Headers that are read as a whole: questions of forms, lists of what can be answered, and names with an idle last word. */
import type { RecordType } from '../../records/types.js'
import { ANSWERED_BY_VALUES, ASKING_WORDS, CHOOSING_WORDS, QUESTIONS, TAILS } from '../data/questions.js'
import { choiceReader } from './choices.js'
import type { Values } from './fit.js'
import { type Header, isForeign, keyOf } from './header.js'
import { CLEAR, type Lexicon, type Meaning, type Target } from './lexicon.js'

/** Confidence of a question that a rule knows: without values to look at, and the most that these can make of it. */
const ASKED = [0.905, 0.95] as const
/** The same where the values alone say what is asked for, and where a header lists the choices of several fields. */
const ANSWERED = [0.5, 0.92] as const
/** Words of a question without a question mark. */
const QUESTION_WORDS_LEAST = 2

interface Words {
  has(word: string): boolean
}

/** A set of words, of which those with a `*` stand for all that begin like them. */
function wordList(list: string): Words {
  const words = list.split(' ')
  const whole = new Set(words.filter((word) => !word.endsWith('*')))
  const begun = words.filter((word) => word.endsWith('*')).map((word) => word.slice(0, -1))
  return { has: (word) => whole.has(word) || begun.some((start) => word.startsWith(start)) }
}

const askingWords = wordList(ASKING_WORDS)
const choosingWords = wordList(CHOOSING_WORDS)
const rules = QUESTIONS.map(({ types, field, groups, not }) => ({
  types,
  field,
  groups: groups.map(wordList),
  not: wordList(not ?? ''),
}))
const answeredByValues = new Set(ANSWERED_BY_VALUES.split(' '))
const tails = new Map(Object.entries(TAILS).map(([word, fields]) => [word, new Set(fields.split(' '))]))

function asks(header: Header): boolean {
  return (
    /[?¿]/.test(header.text) ||
    (header.words.length >= QUESTION_WORDS_LEAST && header.words.some((word) => askingWords.has(word)))
  )
}

/** What a question asks for; nothing for what is no question and for those that no rule knows. */
export function askedMeanings(header: Header, type: RecordType, lexicon: Lexicon, values: Values): readonly Meaning[] {
  const { words } = header
  if ((type.name !== 'lead' && type.name !== 'contact') || !asks(header) || words.some(isForeign)) {
    return []
  }
  const rule = rules.find(
    ({ types, groups, not }) =>
      types.includes(type.name) &&
      groups.every((group) => words.some((word) => group.has(word))) &&
      !words.some((word) => not.has(word)),
  )
  const target = lexicon.targets.find(({ name }) => name === rule?.field)
  // `Is this your email?` asks for yes or no; `Do you want to buy or sell?` for one of the two.
  if (target !== undefined && (target.value.kind === 'ENUM' || !choosingWords.has(words[0] ?? ''))) {
    return [
      {
        target,
        alone: ASKED[0],
        withValues: ASKED[1],
        reason: `“${header.text}” asks for ${target.label}.`,
        languages: null,
      },
    ]
  }
  return lexicon.targets
    .filter(({ name }) => answeredByValues.has(name))
    .filter((choice) => {
      const { verdict, telling } = values.fit(choice)
      return telling && verdict > 0
    })
    .map((choice) => ({
      target: choice,
      alone: ANSWERED[0],
      withValues: ANSWERED[1],
      reason: `“${header.text}” is a question, and its answers are known values of ${choice.label}.`,
      languages: null,
    }))
}

/** The field whose choices a header lists: `Hot/Warm/Cold`. Where several have them, the values decide. */
export function listedMeanings(header: Header, type: RecordType, lexicon: Lexicon): readonly Meaning[] {
  if (header.choices.length < 2) {
    return []
  }
  const listed = ({ value }: Target): boolean => {
    const reader = choiceReader(value, type.name)
    const options = header.choices.map((words) => reader.meant(words.join(' ')))
    return options.every((option) => option !== null && option !== '') && new Set(options).size === options.length
  }
  const targets = lexicon.targets.filter((target) => target.value.kind === 'ENUM' && listed(target))
  const [alone, withValues] = targets.length === 1 ? ASKED : ANSWERED
  return targets.map((target) => ({
    target,
    alone,
    withValues,
    reason: `“${header.text}” lists values of ${target.label}.`,
    languages: null,
  }))
}

/** What a header means without an idle last word: `stage name`, `score value`. */
export function tailedMeanings(
  header: Header,
  lexicon: Lexicon,
  say: (words: readonly string[]) => readonly Meaning[],
): readonly Meaning[] {
  const fields = tails.get(header.words.at(-1) ?? '')
  if (fields === undefined || header.foreign || header.words.length < 2) {
    return []
  }
  const words = header.words.slice(0, -1)
  return [...(lexicon.exact.get(keyOf(words)) ?? []), ...say(words)]
    .filter(({ target, alone }) => fields.has(target.name) && alone >= CLEAR)
    .slice(0, 1)
    .map((meaning) => ({ ...meaning, alone: ASKED[0], withValues: ASKED[1] }))
}
