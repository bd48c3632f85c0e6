/** The shape of the synonym data. Adding a synonym or a language is editing one of the files beside this one. */

export type Language = 'en' | 'de' | 'fr' | 'es' | 'pt' | 'it' | 'nl'

/** For the reasons that a person reads. */
export const LANGUAGE_NAMES: Readonly<Record<Language, string>> = {
  en: 'English',
  de: 'German',
  fr: 'French',
  es: 'Spanish',
  pt: 'Portuguese',
  it: 'Italian',
  nl: 'Dutch',
}

/**
 * What files call one field. Lists are separated by commas; case, accents, blanks and punctuation do not matter
 * (`E-Mail` is `email`), so each spelling stands here once.
 */
export interface FieldWords extends Readonly<Partial<Record<Language, string>>> {
  /**
   * Words that may mean this field and may mean another: `[confidence by the header alone, confidence when the values
   * agree]`. An `Owner` is an e-mail address only where the values are.
   */
  readonly weak?: Readonly<Record<string, readonly [alone: number, withValues: number]>>
}

/** By field name or reference path. */
export type Words = Readonly<Record<string, FieldWords>>
