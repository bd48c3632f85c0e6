import assert from 'node:assert/strict'
import { test } from 'node:test'
import iconv from 'iconv-lite'
import { transcoder } from '../../../src/adapters/files/decode.js'
import { findEncoding, readEncodingName } from '../../../src/adapters/files/encoding.js'

/** Tables as people keep them, with the encodings that old programs of their country write. */
const tables: readonly { readonly text: string; readonly encodings: readonly string[] }[] = [
  {
    text: 'Name;Straße;Bemerkung\r\nJürgen Müller;Größenweg 5;möchte später zurückgerufen werden\r\nKäthe Weiß;Am Überfall 3;ärgert sich über die Gebühr\r\n',
    encodings: ['windows-1252', 'iso-8859-15', 'macintosh', 'cp850', 'cp437', 'utf-16le', 'utf-16be', 'utf-32le'],
  },
  {
    text: 'Nom,Prénom,Société,Remarque\nLefèvre,Hélène,Crédit Générale,déjà cliente à Orléans\nChâtelain,François,Hôtel de la Forêt,reçu à Nîmes\n',
    encodings: ['windows-1252', 'macintosh', 'cp850', 'cp863', 'utf-32be'],
  },
  {
    text: 'Imię;Nazwisko;Miasto;Uwagi\nŁukasz;Wiśniewski;Łódź;proszę dzwonić później, będzie wdzięczny\nMałgorzata;Dąbrowska;Kraków;książka z półki wyżej\n',
    encodings: ['windows-1250', 'iso-8859-2', 'cp852'],
  },
  {
    text: 'Имя;Фамилия;Город;Заметка\nМихаил;Васильев;Москва;просил перезвонить после обеда\nАнна;Петрова;Новосибирск;хочет продать квартиру весной\n',
    encodings: ['windows-1251', 'koi8-r', 'iso-8859-5', 'ibm866', 'cp855', 'x-mac-cyrillic'],
  },
  {
    text: 'Όνομα;Πόλη;Σημείωση\nΓιώργος Παπαδόπουλος;Αθήνα;θέλει να πουλήσει το σπίτι του την άνοιξη\nΜαρία Νικολάου;Θεσσαλονίκη;να καλέσετε αύριο το πρωί\n',
    encodings: ['windows-1253', 'iso-8859-7'],
  },
  {
    text: 'Ad;Soyad;Şehir;Not\nIşıl;Yılmaz;İstanbul;görüşmek için öğleden sonra arayın, şirketi değişti\nOğuz;Çağlayan;Eskişehir;yaşadığı ev satılık değil artık\n',
    encodings: ['windows-1254'],
  },
  {
    text: '氏名,会社,住所,備考\n山田太郎,株式会社さくら,東京都千代田区丸の内一丁目,明日の午後に電話をください\n鈴木花子,有限会社みどり,大阪府大阪市北区梅田,来週の会議について\n',
    encodings: ['shift_jis', 'euc-jp', 'iso-2022-jp'],
  },
  {
    text: '姓名,公司,地址,备注\n王小明,北京科技有限公司,北京市朝阳区建国路,请明天下午打电话给他\n李红梅,上海贸易公司,上海市浦东新区,下周来参观房子\n',
    encodings: ['gbk'],
  },
  {
    text: '姓名,公司,地址,備註\n陳大文,臺北科技有限公司,臺北市中正區忠孝東路,請明天下午打電話給他\n林美玲,高雄貿易公司,高雄市前金區,下週來參觀房子\n',
    encodings: ['big5'],
  },
  {
    text: '이름,회사,주소,비고\n김철수,서울전자,서울특별시 중구 세종대로,내일 오후에 전화해 주세요\n이영희,부산무역,부산광역시 해운대구,다음 주에 집을 보러 옵니다\n',
    encodings: ['euc-kr', 'iso-2022-kr'],
  },
]

/** Names that the library has for encodings whose name it does not share. */
const LIBRARY: Readonly<Record<string, string>> = { 'x-mac-cyrillic': 'maccyrillic', ibm866: 'cp866' }

function encode(text: string, encoding: string): Buffer {
  if (encoding === 'iso-2022-kr') {
    const wide = text.replace(/[^\0-\x7f]+/g, (run) => {
      const bytes = iconv.encode(run, 'euc-kr').map((byte) => byte & 0x7f)
      return `\x0e${Buffer.from(bytes).toString('latin1')}\x0f`
    })
    return Buffer.from(`\x1b$)C${wide}`, 'latin1')
  }
  if (encoding !== 'iso-2022-jp') {
    return iconv.encode(text, LIBRARY[encoding] ?? encoding)
  }
  // Each run of wide characters between two shifts, as mail programs write it.
  const wide = text.replace(/[^\0-\x7f]+/g, (run) => {
    const bytes = iconv.encode(run, 'euc-jp').map((byte) => byte & 0x7f)
    return `\x1b$B${Buffer.from(bytes).toString('latin1')}\x1b(B`
  })
  return Buffer.from(wide, 'latin1')
}

function decode(bytes: Buffer, encoding: string, piece = bytes.length): string {
  const decoder = transcoder(encoding)
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += piece) {
    parts.push(decoder.push(bytes.subarray(at, at + piece), false))
  }
  parts.push(decoder.push(Buffer.alloc(0), true))
  return Buffer.concat(parts).toString('utf8')
}

