import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type FileType, fileTypeOf, kindOfZip } from '../../../src/adapters/files/file-type.js'

const OLE = 'd0cf11e0a1b11ae1'
const SPREADSHEET = 'urn:schemas-microsoft-com:office:spreadsheet'

function told(type: FileType): string {
  switch (type.kind) {
    case 'workbook':
      return type.format
    case 'archive':
      return type.compression
    case 'markup':
      return type.what
    case 'refused':
      return `${type.code}: ${type.message}`
    case 'text':
      return 'text'
  }
}

/** A compound file as far as it tells its kind: a header and a directory with one stream. */
function compound(stream: string): Buffer {
  const bytes = Buffer.alloc(1024)
  bytes.write(OLE, 0, 'hex')
  bytes.write(stream, 512, 'utf16le')
  bytes.writeUInt16LE(stream.length * 2 + 2, 512 + 64)
  bytes[512 + 66] = 2
  return bytes
}

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

describe('the type of a file', () => {
  const cases: readonly (readonly [string, Buffer, string | RegExp])[] = [
    ['a ZIP', hex('504b030414000600'), 'ZIP'],
    ['an empty ZIP', hex('504b050600000000'), 'ZIP'],
    ['GZIP', hex('1f8b0800'), 'GZIP'],
    ['Excel 2', hex('0900040002001000'), 'XLS'],
    ['Excel 4', hex('0904060000001000'), 'XLS'],
    ['Excel 97', compound('Workbook'), 'XLS'],
    ['Excel 5', compound('Book'), 'XLS'],
    ['an encrypted workbook', compound('EncryptedPackage'), /^FILE_ENCRYPTED: .*password/],
    ['an old Word document', compound('WordDocument'), /Word document/],
    ['an old presentation', compound('PowerPoint Document'), /PowerPoint/],
    ['a mail', compound('__properties_version1.0'), /Outlook/],
    ['a PDF with CSV behind it', Buffer.from('%PDF-1.7\na,b\n1,2\n'), /PDF document/],
    ['a Parquet file', Buffer.from('PAR1....'), /Parquet/],
    ['rich text', Buffer.from('{\\rtf1 a}'), /RTF/],
    ['CSV', Buffer.from('a,b\n1,2\n'), 'text'],
    ['JSON', Buffer.from('[{"a":1}]'), 'text'],
    ['UTF-32', hex('fffe000061000000'), 'text'],
    ['nothing', Buffer.alloc(0), 'text'],
    ['a table in HTML', Buffer.from('\uFEFF  <!-- x --><TABLE ><tr>'), 'html'],
    ['HTML in UTF-16', Buffer.from('\uFEFF<html><table>', 'utf16le'), 'html'],
    ['HTML in UTF-16BE', Buffer.from('\uFEFF<html><table>', 'utf16le').swap16(), 'html'],
    ['XHTML', Buffer.from('<?xml version="1.0"?>\n<html xmlns="x">'), 'html'],
    [
      'XML of Excel 2003',
      Buffer.from(`<?xml version="1.0"?>\n<?mso-application?><Workbook xmlns="${SPREADSHEET}">`),
      'xml-spreadsheet',
    ],
    ['flat ODS', Buffer.from('<?xml version="1.0"?><office:document xmlns:office="x">'), 'ODS'],
    ['other XML', Buffer.from('<?xml version="1.0"?><Workbook a="b">'), 'xml'],
  ]
  for (const [what, bytes, expected] of cases) {
    it(`is told for ${what}`, () => {
      const type = told(fileTypeOf(bytes))
      if (typeof expected === 'string') {
        assert.equal(type, expected)
      } else {
        assert.match(type, expected)
      }
    })
  }

  it('is found in the directory at the end of a compound file', () => {
    const whole = compound('EncryptedPackage')
    assert.match(told(fileTypeOf(whole.subarray(0, 512), whole.subarray(512))), /^FILE_ENCRYPTED/)
  })
})

describe('the kind of a ZIP', () => {
  const cases: readonly (readonly [string, readonly string[], string | RegExp])[] = [
    ['XLSX', ['[Content_Types].xml', 'xl/workbook.xml'], 'XLSX'],
    ['a workbook by another name', ['[Content_Types].xml', 'xl/workbook2.xml'], 'XLSX'],
    ['XLSB', ['[Content_Types].xml', 'xl/workbook.bin'], 'XLSB'],
    ['ODS', ['mimetype', 'content.xml'], 'ODS'],
    ['Numbers', ['Index/Document.iwa'], /Export its table/],
    ['Word', ['[Content_Types].xml', 'word/document.xml'], /Word document/],
    ['PowerPoint', ['[Content_Types].xml', 'ppt/presentation.xml'], /PowerPoint/],
    ['a folder named word', ['word/list.csv'], 'ZIP'],
    ['prototype names', ['__proto__', 'constructor'], 'ZIP'],
    ['no entries', [], 'ZIP'],
  ]
  for (const [what, names, expected] of cases) {
    it(`is told for ${what}`, () => {
      const type = told(kindOfZip(names))
      if (typeof expected === 'string') {
        assert.equal(type, expected)
      } else {
        assert.match(type, expected)
      }
    })
  }
})
