import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { opened, page, tableOf } from './legacy-rows.js'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('a table in a web page', () => {
  const cases: readonly (readonly [what: string, html: string | Buffer, expected: readonly (readonly unknown[])[]])[] =
    [
      [
        'cells and headers',
        page('<tr><th>Name<th>Zip</tr><tr><td>Ann</td><td>007</td></tr>'),
        [
          [1, 'Name', 'Zip'],
          [2, 'Ann', '007'],
        ],
      ],
      ['tags in capitals', '<TABLE><TR><TD ALIGN="left">a</TD></TR></TABLE>', [[1, 'a']]],
      [
        'tags that are not closed',
        '<table><tr><td>a<td>b<tr><td>c',
        [
          [1, 'a', 'b'],
          [2, 'c'],
        ],
      ],
      ['cells without a row', '<table><td>a</td><td>b</td></table>', [[1, 'a', 'b']]],
      [
        'heads, bodies and feet',
        page('<thead><tr><td>a</tr></thead><tbody><tr><td>b</tr></tbody>'),
        [
          [1, 'a'],
          [2, 'b'],
        ],
      ],
      ['entities', page('<tr><td>&eacute;&amp;&#233;&#xE9;&euro;&nbsp;&lt;b&gt;</td></tr>'), [[1, 'é&éé€ <b>']]],
      ['entities that are decoded once', page('<tr><td>&amp;lt;</td></tr>'), [[1, '&lt;']]],
      ['entities that nobody knows', page('<tr><td>AT&T &nonsense; &</td></tr>'), [[1, 'AT&T &nonsense; &']]],
      ['numbers of windows-1252', page('<tr><td>&#128;&#150;</td></tr>'), [[1, '€–']]],
      ['line breaks', page('<tr><td>a<br>b<br/>c</td></tr>'), [[1, 'a\nb\nc']]],
      ['blanks and line ends of the page as one blank', page('<tr><td>  a \r\n\t b  </td></tr>'), [[1, 'a b']]],
      ['colspan', page('<tr><td colspan=2>a</td><td>b</td></tr>'), [[1, 'a', '', 'b']]],
      [
        'rowspan',
        page('<tr><td rowspan="2">a</td><td>b</td></tr><tr><td>c</td></tr>'),
        [
          [1, 'a', 'b'],
          [2, '', 'c'],
        ],
      ],
      ['empty rows', page('<tr></tr><tr><td></td></tr><tr><td>a</td></tr>'), [[3, 'a']]],
      ['a sign that opens no tag', page('<tr><td>a < b</td></tr>'), [[1, 'a < b']]],
      ['a sign within an attribute', page('<tr><td title="a>b">c</td></tr>'), [[1, 'c']]],
      [
        'no scripts, styles and comments',
        page('<tr><td>a<script>"<td>no"</script><style>b{}</style><!-- <td>no --></td></tr>'),
        [[1, 'a']],
      ],
      ['links and marked text', page('<tr><td><a href="x">a</a> <b>b</b></td></tr>'), [[1, 'a b']]],
      [
        'the encoding that it declares',
        latin1(`<meta charset="windows-1252">${page('<tr><td>\xe9\x80</td></tr>')}`),
        [[1, 'é€']],
      ],
      [
        'the encoding that its type declares',
        latin1(
          `<html><meta http-equiv=Content-Type content="text/html; charset=iso-8859-2">${page('<tr><td>\xb3</td></tr>')}`,
        ),
        [[1, 'ł']],
      ],
      ['UTF-16', Buffer.from(`\uFEFF${page('<tr><td>é日</td></tr>')}`, 'utf16le'), [[1, 'é日']]],
      ['UTF-8', `\uFEFF${page('<tr><td>é日</td></tr>')}`, [[1, 'é日']]],
      [
        'names of prototypes',
        page('<tr><td __proto__=1>__proto__</td><td>constructor</td></tr>'),
        [[1, '__proto__', 'constructor']],
      ],
    ]
  for (const [what, html, expected] of cases) {
    it(`gives ${what}`, async () => {
      assert.deepEqual(await tableOf(html, 'XLS'), expected)
    })
  }

  it('is a sheet of its own, named by its caption', async () => {
    const html =
      '<html><table><caption>Leads</caption><tr><td>a</td></tr></table><table><tr><td>b</td></tr></table></html>'
    await using book = await opened(html, 'XLS')
    assert.deepEqual(
      book.sheets.map(({ name }) => name),
      ['Leads', 'Table 2'],
    )
    assert.deepEqual(await tableOf(html, 'XLS', 1), [[1, 'b']])
  })

  it('is refused where there is none', async () => {
    const login = '<!DOCTYPE html><html><body><h1>Please sign in</h1></body></html>'
    await assert.rejects(tableOf(login, 'XLS'), {
      code: 'FILE_TYPE_UNSUPPORTED',
      message: /web page \(HTML\) without a table/,
    })
  })
})
