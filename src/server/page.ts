/** Pages for browsers, of a heading and some words. There is nothing in them that could be run or fetched. */
import type { Request, Response } from 'express'
import { parseId } from '../ids.js'

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

/**
 * Where the links of e-mails lead: to how a run, the connections or the settings can be looked at. The same for everybody, so it
 * needs no sign-in and says of nothing whether it is there.
 */
export function linkedPage(request: Request, response: Response): void {
  const { what, id } = request.params as { readonly what: string; readonly id?: string }
  if (what === 'runs' && id !== undefined && parseId(id)?.kind === 'run') {
    page(
      response,
      200,
      `Run ${id}`,
      'Runs are looked at in your CRM, if it shows them, on the command line or over the API.',
      `On the command line: portage watch ${id}`,
      `Over the API: query { run(id: "${id}") { status statusReason { message } availableActions } }`,
    )
    return
  }
  page(
    response,
    200,
    what === 'integrations' ? 'Connections to CRMs' : 'Settings',
    what === 'integrations'
      ? 'A connection is made again over the API: integrations tells which one needs it, integrationBegin begins the sign-in.'
      : 'Webhooks and quotas are looked at over the API (webhooks, quotas) or on the command line: portage webhook list.',
  )
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)
}
