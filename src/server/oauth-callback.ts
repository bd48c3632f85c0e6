/** The page that browsers come back to from a CRM. What the address says is shown to nobody: the page has words of its own. */
import type { CookieOptions, NextFunction, Request, Response } from 'express'
import { findMemberByEmail, narrow } from '../access/members.js'
import { withTenant } from '../db/tx.js'
import { Refusal } from '../errors.js'
import { Hidden } from '../hidden.js'
import { encodeId } from '../ids.js'
import { OAUTH_STATE_SECONDS } from '../limits.js'
import type { ApiContext, Services } from '../resolvers/context.js'
import { browserCookie, CALLBACK_PATH, type Claimed, claimState, completeIntegration } from '../runs/integrations.js'
import { systemNames } from '../systems.js'
import { describeError, isUnavailable } from './errors.js'
import { writeDeed } from './origin.js'
import { page } from './page.js'

/** Not sent along by other sites' scripts and forms, but when a CRM sends the person back by a link. */
function cookieOptions({ config }: Services): CookieOptions {
  return { httpOnly: true, sameSite: 'lax', secure: config.publicUrl.startsWith('https:'), path: CALLBACK_PATH }
}

/** How the answer to a request gives its browser the cookie of a sign-in. */
export function callbackCookie(services: Services, response: Response): NonNullable<ApiContext['setCallbackCookie']> {
  return (name, value) => {
    response.cookie(name, value, { ...cookieOptions(services), maxAge: OAUTH_STATE_SECONDS * 1000 })
  }
}

/** Answers the browser that comes back. */
export function oauthCallback(services: Services) {
  return (request: Request, response: Response, next: NextFunction): void => {
    complete(services, request, response).catch((error: unknown) => {
      if (error instanceof Refusal) {
        page(response, 400, 'Not connected', error.message)
        return
      }
      const { message } = describeError(error, services.log)
      const away = isUnavailable(error) || (error as { code?: unknown }).code === 'VENDOR_UNAVAILABLE'
      if (response.headersSent) {
        next(error)
        return
      }
      page(
        response,
        away ? 503 : 500,
        'Not connected',
        away ? 'The CRM does not answer at the moment. Begin again in a while.' : message,
      )
    })
  }
}

async function complete(services: Services, request: Request, response: Response): Promise<void> {
  const { config, database } = services
  const given = new URL(request.originalUrl, 'http://callback').searchParams
  const single = (name: string): string | null => {
    const values = given.getAll(name)
    return values.length === 1 ? (values[0] ?? null) : null
  }
  const state = single('state') ?? ''
  const claimed = await claimState(database, config, state, {
    kind: 'browser',
    secretOf: (name) => cookieOf(request, name),
  })
  response.clearCookie(browserCookie(state), cookieOptions(services))
  const code = single('code')
  if (given.has('error') || code === null || code.length > 4096 || !/^[\x20-\x7e]+$/.test(code)) {
    const denied = given.get('error') === 'access_denied'
    throw new Refusal(
      'OAUTH_STATE_INVALID',
      denied ? 'The CRM was told not to allow it. Nothing was connected.' : 'The CRM did not allow it. Begin again.',
    )
  }
  await mayStill(services, claimed)
  // An issuer that is given twice is none.
  const issuer = given.has('iss') ? (single('iss') ?? '') : null
  const row = await completeIntegration(database, config, claimed, { code: new Hidden(code), issuer })
  await writeDeed(services, claimed.tenantId, { actor: claimed.actor, key: null }, request, {
    action: 'Mutation.integrationComplete',
    target: encodeId('integration', row.id),
    outcome: 'OK',
    detail: {},
  })
  page(response, 200, 'Connected', `${systemNames[row.system]} is connected. You can close this window.`)
}

/** Who began may have been deactivated, or narrowed, since. */
async function mayStill({ database }: Services, { tenantId, actor }: Claimed): Promise<void> {
  const member = await withTenant(database, tenantId, (tx) => findMemberByEmail(tx, actor))
  if (narrow(['INTEGRATION_MANAGE'], member)?.includes('INTEGRATION_MANAGE') !== true) {
    throw new Refusal('OAUTH_STATE_INVALID', 'Who began this sign-in may not complete it any more.')
  }
}

function cookieOf(request: Request, name: string): string | null {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const [key, value] = pair.split('=', 2)
    if (key?.trim() === name && value !== undefined) {
      return value.trim()
    }
  }
  return null
}
