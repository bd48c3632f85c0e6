/** Pages for browsers, of a heading and some words. There is nothing in them that could be run or fetched. */
import type { Response } from 'express'

/** Answers with a page; each text is a paragraph. */
export function page(response: Response, status: number, title: string, ...texts: readonly string[]): void {
  const paragraphs = texts.map((text) => `<p>${escaped(text)}</p>`).join('')
  response
    .status(status)
    .setHeader(
      'content-security-policy',
      "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    )
    .type('html')
    .send(
      `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escaped(title)}</title><h1>${escaped(title)}</h1>${paragraphs}</html>\n`,
    )
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
}
