/** `docs/TRANSFORMS.md` as the definitions have it. */
import type { Parameter } from '../../src/pipeline/transforms/definition.js'
import { exampleText, transforms } from '../../src/pipeline/transforms/index.js'

const introduction = `# Transforms

What a mapping can do to the text of a cell before it is read as a value of its field. Transforms are data: a name and named
arguments, checked when the mapping is given, and no code of the caller's. The query \`transforms\` lists them; this page is made
from the same definitions by \`node_modules/.bin/node dist/test/emit-schema.js\`.

\`\`\`json
{ "column": "Price", "field": "listPrice",
  "transforms": [
    { "name": "removeSuffix", "arguments": [{ "name": "suffix", "value": " p.a." }] },
    { "name": "money", "arguments": [{ "name": "locale", "value": "de-DE" }, { "name": "currency", "value": "EUR" }] } ] }
\`\`\`

## How they are applied

- **Order.** A cell with exactly \`clearText\` empties its field, and the error of a spreadsheet formula is a FORMULA_CELL; neither is
  transformed. The others go through the transforms in order. What comes out is trimmed and is what \`onBlank\`, \`valueMap\` and
  the reading of the field see: a value map's \`from\` is a transformed value.
- **Blank values** stay blank, but for transforms that fill them: \`default\`, \`mapValues\`, \`join\`, \`firstNonEmpty\`, \`template\`.
- **Other columns** are read by name, with white space around them removed, before any transforms of their own. A cell with \`clearText\`
  is blank to them. An entry with such a transform may do without \`column\`. One column may feed several fields, each in an entry of its own.
- **What cannot be read** is a TRANSFORM_FAILED issue of its row and follows \`onInvalidRow\`.
- **Formats.** Behind \`date\`, \`dateTime\`, \`excelDate\`, \`number\`, \`money\`, \`multiply\`, \`round\` or \`extractNumber\` values are plain, so the
  column needs no \`format\` and asks no question about one. Transforms that leave values as they are or blank leave the format that all cells
  prove; behind others the most frequent values are looked at as they have become, and what is still open is asked.
- **Time** grows with the length of the cell, not faster, whatever is in it. Limits: [protocol](PROTOCOL.md#mapping).
- **Privacy.** Without PII_READ the cells of a column with transforms are not shown, whatever it is mapped to: a transform may take the
  harmless part of a cell that holds more.

## The catalogue
`

/** The whole document. */
export function transformsDocument(): string {
  const sections = transforms.map(({ name, description, parameters, example }) => {
    const table =
      parameters.length === 0
        ? ''
        : `\n| Argument | | By default |\n|---|---|---|\n${parameters.map((parameter) => `${row(parameter)}\n`).join('')}`
    return `\n### ${name}\n\n${description}\n${table}\n\`\`\`text\n${exampleText(name, example)}\n\`\`\`\n`
  })
  return introduction + sections.join('')
}

function row({ name, description, required, repeated, byDefault, choices }: Parameter): string {
  const values = choices.length === 0 ? '' : ` One of ${choices.map((choice) => `\`${choice}\``).join(', ')}.`
  const often = repeated ? ' May be given several times.' : ''
  const usual = required ? 'required' : byDefault === null || byDefault === '' ? '' : `\`${byDefault}\``
  return `| \`${name}\` | ${description}${values}${often} | ${usual} |`
}