for (const { text, encodings } of tables) {
  for (const encoding of encodings) {
    test(`finds and reads ${encoding}: ${text.slice(0, 12).replaceAll('\n', ' ')}`, () => {
      const bytes = encode(text, encoding)
      const found = findEncoding(bytes, true, null)
      assert.equal(decode(bytes, found.encoding), text, `taken for ${found.encoding}`)
      assert.ok(found.confidence > 0.5 && found.confidence <= 1)
    })

    test(`reads ${encoding} the same in pieces of any size: ${text.slice(0, 12).replaceAll('\n', ' ')}`, () => {
      const bytes = encode(text, encoding)
      for (const piece of [1, 2, 3, 5, 7, 64]) {
        assert.equal(decode(bytes, encoding, piece), text, `in pieces of ${piece}`)
      }
    })
  }
}

test('a byte order mark decides, in UTF-32 before UTF-16', () => {
  const marked: readonly (readonly [hex: string, encoding: string])[] = [
    ['efbbbf61', 'utf-8'],
    ['fffe6100', 'utf-16le'],
    ['feff0061', 'utf-16be'],
    ['fffe000061000000', 'utf-32le'],
    ['0000feff00000061', 'utf-32be'],
  ]
  for (const [hex, encoding] of marked) {
    assert.deepEqual(findEncoding(Buffer.from(hex, 'hex'), true, null), { encoding, confidence: 1 })
  }
})

test('what a person says wins, and a mark tells the order of bytes that they leave open', () => {
  const bytes = Buffer.from('feff00610062', 'hex')
  assert.deepEqual(findEncoding(bytes, true, 'utf-16'), { encoding: 'utf-16be', confidence: 1 })
  assert.deepEqual(findEncoding(bytes, true, 'windows-1252'), { encoding: 'windows-1252', confidence: 1 })
  assert.equal(findEncoding(Buffer.from('a\0b\0'), true, 'utf-16').encoding, 'utf-16le')
})

test('a few bad bytes among good UTF-8 are damage and no other encoding', () => {
  const good = Buffer.from('Müller;Größe;Straße;déjà;naïve;Łódź\n'.repeat(5))
  const found = findEncoding(Buffer.concat([good, Buffer.from([0xff, 0x0a])]), true, null)
  assert.equal(found.encoding, 'utf-8')
  assert.ok(found.confidence < 0.95)
})

test('stray bytes of another encoding do not make good UTF-8 a text of that encoding', () => {
  const latin = (text: string) => Buffer.from(text, 'latin1')
  const text = Buffer.concat([Buffer.from('Name\nJosé\nRenée\nZoë\nFrançois\n'), latin('André\n')])
  assert.equal(findEncoding(text, true, null).encoding, 'utf-8')
  const half = Buffer.concat([Buffer.from('Name\nJosé\nRenée\n'), latin('André\nZoë\n')])
  assert.equal(findEncoding(half, true, null).encoding, 'utf-8')
  // What a single pair may be by chance, among the letters of another encoding.
  const pair = Buffer.concat([Buffer.from('Name\nJosé\n'), latin('André\nZoë\nFrançois\n')])
  assert.equal(findEncoding(pair, true, null).encoding, 'windows-1252')
})

test('what does not decode is one bad byte, and the lines around it are read', () => {
  for (const encoding of ['euc-kr', 'gbk', 'big5', 'euc-jp']) {
    const character = { 'euc-kr': '집', gbk: '房', big5: '電', 'euc-jp': '会' }[encoding] ?? ''
    const bytes = Buffer.concat([
      encode(`${character},1\n`, encoding),
      Buffer.from([0x61, 0xff, 0x0a]),
      encode(`${character},3\n`, encoding),
    ])
    const decoder = transcoder(encoding)
    const text = Buffer.concat([decoder.push(bytes, true)])
    assert.equal(text.filter((byte) => byte === 0xff).length, 1, encoding)
    const lines = text.toString('utf8').split('\n')
    assert.equal(lines[0], `${character},1`)
    assert.equal(lines[2], `${character},3`)
  }
})

test('half a character at the end of the text is a bad one', () => {
  const cut: readonly (readonly [string, Buffer])[] = [
    ['shift_jis', encode('会', 'shift_jis').subarray(0, 1)],
    ['utf-32le', Buffer.from([0x61, 0])],
    ['utf-16le', Buffer.from([0x61])],
  ]
  for (const [encoding, bytes] of cut) {
    assert.ok(decode(bytes, encoding).includes('\uFFFD'), encoding)
  }
})

test('code points that UTF-32 forbids are bad bytes', () => {
  const bytes = Buffer.from('61000000' + '00d80000' + '00001100' + '62000000', 'hex')
  assert.equal(transcoder('utf-32le').push(bytes, true).toString('hex'), '61ffff62')
})

test('reads the names that people and programs give encodings', () => {
  const names: readonly (readonly [label: string, encoding: string | null])[] = [
    ['UTF8', 'utf-8'],
    ['UTF-16', 'utf-16'],
    ['utf_16_le', 'utf-16le'],
    ['UTF-32BE', 'utf-32be'],
    ['latin1', 'windows-1252'],
    ['ISO-8859-1', 'windows-1252'],
    ['ISO-8859-15', 'iso-8859-15'],
    ['cp1252', 'windows-1252'],
    ['Windows-1250', 'windows-1250'],
    ['CP 437', 'cp437'],
    ['IBM850', 'cp850'],
    ['cp866', 'ibm866'],
    ['MacRoman', 'macintosh'],
    ['SJIS', 'shift_jis'],
    ['Shift-JIS', 'shift_jis'],
    ['EUC_JP', 'euc-jp'],
    ['GB2312', 'gbk'],
    ['GB18030', 'gb18030'],
    ['Big5', 'big5'],
    ['KOI8-R', 'koi8-r'],
    ['cp65001', 'utf-8'],
    ['KOI8_R', 'koi8-r'],
    ['latin9', 'iso-8859-15'],
    ['klingon', null],
    ['', null],
  ]
  for (const [label, encoding] of names) {
    assert.equal(readEncodingName(label), encoding, label)
  }
})
