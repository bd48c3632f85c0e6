/**
 * Hands out the console: one page for `/` and everything below `/console/`, and its files. The page gets a policy under which
 * nothing runs and nothing is asked but what came from here. All of it is read once and kept compressed.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants, gzip } from 'node:zlib'
import type { Express, Request, Response } from 'express'
import { page } from './page.js'
import { refuse } from './refuse.js'

/** Where the build of the console is, beside the compiled service. */
const BUILT = join(import.meta.dirname, '..', '..', 'web')

/** What web/vite.config.mjs writes where a nonce belongs. */
const NONCE = /NONCE_OF_THIS_PAGE/g

const types: Readonly<Record<string, string>> = {
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const compress = { br: promisify(brotliCompress), gzip: promisify(gzip) }

/** A file of the console as it goes over the wire, compressed once for everybody. */
interface Asset {
  readonly type: string
  readonly plain: Buffer
  readonly br: Buffer
  readonly gzip: Buffer
}

/** Adds the routes of the console. Without a build, as in a checkout that was only compiled, its page says so. */
export function serveConsole(app: Express, folder = BUILT): void {
  const built = existsSync(join(folder, 'index.html'))
  const template = built ? readFileSync(join(folder, 'index.html'), 'utf8') : null
  // Only names that the build made are ever opened: none leads out of its folder.
  const names = new Set(
    built ? ['favicon.svg', ...readdirSync(join(folder, 'assets')).map((each) => `assets/${each}`)] : [],
  )
  const assets = new Map<string, Promise<Asset>>()
  app.get(['/', '/console', '/console/{*path}'], (_request, response) => {
    if (template === null) {
      page(response, 503, 'The console is not built', '`npm run setup` builds it. The API answers all the same.')
      return
    }
    sendPage(response, template)
  })
  app.get(['/assets/:name', '/favicon.svg'], (request, response, next) => {
    const { name: given } = request.params as { readonly name?: string }
    const name = given === undefined ? 'favicon.svg' : `assets/${given}`
    const type = types[extname(name)]
    if (!names.has(name) || type === undefined) {
      refuse(response, 404, 'NOT_FOUND', 'There is nothing here.')
      return
    }
    const asset = assets.get(name) ?? load(join(folder, name), type)
    assets.set(name, asset)
    // The names of assets change with their contents.
    const keep = given === undefined ? 'public, max-age=86400' : 'public, max-age=31536000, immutable'
    asset
      .then((found) => send(request, response, found, keep))
      .catch((error: unknown) => {
        // It may be there the next time.
        assets.delete(name)
        next(error)
      })
  })
}

function sendPage(response: Response, template: string): void {
  const nonce = randomBytes(18).toString('base64url')
  response
    .setHeader('cache-control', 'no-store')
    .setHeader(
      'content-security-policy',
      [
        "default-src 'none'",
        "script-src 'self'",
        `style-src 'self' 'nonce-${nonce}'`,
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
      ].join('; '),
    )
    .setHeader('referrer-policy', 'no-referrer')
    .type('html')
    .send(template.replaceAll(NONCE, nonce))
}

async function load(path: string, type: string): Promise<Asset> {
  const plain = await readFile(path)
  const [br, zipped] = await Promise.all([
    compress.br(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
    compress.gzip(plain, { level: 9 }),
  ])
  return { type, plain, br, gzip: zipped }
}

function send(request: Request, response: Response, asset: Asset, cacheControl: string): void {
  const encoding = request.acceptsEncodings(['br', 'gzip', 'identity'])
  response.setHeader('cache-control', cacheControl).setHeader('vary', 'accept-encoding').type(asset.type)
  if (encoding === 'br' || encoding === 'gzip') {
    response.setHeader('content-encoding', encoding).send(asset[encoding])
    return
  }
  response.send(asset.plain)
}
