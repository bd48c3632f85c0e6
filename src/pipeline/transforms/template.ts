/** Templates: a text with names of columns in brackets. */

/** A piece of a template: a text as it stands, or a column by name. */
export type TemplatePart = { readonly text: string } | { readonly column: string }

/** The pieces of a template such as `{First Name} {Last Name}`; null where brackets do not close or hold no name. */
export function templateParts(template: string): TemplatePart[] | null {
  const parts: TemplatePart[] = []
  let text = ''
  for (let at = 0; at < template.length; at++) {
    const character = template.charAt(at)
    if ((character === '{' || character === '}') && template.charAt(at + 1) === character) {
      text += character
      at++
    } else if (character === '{') {
      const end = template.indexOf('}', at)
      const name = template.slice(at + 1, end < 0 ? at + 1 : end).trim()
      if (name === '' || name.includes('{')) {
        return null
      }
      parts.push({ text }, { column: name })
      text = ''
      at = end
    } else if (character === '}') {
      return null
    } else {
      text += character
    }
  }
  parts.push({ text })
  return parts.filter((part) => 'column' in part || part.text !== '')
}
