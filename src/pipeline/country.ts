/** Countries and currencies as people write them. */
import { plainWord, remembering } from './text.js'

/** ISO 3166-1 as pairs of alpha-3 and alpha-2 codes. */
const isoCountries =
  'AFGAF ALAAX ALBAL DZADZ ASMAS ANDAD AGOAO AIAAI ATAAQ ATGAG ARGAR ARMAM ABWAW AUSAU AUTAT AZEAZ BHSBS BHRBH BGDBD BRBBB BLRBY ' +
  'BELBE BLZBZ BENBJ BMUBM BTNBT BOLBO BESBQ BIHBA BWABW BVTBV BRABR IOTIO BRNBN BGRBG BFABF BDIBI CPVCV KHMKH CMRCM CANCA CYMKY ' +
  'CAFCF TCDTD CHLCL CHNCN CXRCX CCKCC COLCO COMKM COGCG CODCD COKCK CRICR CIVCI HRVHR CUBCU CUWCW CYPCY CZECZ DNKDK DJIDJ DMADM ' +
  'DOMDO ECUEC EGYEG SLVSV GNQGQ ERIER ESTEE SWZSZ ETHET FLKFK FROFO FJIFJ FINFI FRAFR GUFGF PYFPF ATFTF GABGA GMBGM GEOGE DEUDE ' +
  'GHAGH GIBGI GRCGR GRLGL GRDGD GLPGP GUMGU GTMGT GGYGG GINGN GNBGW GUYGY HTIHT HMDHM VATVA HNDHN HKGHK HUNHU ISLIS INDIN IDNID ' +
  'IRNIR IRQIQ IRLIE IMNIM ISRIL ITAIT JAMJM JPNJP JEYJE JORJO KAZKZ KENKE KIRKI PRKKP KORKR KWTKW KGZKG LAOLA LVALV LBNLB LSOLS ' +
  'LBRLR LBYLY LIELI LTULT LUXLU MACMO MDGMG MWIMW MYSMY MDVMV MLIML MLTMT MHLMH MTQMQ MRTMR MUSMU MYTYT MEXMX FSMFM MDAMD MCOMC ' +
  'MNGMN MNEME MSRMS MARMA MOZMZ MMRMM NAMNA NRUNR NPLNP NLDNL NCLNC NZLNZ NICNI NERNE NGANG NIUNU NFKNF MKDMK MNPMP NORNO OMNOM ' +
  'PAKPK PLWPW PSEPS PANPA PNGPG PRYPY PERPE PHLPH PCNPN POLPL PRTPT PRIPR QATQA REURE ROURO RUSRU RWARW BLMBL SHNSH KNAKN LCALC ' +
  'MAFMF SPMPM VCTVC WSMWS SMRSM STPST SAUSA SENSN SRBRS SYCSC SLESL SGPSG SXMSX SVKSK SVNSI SLBSB SOMSO ZAFZA SGSGS SSDSS ESPES ' +
  'LKALK SDNSD SURSR SJMSJ SWESE CHECH SYRSY TWNTW TJKTJ TZATZ THATH TLSTL TGOTG TKLTK TONTO TTOTT TUNTN TURTR TKMTM TCATC TUVTV ' +
  'UGAUG UKRUA AREAE GBRGB USAUS UMIUM URYUY UZBUZ VUTVU VENVE VNMVN VGBVG VIRVI WLFWF ESHEH YEMYE ZMBZM ZWEZW'

/** Names that Intl does not have. */
const otherNames: Readonly<Record<string, string>> = {
  UK: 'GB',
  'Great Britain': 'GB',
  England: 'GB',
  Scotland: 'GB',
  Wales: 'GB',
  'Northern Ireland': 'GB',
  'U.S.': 'US',
  'United States of America': 'US',
  America: 'US',
  Holland: 'NL',
  'The Netherlands': 'NL',
  'Czech Republic': 'CZ',
  'Republic of Ireland': 'IE',
  'Korea, Republic of': 'KR',
  'Republic of Korea': 'KR',
  Macedonia: 'MK',
  Turkey: 'TR',
  'Russian Federation': 'RU',
  BRD: 'DE',
  Kosovo: 'XK',
}

/** Languages in which country names are understood. */
const languages = ['en', 'de', 'fr', 'es', 'pt', 'it', 'nl']

let countries: ReadonlyMap<string, string> | null = null

/** Names and codes by plain word. Built when the first country is read: it takes some milliseconds. */
function countryNames(): ReadonlyMap<string, string> {
  if (countries === null) {
    const names = new Map<string, string>()
    const codes = isoCountries.split(' ').map((pair) => [pair.slice(0, 3), pair.slice(3)] as const)
    for (const language of languages) {
      const display = new Intl.DisplayNames([language], { type: 'region', fallback: 'none' })
      for (const [, code] of codes) {
        const name = display.of(code)
        if (name !== undefined && !names.has(plainWord(name))) {
          names.set(plainWord(name), code)
        }
      }
    }
    for (const [name, code] of Object.entries(otherNames)) {
      names.set(plainWord(name), code)
    }
    for (const [long, code] of codes) {
      names.set(plainWord(long), code)
      names.set(plainWord(code), code)
    }
    countries = names
  }
  return countries
}

/** ISO 3166-1 alpha-2 of a country's name or code; null where it is none. */
export function countryCode(text: string): string | null {
  return text.length > 100 ? null : (countryNames().get(plainWord(text)) ?? null)
}

/** A reader of countries: ISO 3166-1 alpha-2 where the name or code is known, else the text as it stands. */
export function countryReader(): (text: string) => string | null {
  return remembering((text) => countryNames().get(plainWord(text)) ?? text)
}

const currencySigns: Readonly<Record<string, string>> = {
  '€': 'EUR',
  '£': 'GBP',
  US$: 'USD',
  A$: 'AUD',
  C$: 'CAD',
  R$: 'BRL',
  '₹': 'INR',
  '₪': 'ILS',
  '₩': 'KRW',
  '₺': 'TRY',
  '₽': 'RUB',
  '₴': 'UAH',
  zł: 'PLN',
  Kč: 'CZK',
  Euro: 'EUR',
  Euros: 'EUR',
}

/** A reader of currencies: an ISO 4217 code, or null where it is none. `$` and `kr` are of several countries and not read. */
export function currencyReader(): (text: string) => string | null {
  const codes: ReadonlySet<string> = new Set(Intl.supportedValuesOf('currency'))
  return remembering((text) => {
    const code = text.toUpperCase()
    return codes.has(code) ? code : (currencySigns[text] ?? null)
  })
}
