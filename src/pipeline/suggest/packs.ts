/** Systems whose files are known by their header row as a whole. */
import type { Header } from './header.js'
import type { Meaning, Pack } from './lexicon.js'

/** Part of the columns, and columns, that must be a known system's for its pack to count. */
const PACK_SHARE = 0.6
const PACK_COLUMNS = 4
/** Of these, columns whose names are no common words. */
const PACK_TELLING = 2

/** The system whose files have such a header row; null where it is nobody's in particular. */
export function recognise(headers: readonly Header[], packs: readonly Pack[]): Pack | null {
  let best: { pack: Pack; share: number; telling: number } | null = null
  for (const pack of packs) {
    const known = headers.filter((header) => packedMeaning(header, pack) !== undefined)
    const telling = known.filter((header) => pack.telling.has(header.readings[0]!.key)).length
    const share = known.length / headers.length
    if (known.length >= PACK_COLUMNS && telling >= PACK_TELLING && share >= PACK_SHARE) {
      if (best === null || share > best.share || (share === best.share && telling > best.telling)) {
        best = { pack, share, telling }
      }
    }
  }
  return best?.pack ?? null
}

/** Part of the columns that `pack` knows, from 0 to 1. */
export function shareOf(headers: readonly Header[], pack: Pack): number {
  return headers.filter((header) => packedMeaning(header, pack) !== undefined).length / headers.length
}

/** What `pack` says about the header as it stands; null for a known one without a place, undefined for an unknown one. */
export function packedMeaning(header: Header, pack: Pack): Meaning | null | undefined {
  const reading = header.readings[0]
  return reading === undefined ? undefined : pack.meanings.get(reading.key)
}
